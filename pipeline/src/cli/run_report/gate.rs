//! What the gate has said of a model, and how the one in production does on the same clips: `gate.json` beside it.

use std::path::Path;

use ecosight_models::metrics::{Difference, Interval as Ends};
use ecosight_stages::publish::{self, Comparison, Finding, Gate};

use super::capitalised;
use crate::report::{Champion, Compared, Criterion, Interval, Outcome, ReportData, Verdict};

/// Adds the verdict and, where the gate was asked, its criteria and the model that it has compared with. A file that is not understood decides nothing.
pub(super) fn add(data: &mut ReportData, model: &Path, is_published: bool) {
    let gate = Gate::read(model).ok().flatten();
    let has_failed = gate.as_ref().is_some_and(|gate| !gate.passed);
    data.summary.verdict = match (is_published, has_failed) {
        (true, true) => Verdict::Forced,
        (true, false) => Verdict::Published,
        (false, true) => Verdict::Refused,
        (false, false) => Verdict::Undecided,
    };
    let Some(gate) = gate else { return };
    data.summary.criteria = gate.criteria.into_iter().map(criterion).collect();
    if let Some((version, found)) = gate.champion.zip(gate.comparison) {
        let overall = &found.differences.balanced_accuracy;
        // Beside another model only the clips count that are test clips of both.
        data.summary.challenger = interval(overall.b, overall.b_ci95);
        data.summary.champion = Some(champion(version, &found));
    }
}

fn champion(version: String, found: &Comparison) -> Champion {
    let differences = &found.differences;
    let labelling = differences.labelling;
    let overall = [
        (labelling.accuracy_name(), &differences.accuracy),
        (labelling.balanced_accuracy_name(), &differences.balanced_accuracy),
        ("Macro F1", &differences.macro_f1),
    ];
    let overall = overall.map(|(name, difference)| compared(capitalised(name), difference));
    let recall = found.classes.iter().zip(&differences.recall);
    let recall = recall.filter_map(|(class, found)| Some(compared(format!("Recall of {class}"), found.as_ref()?)));
    Champion {
        version,
        value: interval(differences.balanced_accuracy.a, differences.balanced_accuracy.a_ci95),
        difference: interval(differences.balanced_accuracy.difference, differences.balanced_accuracy.ci95),
        clips: found.clips,
        by: differences.by(),
        figures: overall.into_iter().chain(recall).collect(),
    }
}

fn compared(name: String, found: &Difference) -> Compared {
    Compared {
        name,
        champion: interval(found.a, found.a_ci95),
        challenger: interval(found.b, found.b_ci95),
        difference: interval(found.difference, found.ci95),
    }
}

fn interval(value: f64, ends: Option<Ends>) -> Interval {
    Interval { value, ci95: ends.map(|Ends { low, high }| [low, high]) }
}

fn criterion(asked: publish::Criterion) -> Criterion {
    let outcome = match asked.result {
        Finding::Pass => Outcome::Pass,
        Finding::Fail => Outcome::Fail,
        Finding::Unknown => Outcome::NotAvailable,
    };
    Criterion { name: asked.name, wanted: String::new(), found: asked.words, outcome }
}
