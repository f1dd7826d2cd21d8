//! The command line: one verb, one file.

mod args;
mod audio_paths;
mod demo;
mod embed;
mod error;
mod evaluate;
mod graph;
mod predict;
mod printer;
mod progress;
mod report;
mod retrain;
mod session;
mod weights;

use clap::Parser;

use crate::ExitStatus;
use args::{Args, Verb};
use error::CliError;
use printer::Printer;
use session::Globals;

/// Parses the command line, does what it says, and reports how it went.
pub fn main() -> ExitStatus {
    let args = Args::parse();
    let printer = Printer::new(args.global.quiet, args.global.verbose, args.global.json);
    match dispatch(args, &printer) {
        Ok(status) => status,
        Err(error) => {
            printer.error(&error);
            error.status()
        }
    }
}

fn dispatch(args: Args, printer: &Printer) -> Result<ExitStatus, CliError> {
    let globals = Globals::new(args.global)?;
    match args.verb {
        Verb::Demo(args) => demo::demo(&args, globals, printer),
        Verb::Retrain(args) => retrain::retrain(&args, &globals, printer),
        Verb::Evaluate(args) => evaluate::evaluate(&args, &globals, printer),
        Verb::Predict(args) => predict::predict(&args, &globals, printer),
        Verb::Embed(args) => embed::embed(&args, &globals, printer),
        Verb::Graph(args) => graph::graph(&args, &globals, printer),
        Verb::Weights(args) => weights::weights(&args, &globals, printer),
    }
}
