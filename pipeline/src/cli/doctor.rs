//! `ecosight doctor`: what could keep this machine from working, and how to mend it. Nothing is changed.
//!
//! Every check stands for itself: whatever one of them meets, the others are made.

mod data;
mod disk;
mod machine;
mod memory;
mod setup;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ecosight_stages::embed::Embed;
use ecosight_stages::params;
use serde::Serialize;

use super::args::{DoctorArgs, PipelineArgs};
use super::error::CliError;
use super::printer::Printer;
use super::session::Globals;
use crate::ExitStatus;
use crate::engine::{own_parameters, stack};

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    found: String,
    /// What to do, or the next command to type.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, found: found.into(), fix: None }
    }

    fn warn(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, state: State::Warn, found: found.into(), fix: Some(fix.into()) }
    }

    fn fail(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, state: State::Fail, found: found.into(), fix: Some(fix.into()) }
    }

    /// A failure with the causes and the hint of `error`.
    fn error(check: &'static str, error: &CliError) -> Self {
        let fix = error.hint().map(str::to_owned);
        Self { check, state: State::Fail, found: error.chain().join(": "), fix }
    }

    /// The finding with its fix below it, in the columns of all others.
    fn text(&self) -> String {
        const INDENT: &str = "\n                      ";
        let found = self.found.replace('\n', INDENT);
        let fix = self.fix.as_ref().map_or_else(String::new, |fix| format!("{INDENT}fix: {fix}"));
        format!("{:<6}{:<16}{found}{fix}\n", self.state.word(), self.check)
    }
}

/// Runs the verb.
pub(crate) fn doctor(args: &DoctorArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let pipeline = catch_unwind(AssertUnwindSafe(|| globals.pipeline(&args.pipeline, &[])));
    let pipeline = pipeline.unwrap_or_else(|_| Err(CliError::bug()));
    let spec = embed(globals, &args.pipeline).unwrap_or_default().spec();
    let checks: [(&'static str, &dyn Fn() -> Finding); 11] = [
        ("processor", &|| machine::processor(spec)),
        ("threads", &machine::threads),
        ("memory", &memory::memory),
        ("data root", &|| disk::writable(globals.layout.root())),
        ("disk of data", &|| disk::space("disk of data", globals.layout.root(), "--data-root DIR")),
        ("disk of cache", &|| disk::space("disk of cache", &globals.weights_folder(), "ECOSIGHT_CACHE_DIR=DIR")),
        ("lock", &|| data::lock(&globals.layout)),
        ("configuration", &|| setup::configuration(pipeline.as_ref())),
        ("weights", &|| setup::weights(&globals.weights, spec.name)),
        ("source", &|| data::source(globals, &args.pipeline)),
        ("model", &|| data::model(globals)),
    ];
    let findings: Vec<_> = checks.iter().map(|(name, check)| guarded(name, *check)).collect();
    let worst = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok);
    if printer.json {
        printer.document(&serde_json::json!({ "state": worst, "findings": findings }))?;
    } else {
        printer.result(&findings.iter().map(Finding::text).collect::<String>())?;
    }
    Ok(if worst == State::Fail { ExitStatus::Failed } else { ExitStatus::Ok })
}

/// What the pipeline says about embedding, whatever is wrong with its other stages.
fn embed(globals: &Globals, args: &PipelineArgs) -> Option<Embed> {
    let table = stack(&globals.layers(args, &[]).ok()?);
    params::parse(&own_parameters(&table, "embed")?).ok()
}

/// What `check` finds; that it panics is a finding, too.
fn guarded(name: &'static str, check: &dyn Fn() -> Finding) -> Finding {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| {
        Finding::fail(
            name,
            "the check itself failed",
            "this is a bug in EcoSight: please report it with the lines above",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_panics_is_a_finding() {
        let finding = guarded("x", &|| panic!("of this test"));
        assert_eq!((finding.state, finding.check), (State::Fail, "x"));
    }

    #[test]
    fn what_has_more_lines_stays_in_its_column() {
        let text = Finding::fail("configuration", "2 mistakes:\n  a\n  b", "mend it").text();
        let columns: Vec<_> = text.lines().map(|line| line.find(|c: char| c.is_ascii_alphanumeric())).collect();
        assert_eq!(columns, [Some(0), Some(24), Some(24), Some(22)]);
    }
}
