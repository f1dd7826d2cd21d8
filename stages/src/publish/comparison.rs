//! The new model and the one in production, on the clips that are test clips of both.

use std::collections::{HashMap, HashSet};

use ecosight_datasets::key::ClipId;
use ecosight_datasets::tables::{EmbedReader, PredictionRow, Unit, read_file};
use ecosight_models::ModelError;
use ecosight_models::artefact::Artefact;
use ecosight_models::decision::{Answer, patterns_of};
use ecosight_models::metrics::{
    Bootstrap, Clusters, Difference, FEW_CLUSTERS, MultiLabel, PairedDifferences, paired_bootstrap,
};
use serde::{Deserialize, Serialize};

use super::criteria::Criterion;
use super::gate::test_rows;
use crate::StageErrorKind;
use crate::evaluate::TEST_FILE;
use crate::labels::Labels;
use crate::pooled::{Rows, embedder_of};
use crate::stage::Context;

/// How the new model (b) does beside the one in production (a).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Test clips of both.
    pub clips: u64,
    /// Test clips of the new model that the other was not, or might not have been, tested on.
    pub left_out: u64,
    /// Classes of either model, those of the new one first.
    pub classes: Vec<String>,
    /// The differences, with intervals by what the split keeps together; `recall` is in the order of `classes`.
    pub differences: PairedDifferences,
}

/// Compares the model `champion` with `challenger`, whose test clips are `test`; says why where that cannot be done.
pub(super) fn compare(
    context: &Context<'_>,
    champion: &str,
    challenger: &Artefact,
    test: &Rows,
    labels: &Labels,
) -> Result<Result<Comparison, String>, StageErrorKind> {
    let folder = context.layout.model(champion);
    let Ok(old) = Artefact::load(&folder) else {
        return Ok(Err(format!("model `{champion}`, which is in production, cannot be read")));
    };
    let embedder = embedder_of(&EmbedReader::open(context.layout)?)?;
    if old.meta.embedder != embedder {
        let other = &old.meta.embedder;
        return Ok(Err(format!("model `{champion}`, which is in production, was trained with the embedder `{other}`")));
    }
    let Ok(tested) = read_file::<PredictionRow>(&folder.join(TEST_FILE)) else {
        return Ok(Err(format!("model `{champion}`, which is in production, does not say what its test clips were")));
    };
    let tested: HashSet<ClipId> = tested.iter().map(|row| row.clip_id).collect();
    if old.meta.train.multi_label != challenger.meta.train.multi_label {
        let of = if old.meta.train.multi_label { "any number of classes" } else { "one class" };
        return Ok(Err(format!("to model `{champion}`, which is in production, a clip is of {of}")));
    }
    // Of a class that one of them does not know nothing can be asked.
    let is_known = |class: &usize| old.meta.classes.contains(&labels.classes[*class]);
    let is_common = |(unit, &label): (&Unit, &usize)| {
        tested.contains(&unit.clip_id) && labels.classes_of(label).iter().all(is_known)
    };
    let scored = |rows: &Rows, artefact: &Artefact| {
        let common: Vec<bool> = rows.units.iter().zip(&rows.y).map(is_common).collect();
        let common: Vec<usize> = (0..rows.len()).filter(|&row| common[row]).collect();
        rows.clips_of(&common, &artefact.head)
    };
    let of_new = scored(test, challenger);
    if of_new.units.is_empty() {
        return Ok(Err(format!("no clip is a test clip of model `{champion}`, which is in production, too")));
    }
    let of_old = if old.meta.train.summary() == challenger.meta.train.summary() {
        scored(test, &old)
    } else {
        // The same clips in the same order.
        scored(&test_rows(context, old.meta.train.summary(), labels)?, &old)
    };
    let tests = test.units.chunk_by(|a, b| a == b).count();
    let (clips, left_out) = (of_new.units.len() as u64, (tests - of_new.units.len()) as u64);
    let (y, clusters) = (&of_new.y, Clusters { of_rows: &of_new.kept, unit: context.kept_together() });
    // Each answers by its own rule.
    let answers = [of_old.answers(&old.meta.decision()), of_new.answers(&challenger.meta.decision())];
    let mut classes = challenger.meta.classes.clone();
    let differences = if let Some(sets) = labels.sets() {
        let [a, b] = [&old.meta.classes, &challenger.meta.classes];
        let a = spread(&patterns_of(&answers[0], a.len()), a, &classes);
        let b = patterns_of(&answers[1], b.len());
        MultiLabel { sets }.compare(&a, &b, y, clusters, Bootstrap::default())
    } else {
        classes.extend(old.meta.classes.iter().filter(|class| !challenger.meta.classes.contains(class)).cloned());
        let place = |class: &String| classes.iter().position(|other| other == class);
        let truth: Option<Vec<usize>> = y.iter().map(|&label| place(&labels.names[label])).collect();
        let predicted = |answers: &[Answer], names: &[String]| -> Vec<Option<usize>> {
            answers.iter().map(|answer| place(&names[answer.class()?])).collect()
        };
        let (a, b) = (predicted(&answers[0], &old.meta.classes), predicted(&answers[1], &challenger.meta.classes));
        paired_bootstrap(&a, &b, &truth.unwrap_or_default(), classes.len(), clusters, Bootstrap::default())
    };
    let differences = without_few(differences.map_err(ModelError::from)?, &groups(&classes, labels, y, clusters));
    Ok(Ok(Comparison { clips, left_out, classes, differences }))
}

