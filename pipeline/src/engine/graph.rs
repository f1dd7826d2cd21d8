//! The declared pipeline as a picture.

use std::fmt::Write;

use super::Pipeline;

/// Language of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum GraphFormat {
    /// For reading in a terminal.
    Text,
    /// For Markdown pages.
    Mermaid,
    /// For Graphviz.
    Dot,
}

/// Draws the stages and what each needs.
pub fn render(pipeline: &Pipeline, format: GraphFormat) -> String {
    let edges = || {
        let of = |stage: &super::PlannedStage| {
            let name = stage.name;
            stage.needs.iter().map(move |need| (need.clone(), name)).collect::<Vec<_>>()
        };
        pipeline.stages.iter().flat_map(of)
    };
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = match format {
        GraphFormat::Text => pipeline.stages.iter().try_for_each(|stage| {
            let needs = if stage.needs.is_empty() { String::new() } else { format!("◄ {}", stage.needs.join(", ")) };
            writeln!(out, "{:<9} {:<36} {}", stage.name, needs, stage.about)
        }),
        GraphFormat::Mermaid => writeln!(out, "flowchart LR")
            .and_then(|()| edges().try_for_each(|(from, to)| writeln!(out, "    {from} --> {to}"))),
        GraphFormat::Dot => writeln!(out, "digraph retrain {{\n    rankdir = LR;")
            .and_then(|()| edges().try_for_each(|(from, to)| writeln!(out, "    {from} -> {to};")))
            .and_then(|()| writeln!(out, "}}")),
    };
    out
}
