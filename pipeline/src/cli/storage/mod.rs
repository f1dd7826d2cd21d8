//! `ecosight storage`: one verb, one file.

mod cost;
mod doctor;
mod du;
mod fix_keys;
mod gc;
mod get;
mod left_out;
mod ls;
mod migrate;
mod outbox;
mod policy;
mod put;
mod reindex;
mod rm;
mod setup;
mod status;
mod sync;
mod tally;
mod target;
mod url;
mod verify;
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
        StorageVerb::Ls(args) => ls::ls(args, globals, printer),
        StorageVerb::Du(args) => du::du(args, globals, printer),
        StorageVerb::Get(args) => get::get(args, globals, printer),
        StorageVerb::Put(args) => put::put(args, globals, printer),
        StorageVerb::Rm(args) => rm::rm(args, globals, printer),
        StorageVerb::Url(args) => url::url(args, globals, printer),
        StorageVerb::Verify(args) => verify::verify(args, globals, printer),
        StorageVerb::Migrate(args) => migrate::migrate(args, globals, printer),
        StorageVerb::FixKeys(args) => fix_keys::fix_keys(args, globals, printer),
        StorageVerb::Gc(args) => gc::gc(args, globals, printer),
        StorageVerb::Setup(args) => setup::setup(args, globals, printer),
        StorageVerb::Policy(args) => policy::policy(args, globals, printer),
        StorageVerb::Doctor(args) => doctor::doctor(args, globals, printer),
        StorageVerb::Cost(args) => cost::cost(args, globals, printer),
        StorageVerb::Outbox => outbox::outbox(globals, printer),
        StorageVerb::Sync { dry_run } => sync::sync(*dry_run, globals, printer),
        StorageVerb::Reindex { dry_run } => reindex::reindex(*dry_run, globals, printer),
    }
}