/// Number of split groups that have clips of each of `classes`, given the clips' labels `y`.
fn groups(classes: &[String], labels: &Labels, y: &[usize], clusters: Clusters<'_>) -> Vec<u64> {
    let mut of_class: HashMap<&String, HashSet<u32>> = HashMap::new();
    for (&label, &cluster) in y.iter().zip(clusters.of_rows) {
        for class in labels.classes_of(label) {
            of_class.entry(&labels.classes[class]).or_default().insert(cluster);
        }
    }
    classes.iter().map(|class| of_class.get(class).map_or(0, |clusters| clusters.len() as u64)).collect()
}

/// The differences without the intervals that come from few clusters: drawing from one gives the same each time.
fn without_few(differences: PairedDifferences, of_classes: &[u64]) -> PairedDifferences {
    let bare = |found: Difference| Difference { ci95: None, worse: None, ..found };
    let told = |(found, &n): (Option<Difference>, &u64)| if n < FEW_CLUSTERS { found.map(bare) } else { found };
    let recall = differences.recall.into_iter().zip(of_classes).map(told).collect();
    let overall = |found| if differences.groups < FEW_CLUSTERS { bare(found) } else { found };
    PairedDifferences {
        labelling: differences.labelling,
        accuracy: overall(differences.accuracy),
        balanced_accuracy: overall(differences.balanced_accuracy),
        macro_f1: overall(differences.macro_f1),
        recall,
        groups: differences.groups,
        unit: differences.unit,
    }
}

/// Whether each of `classes` is predicted, `[n, classes]` row-major, put into the places that these have among `all`; the others are not predicted.
fn spread(predicted: &[bool], classes: &[String], all: &[String]) -> Vec<bool> {
    let places: Vec<Option<usize>> = classes.iter().map(|class| all.iter().position(|other| other == class)).collect();
    let spread = |row: &[bool]| {
        let mut wide = vec![false; all.len()];
        for (place, &is_predicted) in places.iter().zip(row) {
            if let Some(place) = *place {
                wide[place] = is_predicted;
            }
        }
        wide
    };
    predicted.chunks_exact(classes.len()).flat_map(spread).collect()
}

