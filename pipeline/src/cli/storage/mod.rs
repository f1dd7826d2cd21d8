//! `ecosight storage`: one verb, one file.

mod outbox;
mod reindex;
mod status;
mod sync;

use super::args::{StorageArgs, StorageVerb};
use super::error::CliError;
use super::printer::Printer;
use super::session::Globals;
use crate::ExitStatus;

/// Runs the verb.
pub(crate) fn storage(args: &StorageArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    match &args.verb {
        StorageVerb::Status => status::status(globals, printer),
        StorageVerb::Outbox => outbox::outbox(globals, printer),
        StorageVerb::Sync { dry_run } => sync::sync(*dry_run, globals, printer),
        StorageVerb::Reindex => reindex::reindex(globals, printer),
    }
}
