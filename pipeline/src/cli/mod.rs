//! The command line: one verb, one file.

mod args;
mod audio_paths;
mod audit;
mod completions;
mod config;
mod csv_file;
mod demo;
mod doctor;
mod embed;
mod embedded;
mod error;
mod escape;
mod evaluate;
mod execute;
mod failed;
mod finding;
mod gc;
mod graph;
mod ingest;
mod init;
mod last_run;
mod listeners;
mod models;
mod predict;
mod printer;
mod progress;
mod remote;
mod report;
mod retrain;
mod review;
mod root;
mod run_report;
mod runs;
mod session;
mod status;
mod storage;
mod verify;
mod weights;

use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::Datelike;
use clap::Parser;

use crate::ExitStatus;
use crate::engine::check_formats;
use args::{Args, Verb};
use error::CliError;
use listeners::Listeners;
use printer::Printer;
use remote::{Use, around};
use session::Globals;

/// Parses the command line, does what it says, and reports how it went.
pub fn main() -> ExitStatus {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refuse(&error),
    };
    let printer = Printer::new(args.global.quiet, args.global.verbose, args.global.json);
    let listeners = Listeners::of(&args.verb);
    // A panic has already told where it was.
    let result = catch_unwind(AssertUnwindSafe(|| dispatch(args, &listeners, &printer)));
    let result = result.unwrap_or_else(|_| Err(CliError::bug()));
    if let Err(error) = &result {
        printer.error(error);
    }
    let status = result.as_ref().map_or_else(CliError::status, |status| *status);
    listeners.finish(status, result.as_ref().err(), &printer);
    status
}

/// Prints the help or the version that was asked for, or what is wrong with the command line, whose words may be names of files (`ecosight predict *`).
fn refuse(error: &clap::Error) -> ExitStatus {
    if !error.use_stderr() {
        // Nobody is left to tell if stdout is closed.
        let _ = error.print();
        return ExitStatus::Ok;
    }
    // The message repeats arguments as they are: that of escaped ones is the same, with nothing in it that controls a terminal or begins a line.
    let escaped = std::env::args_os().map(|argument| escape::one_line(&argument.to_string_lossy()).into_owned());
    let again = Args::try_parse_from(escaped).err();
    let error = again.as_ref().unwrap_or(error);
    Printer::new(false, false, false).block(error.render().to_string().trim_end());
    ExitStatus::Usage
}

fn dispatch(args: Args, listeners: &Listeners, printer: &Printer) -> Result<ExitStatus, CliError> {
    let globals = Globals::new(args.global)?;
    if globals.started.year() < 2000 {
        let message = format!(
            "this machine's clock says {}: names, records and models will bear that date; set the clock",
            globals.started_at()
        );
        printer.warning(&message);
    }
    let how = Use::of(&args.verb);
    around(&how, &globals, printer, || {
        if matches!(how, Use::Read(_) | Use::Write { .. }) {
            check_formats(&globals.layout)?;
        }
        run(args.verb, &globals, listeners, printer)
    })
}

fn run(verb: Verb, globals: &Globals, listeners: &Listeners, printer: &Printer) -> Result<ExitStatus, CliError> {
    match verb {
        Verb::Demo(args) => demo::demo(&args, globals, printer),
        Verb::Retrain(args) => retrain::retrain(&args, globals, listeners, printer),
        Verb::Status(args) => status::status(&args, globals, printer),
        Verb::Evaluate(args) => evaluate::evaluate(&args, globals, printer),
        Verb::Audit(args) => audit::audit(&args, globals, printer),
        Verb::Review(args) => review::review(&args, globals, printer),
        Verb::Predict(args) => predict::predict(&args, globals, printer),
        Verb::Ingest(args) => ingest::ingest(&args, globals, printer),
        Verb::Embed(args) => embed::embed(&args, globals, printer),
        Verb::Graph(args) => graph::graph(&args, globals, printer),
        Verb::Weights(args) => weights::weights(&args, globals, printer),
        Verb::Init(args) => init::init(&args, printer),
        Verb::Config(args) => config::config(&args, globals, printer),
        Verb::Doctor(args) => doctor::doctor(&args, globals, printer),
        Verb::Runs(args) => runs::runs(&args, globals, printer),
        Verb::Models(args) => models::models(&args, globals, printer),
        Verb::Failed(args) => failed::failed(&args, globals, printer),
        Verb::Gc(args) => gc::gc(&args, globals, printer),
        Verb::Verify(args) => verify::verify(&args, globals, printer),
        Verb::Storage(args) => storage::storage(&args, globals, printer),
        Verb::Completions(args) => completions::completions(&args, printer),
    }
}
