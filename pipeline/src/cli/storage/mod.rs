//! `ecosight storage`: one verb, one file.

mod cost;
mod doctor;
mod policy;
mod setup;
mod status;
mod wishes;

use super::args::{StorageArgs, StorageVerb};
use super::error::CliError;
use super::printer::Printer;
use super::session::Globals;
use crate::ExitStatus;

/// Runs the verb.
pub(crate) fn storage(args: &StorageArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    match &args.verb {
        StorageVerb::Status => status::status(globals, printer),
        StorageVerb::Setup(args) => setup::setup(args, globals, printer),
        StorageVerb::Policy(args) => policy::policy(args, globals, printer),
        StorageVerb::Doctor => doctor::doctor(globals, printer),
        StorageVerb::Cost(args) => cost::cost(args, globals, printer),
    }
}