impl Comparison {
    /// What is asked of the new model: nothing may have become worse for certain.
    pub(super) fn criteria(&self, margin: f64) -> [Criterion; 2] {
        const OVERALL: &str = "against production";
        const CLASSES: &str = "recall of each class";
        let overall = &self.differences.balanced_accuracy;
        let left_out = if self.left_out > 0 {
            format!("; {} more test clips are not test clips of both", self.left_out)
        } else {
            String::new()
        };
        let (by, unit) = (self.differences.by(), &self.differences.unit);
        let name = self.differences.labelling.balanced_accuracy_name();
        let words = format!("{name} {} on {} common test clips, {by}{left_out}", told(overall), self.clips);
        let overall = match overall.ci95 {
            Some(interval) => Criterion::met(OVERALL, interval.high >= 0.0, words),
            None => Criterion::unknown(OVERALL, format!("{words}: too few {unit}s to tell")),
        };
        let by_class = self.classes.iter().zip(&self.differences.recall);
        let judged: Vec<(&String, &Difference)> =
            by_class.filter_map(|(class, difference)| Some((class, difference.as_ref()?))).collect();
        // Even the most favourable end of what the difference may be lies below the margin.
        let is_lost = |found: &Difference| found.ci95.is_some_and(|interval| interval.high < -margin);
        let lost: Vec<String> = judged
            .iter()
            .filter(|(_, found)| is_lost(found))
            .map(|(class, found)| format!("`{class}` {}", told(found)))
            .collect();
        let worst = judged
            .iter()
            .filter(|(_, found)| found.ci95.is_some())
            .min_by(|(_, a), (_, b)| a.difference.total_cmp(&b.difference));
        let classes = match worst {
            _ if !lost.is_empty() => {
                let words = format!("{}; a class may lose {margin:.3}", lost.join(", "));
                Criterion::met(CLASSES, false, words)
            }
            Some((class, found)) if found.ci95.is_some() => {
                let words =
                    format!("none has lost {margin:.3} for certain; least has gained `{class}`, {}", told(found));
                Criterion::met(CLASSES, true, words)
            }
            _ => Criterion::unknown(CLASSES, format!("too few {unit}s of any class to tell")),
        };
        [overall, classes]
    }
}

/// A difference for people.
fn told(found: &Difference) -> String {
    let interval = found.ci95.map_or(String::new(), |ci95| format!(", 95 %: {:+.3} … {:+.3}", ci95.low, ci95.high));
    format!("{:.3} → {:.3} ({:+.3}{interval})", found.a, found.b, found.difference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::criteria::Finding;

    /// Models that are right and wrong as told, on clips of two classes in turn, each a recording.
    fn comparison(a: &[bool], b: &[bool]) -> Comparison {
        let truth: Vec<usize> = (0..a.len()).map(|row| row % 2).collect();
        let predicted = |right: &[bool]| -> Vec<Option<usize>> {
            right.iter().enumerate().map(|(row, &right)| Some(if right { row % 2 } else { 1 - row % 2 })).collect()
        };
        let groups: Vec<u32> = (0..a.len() as u32).collect();
        let clusters = Clusters { of_rows: &groups, unit: "site" };
        let differences =
            paired_bootstrap(&predicted(a), &predicted(b), &truth, 2, clusters, Bootstrap::default()).unwrap();
        let classes = ["x", "y"].map(str::to_owned).to_vec();
        Comparison { clips: a.len() as u64, left_out: 0, classes, differences }
    }

    #[test]
    fn a_class_that_is_lost_fails_and_one_that_wavers_does_not() {
        let right = [true; 80];
        let found = |b: &[bool]| comparison(&right, b).criteria(0.05).map(|criterion| criterion.result);
        assert_eq!(found(&right), [Finding::Pass; 2]);
        // One of forty clips of a class: within the margin.
        let mut wavering = right;
        wavering[0] = false;
        assert_eq!(found(&wavering)[1], Finding::Pass);
        let lost: Vec<bool> = (0..80).map(|row| row % 4 != 0).collect();
        assert_eq!(found(&lost), [Finding::Fail; 2]);
        let words = &comparison(&right, &lost).criteria(0.05)[1].words;
        assert!(words.starts_with("`x` 1.000 → 0.500") && !words.contains("`y`"), "{words}");
        // Twice as bad is put up with where the margin says so; the overall figure has none.
        assert_eq!(comparison(&right, &lost).criteria(0.9).map(|c| c.result), [Finding::Fail, Finding::Pass]);
    }

    #[test]
    fn a_class_of_few_recordings_is_not_judged() {
        let bare = comparison(&[true; 8], &[false; 8]);
        let found = Comparison { differences: without_few(bare.differences.clone(), &[4, 4]), ..bare };
        assert_eq!(found.criteria(0.05).map(|c| c.result), [Finding::Fail, Finding::Unknown]);
        let [overall, classes] = found.criteria(0.05).map(|criterion| criterion.words);
        assert!(overall.contains("by 8 sites") && classes == "too few sites of any class to tell", "{overall}");
    }

    #[test]
    fn one_recording_tells_nothing() {
        assert_eq!(comparison(&[true], &[false]).criteria(0.05).map(|c| c.result), [Finding::Unknown; 2]);
    }

    #[test]
    fn classes_are_matched_by_name() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let wide = spread(&[true, false], &names(&["b", "a"]), &names(&["a", "c", "b"]));
        assert_eq!(wide, [false, false, true]);
    }
}
