//! `ecosight storage gc`: what is left over.

use crate::ExitStatus;
use crate::cli::args::StorageGcArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::session::Globals;

/// Runs the verb.
pub(crate) fn gc(_args: &StorageGcArgs, _globals: &Globals, _printer: &Printer) -> Result<ExitStatus, CliError> {
    Ok(ExitStatus::Ok)
}
