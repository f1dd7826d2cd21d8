//! One model.

use ecosight_models::ModelError;
use ecosight_models::artefact::{Artefact, ModelMeta};
use ecosight_models::decision::{Answer, Decision, Labelling};
use ecosight_models::head::UnknownLimit;
use ecosight_stages::publish::{Gate, Moves, Pin};
use ecosight_stages::test_uses::TestUse;
use serde_json::json;

use super::known::Known;
use crate::ExitStatus;
use crate::cli::error::CliError;
use crate::cli::escape::one_line;
use crate::cli::printer::Printer;
use crate::cli::report;
use crate::cli::session::Globals;

/// Prints the model `version`.
pub(super) fn show(globals: &Globals, version: &str, printer: &Printer) -> Result<ExitStatus, CliError> {
    let layout = &globals.layout;
    let folder = layout.model(version);
    let artefact = Artefact::load(&folder).map_err(ModelError::from)?;
    let digest = artefact.digest().map_err(ModelError::from)?;
    let (known, gate) = (Known::of(layout, version)?, Gate::read(&folder)?);
    let Moves(moves) = Moves::read(layout)?;
    let moves: Vec<_> = moves.into_iter().filter(|step| step.version == version).collect();
    if printer.json {
        let meta = &artefact.meta;
        printer.document(&json!({
            "version": version, "state": known.state, "created": known.created, "digest": digest,
            "model": meta, "gate": gate, "moves": moves, "test_uses": TestUse::read(layout, version)?,
        }))?;
        return Ok(ExitStatus::Ok);
    }
    let mut lines = vec![
        ("model".to_owned(), format!("{version} ({})", known.state.word())),
        ("created (UTC)".to_owned(), known.created.unwrap_or("–".to_owned())),
        ("digest".to_owned(), digest),
    ];
    lines.extend(facts(&artefact.meta));
    let uses = TestUse::read(layout, version)?;
    lines.extend(uses.last().map(|last| {
        let times = if uses.len() == 1 { "once".to_owned() } else { format!("{} times", uses.len()) };
        ("test side measured".to_owned(), format!("{times}, last at {} on {} clips", last.at, last.clips))
    }));
    lines.extend(moves.iter().map(|step| ("history".to_owned(), format!("{} {}", step.at, step.words()))));
    let pin = Pin::read(layout)?.filter(|pin| pin.version == version);
    lines.extend(pin.map(|pin| ("pinned".to_owned(), pin.words())));
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text: String = lines.iter().map(|(name, value)| format!("{name:<width$}  {}\n", one_line(value))).collect();
    if let Some(test) = artefact.meta.metrics.get("test") {
        text.push_str(&format!("\nOn {} test clips:\n\n{}", test.n, report::figures(test)));
    }
    if let Some(gate) = &gate {
        text.push_str(&format!("\n{}", report::gate(gate)));
    }
    printer.result(&text)?;
    Ok(ExitStatus::Ok)
}

/// What a model is and how it was chosen, by name.
pub(super) fn facts(meta: &ModelMeta) -> Vec<(String, String)> {
    let mut lines =
        vec![("embedder".to_owned(), meta.embedder.to_string()), ("classes".to_owned(), meta.classes.join(", "))];
    // What a setting is called in the pipeline file, and its value there.
    let settings = serde_json::to_value(&meta.train).unwrap_or_default();
    let settings = settings.as_object().into_iter().flatten();
    lines.extend(settings.map(|(name, value)| (format!("train.{name}"), plain(value))));
    if let Some(selection) = &meta.selection {
        lines.extend(selection.l2.map(|l2| ("l2 chosen".to_owned(), format!("{l2}"))));
        let temperature = format!("{:.3}, folded into the weights", selection.fitted_temperature);
        lines.push(("fitted temperature".to_owned(), temperature));
        lines.extend(meta.decision().unknown.map(|limit| ("unknown".to_owned(), words(limit))));
        lines.push(("fitted on".to_owned(), selection.fitted_on.join(" + ")));
    }
    lines.extend(thresholds(&meta.decision()));
    lines.extend(meta.unmet_thresholds().into_iter().map(|why| ("threshold".to_owned(), why)));
    lines.extend(meta.counts.iter().map(|(side, rows)| (format!("{side} rows"), rows.to_string())));
    if meta.is_leaky {
        lines.push((
            "leaky".to_owned(),
            "test clips, or copies of them, were trained on: its figures mean nothing".to_owned(),
        ));
    }
    lines
}

/// The thresholds in force, and what is answered below them; nothing where no threshold changes an answer.
fn thresholds(decision: &Decision) -> Vec<(String, String)> {
    if decision.thresholds.iter().all(|threshold| threshold.is_some_and(|threshold| threshold <= 0.0)) {
        return Vec::new();
    }
    let of_class = |(class, threshold): (&String, &Option<f32>)| match threshold {
        Some(threshold) => format!("{class} {threshold:.3}"),
        None => format!("{class} never"),
    };
    let each: Vec<String> = decision.classes.iter().zip(&decision.thresholds).map(of_class).collect();
    let below = match decision.labelling {
        Labelling::Single => decision.name(&decision.fallback()),
        Labelling::Multi => decision.name(&Answer::Classes(Vec::new())),
    };
    vec![("thresholds".to_owned(), each.join(", ")), ("below them".to_owned(), below)]
}

fn words(limit: UnknownLimit) -> String {
    match limit {
        UnknownLimit::Probability(limit) => format!("below a probability of {limit:.3}"),
        UnknownLimit::Energy(limit) => format!("above an energy of {limit:.3}"),
    }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
