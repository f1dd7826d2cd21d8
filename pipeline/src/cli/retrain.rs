//! `ecosight retrain`: brings everything that the pipeline declares up to date.

use super::args::RetrainArgs;
use super::error::CliError;
use super::execute::{Sinks, execute, refused};
use super::listeners::Listeners;
use super::printer::Printer;
use super::report;
use super::session::Globals;
use super::status;
use crate::ExitStatus;
use crate::engine::{Force, Scope, Selection, foresee, preflight};

/// Runs the verb.
pub(crate) fn retrain(
    args: &RetrainArgs,
    globals: &Globals,
    listeners: &Listeners,
    printer: &Printer,
) -> Result<ExitStatus, CliError> {
    if printer.json && listeners.take_stdout() {
        let message = "`--json` and `--events -` both write to stdout";
        return Err(CliError::usage(message, "name a file for the events: `--events FILE`"));
    }
    let seed = args.seed.map(|seed| format!("train.seed={seed}"));
    let leak = args.allow_leak.then(|| "audit.allow_leak=true".to_owned());
    let extra: Vec<String> = seed.into_iter().chain(leak).collect();
    let pipeline = globals.pipeline(&args.pipeline, &extra)?;
    let source = globals.source(&args.pipeline)?;
    let scope = match (&args.to, &args.only) {
        (Some(name), _) => Scope::To(name.clone()),
        (None, Some(name)) => Scope::Only(name.clone()),
        (None, None) => Scope::All,
    };
    let force = match args.force.as_deref() {
        None => Force::None,
        Some("") => Force::All,
        Some(name) => Force::Stage(name.to_owned()),
    };
    let selection = Selection::of(&pipeline, scope, force)?;
    if args.dry_run {
        let name = globals.run_name();
        let context = globals.context(&source, &name, (&pipeline).into(), &|_| {});
        preflight(&selection, &context)?;
        let works = foresee(&selection, &context)?;
        if printer.json {
            printer.document(&status::document(&works, &source, globals))?;
        } else {
            printer.result(&status::text(&works, &source, globals, status::Detail::Why))?;
        }
        return Ok(ExitStatus::Ok);
    }
    let sinks = Sinks {
        listeners,
        wait: args.wait,
        force_publish: args.force_publish,
        allow_loss: args.allow_loss,
        reason: args.reason.as_deref(),
    };
    let outcome = execute(&selection, &pipeline, &source, globals, &sinks, printer);
    if args.drop_cache {
        drop_cache(globals, printer);
    }
    let outcome = outcome?;
    if printer.verbose && !outcome.timings.is_empty() {
        printer.block(&format!("\n{}", report::timings(&outcome.timings).trim_end()));
    }
    let summary = report::summary(&outcome, &globals.layout);
    if printer.json {
        printer.document(&outcome)?;
    } else if listeners.take_stdout() {
        printer.block(summary.trim_end());
    } else {
        printer.outcome(!outcome.was_idle(), &summary)?;
    }
    refused(&outcome)?;
    Ok(ExitStatus::Ok)
}

/// Removes audio that was fetched from buckets. That this fails is no failure of the run.
fn drop_cache(globals: &Globals, printer: &Printer) {
    if let Err(error) = globals.access().and_then(|access| access.cache.clear()) {
        printer.warning(&format!("fetched audio is still there: {}", CliError::from(error).chain().join(": ")));
    }
}
