//! `ecosight graph`: draws the declared pipeline.

use super::args::GraphArgs;
use super::error::CliError;
use super::printer::Printer;
use super::session::Globals;
use crate::ExitStatus;
use crate::engine::render;

/// Runs the verb.
pub(crate) fn graph(args: &GraphArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let pipeline = globals.pipeline(&args.pipeline, &[])?;
    if printer.json {
        let stage =
            |s: &crate::engine::PlannedStage| serde_json::json!({ "name": s.name, "needs": s.needs, "about": s.about });
        let stages: Vec<_> = pipeline.stages.iter().map(stage).collect();
        printer.document(&serde_json::json!({ "stages": stages }))?;
    } else {
        printer.result(&render(&pipeline, args.format))?;
    }
    Ok(ExitStatus::Ok)
}
