//! What is written beside the graph.

use super::HeadSpec;
use super::proto::Entry;
use crate::decision::{Answer, Decision, Labelling};
use crate::dense::Activation;
use crate::head::Features;

/// The entries of the table in the module's documentation, except for the sample rate.
pub(super) fn metadata(spec: &HeadSpec<'_>) -> Vec<Entry> {
    let json = |value: serde_json::Result<String>| value.expect("plain data");
    let scores = if spec.scores() == Activation::Sigmoid { "sigmoid" } else { "softmax" };
    let pooling = json(serde_json::to_string(&spec.summary.pooling));
    let mut entries = vec![
        entry("labels", json(serde_json::to_string(spec.classes()))),
        entry("temperature", spec.temperature.to_string()),
        entry("scores", scores.to_owned()),
        entry("pooling", pooling.trim_matches('"').to_owned()),
        entry("embedder", json(serde_json::to_string(spec.embedder))),
        entry("version", spec.version.to_owned()),
        entry("digest", spec.digest.to_owned()),
    ];
    if let Some(fitted) = spec.fitted_temperature {
        entries.push(entry("fitted_temperature", fitted.to_string()));
    }
    if spec.is_leaky {
        entries.push(entry("leaky", "true".to_owned()));
    }
    if spec.summary.features == Features::Contrast {
        entries.push(entry("features", "contrast".to_owned()));
    }
    if spec.summary.window > 0 {
        entries.push(entry("window", spec.summary.window.to_string()));
    }
    if let Some(unknown) = spec.decision.unknown {
        entries.push(entry("unknown", json(serde_json::to_string(&unknown))));
    }
    entries.push(entry("thresholds", json(serde_json::to_string(&spec.decision.thresholds))));
    entries.push(entry("decision", decision(spec.decision)));
    entries
}

/// The rule in short, as JSON.
fn decision(decision: &Decision) -> String {
    let (rule, fallback) = match decision.labelling {
        Labelling::Single => ("most_probable", decision.name(&decision.fallback())),
        Labelling::Multi => ("each_class", decision.name(&Answer::Classes(Vec::new()))),
    };
    serde_json::json!({ "rule": rule, "fallback": fallback, "background": decision.background }).to_string()
}

pub(super) fn entry(key: &str, value: String) -> Entry {
    Entry { key: key.to_owned(), value }
}
