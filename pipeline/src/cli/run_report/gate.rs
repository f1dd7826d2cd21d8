//! What the gate has said of a model: `gate.json` beside it.

use std::path::Path;

use serde::Deserialize;

use crate::report::{Criterion, Outcome, ReportData, Verdict};

/// Name of the file.
const FILE: &str = "gate.json";

/// The part of it that a report shows.
#[derive(Deserialize)]
struct Gate {
    #[serde(default)]
    criteria: Vec<Asked>,
    #[serde(default)]
    forced: bool,
}

#[derive(Deserialize)]
struct Asked {
    name: String,
    state: State,
    #[serde(default)]
    detail: String,
}

#[derive(Deserialize, PartialEq, Eq, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum State {
    Pass,
    Fail,
    Na,
}

/// Adds the verdict and, where there is such a file, the criteria. A file that is not understood decides nothing.
pub(super) fn add(data: &mut ReportData, model: &Path, is_published: bool) {
    let gate: Option<Gate> = std::fs::read(model.join(FILE)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let (criteria, forced) = gate.map_or((Vec::new(), false), |gate| (gate.criteria, gate.forced));
    let has_failed = criteria.iter().any(|asked| asked.state == State::Fail);
    data.summary.verdict = match (is_published, has_failed) {
        (true, true) => Verdict::Forced,
        (true, false) if forced => Verdict::Forced,
        (true, false) => Verdict::Published,
        (false, true) => Verdict::Refused,
        (false, false) => Verdict::Undecided,
    };
    data.summary.criteria = criteria.into_iter().map(criterion).collect();
}

fn criterion(asked: Asked) -> Criterion {
    let outcome = match asked.state {
        State::Pass => Outcome::Pass,
        State::Fail => Outcome::Fail,
        State::Na => Outcome::NotAvailable,
    };
    Criterion { name: asked.name, wanted: String::new(), found: asked.detail, outcome }
}
