//! `ecosight doctor`: what could keep this machine from working, and how to mend it. Nothing is changed.
//!
//! Every check stands for itself: whatever one of them meets, the others are made.

mod data;
pub(super) mod disk;
mod machine;
mod memory;
mod setup;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ecosight_stages::embed::Embed;
use ecosight_stages::params;

use super::args::{DoctorArgs, PipelineArgs};
use super::error::CliError;
use super::finding::{Finding, guarded, report};
use super::printer::Printer;
use super::session::Globals;
use crate::ExitStatus;
use crate::engine::{own_parameters, stack};

/// Runs the verb.
pub(crate) fn doctor(args: &DoctorArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let pipeline = catch_unwind(AssertUnwindSafe(|| globals.pipeline(&args.pipeline, &[])));
    let pipeline = pipeline.unwrap_or_else(|_| Err(CliError::bug()));
    let spec = embed(globals, &args.pipeline).unwrap_or_default().spec();
    let checks: [(&'static str, &dyn Fn() -> Finding); 11] = [
        ("processor", &|| machine::processor(spec)),
        ("threads", &machine::threads),
        ("memory", &memory::memory),
        ("data root", &|| data::root(globals)),
        ("disk of data", &|| disk::space("disk of data", globals.layout.root(), "--data-root DIR")),
        ("disk of cache", &|| disk::space("disk of cache", &globals.weights_folder(), "ECOSIGHT_CACHE_DIR=DIR")),
        ("lock", &|| data::lock(globals)),
        ("configuration", &|| setup::configuration(pipeline.as_ref())),
        ("weights", &|| setup::weights(&globals.weights, spec.name)),
        ("source", &|| data::source(globals, &args.pipeline)),
        ("model", &|| data::model(globals)),
    ];
    let findings: Vec<_> = checks.iter().map(|(name, check)| guarded(name, *check)).collect();
    report(&findings, printer)
}

/// What the pipeline says about embedding, whatever is wrong with its other stages.
fn embed(globals: &Globals, args: &PipelineArgs) -> Option<Embed> {
    let table = stack(&globals.layers(args, &[]).ok()?);
    params::parse(&own_parameters(&table, "embed")?).ok()
}
