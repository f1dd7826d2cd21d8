//! `ecosight completions`: what lets a shell complete the command line.

use clap::CommandFactory;

use super::args::{Args, CompletionsArgs};
use super::error::CliError;
use super::printer::Printer;
use crate::ExitStatus;

/// Runs the verb.
pub(crate) fn completions(args: &CompletionsArgs, printer: &Printer) -> Result<ExitStatus, CliError> {
    let mut command = Args::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    printer.result(&String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::Ok)
}
