//! What was found of a model, and whether it may go into production.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use ecosight_datasets::files::write_atomic;
use ecosight_datasets::key::ClipId;
use ecosight_datasets::tables::{ClipRow, EmbedReader, Row, Side, read_rows};
use ecosight_models::ModelError;
use ecosight_models::artefact::Artefact;
use ecosight_models::head::Summary;
use ecosight_models::metrics::false_alarms_per_hour;
use serde::{Deserialize, Serialize};

use super::Publish;
use super::comparison::{Comparison, compare};
use super::criteria::{Criterion, Finding};
use super::history::current;
use super::parity::{Evaluated, parity};
use crate::StageErrorKind;
use crate::labels::Labels;
use crate::pooled::{Rows, read_pooled};
use crate::predict::Predictor;
use crate::retrain_policy::Loss;
use crate::stage::Context;

/// Name of the file in a model's folder.
pub const GATE_FILE: &str = "gate.json";

/// What the gate found of a model; `models/<version>/gate.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Version of this format.
    pub schema_version: u32,
    /// When, UTC, RFC 3339.
    pub at: String,
    /// The model.
    pub model: String,
    /// The model in production that it was compared with.
    pub champion: Option<String>,
    /// Whether nothing failed.
    pub passed: bool,
    /// Whether it was to be published whatever is found.
    pub forced: bool,
    /// What was looked at.
    pub criteria: Vec<Criterion>,
    /// Both models on the same clips, where there is another and it can be asked.
    pub comparison: Option<Comparison>,
}

impl Gate {
    /// What was found of the model in `folder`; none where it was not asked.
    pub fn read(folder: &Path) -> Result<Option<Self>, StageErrorKind> {
        let path = folder.join(GATE_FILE);
        let unreadable = |why: String| {
            let hint = "`ecosight retrain --force=publish` asks the gate again";
            StageErrorKind::data(format!("`{}` is unreadable: {why}", path.display()), hint)
        };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| unreadable(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// Keeps it beside the model.
    pub(super) fn write(&self, folder: &Path) -> Result<(), StageErrorKind> {
        let json = serde_json::to_vec_pretty(self).expect("what was found is plain data");
        Ok(write_atomic(&folder.join(GATE_FILE), &json)?)
    }

    /// The error of a model that may not go into production; none for one that may.
    pub fn refusal(&self) -> Option<StageErrorKind> {
        if self.passed || self.forced {
            return None;
        }
        let failed = self.criteria.iter().filter(|criterion| criterion.result == Finding::Fail);
        let failed = failed.map(|criterion| format!("{}: {}", criterion.name, criterion.words)).collect();
        Some(StageErrorKind::Refused { model: self.model.clone(), failed })
    }
}

impl Publish {
    /// Looks at the model `version` from all sides.
    pub(super) fn judge(
        &self,
        context: &Context<'_>,
        version: &str,
        artefact: &Artefact,
    ) -> Result<Gate, StageErrorKind> {
        let labels = Labels::read(context, &artefact.meta.train)?;
        let test = test_rows(context, artefact.meta.train.summary(), &labels)?;
        let champion = current(context.layout)?.filter(|champion| champion != version);
        let (mut criteria, mut comparison) = (vec![leaks(artefact), self.known_recordings(context)?], None);
        match &champion {
            None => criteria.push(self.floor(artefact)),
            Some(champion) => match compare(context, champion, artefact, &test, &labels)? {
                Ok(found) => {
                    criteria.extend(found.criteria(self.margin));
                    comparison = Some(found);
                }
                // Without a comparison it has to be good by itself.
                Err(why) => criteria.extend([Criterion::unknown("against production", why), self.floor(artefact)]),
            },
        }
        let predictor = Predictor::at_hand(context, version)?;
        criteria.push(self.false_alarms(context, artefact, &test, &labels, predictor.as_ref().ok())?);
        let evaluated = Evaluated { rows: &test, head: &artefact.head };
        criteria.push(parity(context, predictor.as_ref(), evaluated, self.parity_clips)?);
        Ok(Gate {
            schema_version: 1,
            at: context.started_at.to_owned(),
            model: version.to_owned(),
            champion,
            passed: criteria.iter().all(|criterion| criterion.result != Finding::Fail),
            forced: context.force_publish,
            criteria,
            comparison,
        })
    }

    /// Whether the source still has what the model in production was trained beside.
    fn known_recordings(&self, context: &Context<'_>) -> Result<Criterion, StageErrorKind> {
        const NAME: &str = "known recordings";
        let Some(loss) = Loss::find(context)? else {
            return Ok(Criterion::unknown(NAME, "no model is in production that says what it was trained beside"));
        };
        let exceeds = loss.exceeds(self.max_loss);
        let words = match (exceeds, context.allow_loss) {
            (false, _) => loss.words(),
            (true, true) => format!("{}; allowed (`--allow-loss`)", loss.words()),
            (true, false) => {
                format!("{}; at most {:.1} % may go (`publish.max_loss`)", loss.words(), 100.0 * self.max_loss)
            }
        };
        Ok(Criterion::met(NAME, !exceeds || context.allow_loss, words))
    }

    /// Whether a model is good by itself.
    fn floor(&self, artefact: &Artefact) -> Criterion {
        let test = &artefact.meta.metrics[Side::Test.word()];
        let (found, name) = (test.balanced_accuracy, test.labelling.balanced_accuracy_name());
        let classes = artefact.meta.classes.len();
        let twice_chance = 2.0 / classes as f64;
        let (least, is_above) = (self.min_balanced_accuracy, found > twice_chance);
        let words = format!("{found:.3} on the test clips; at least {least:.3} is asked for");
        // Where chance is a half, not even a perfect model is above twice chance.
        if classes == 2 || artefact.meta.train.multi_label {
            return Criterion::met(name, found >= least, words);
        }
        let words = format!("{words}, and more than {twice_chance:.3}, twice chance");
        Criterion::met(name, found >= least && is_above, words)
    }

    /// How often the model takes background for something else.
    fn false_alarms(
        &self,
        context: &Context<'_>,
        artefact: &Artefact,
        test: &Rows,
        labels: &Labels,
        predictor: Option<&Predictor>,
    ) -> Result<Criterion, StageErrorKind> {
        const NAME: &str = "false alarms";
        let background = &artefact.meta.train.background;
        if background.is_empty() {
            return Ok(Criterion::unknown(NAME, "no class is named as background (`train.background`)"));
        }
        let is_background = |class: &String| background.contains(class);
        let rows: Vec<usize> = (0..test.len()).filter(|&row| is_background(&labels.names[test.y[row]])).collect();
        let Some(predictor) = predictor.filter(|_| !rows.is_empty()) else {
            let names = background.join("`, `");
            return Ok(Criterion::unknown(NAME, format!("there is no test clip of background (`{names}`)")));
        };
        let clips: HashSet<ClipId> = rows.iter().map(|&row| test.units[row].clip_id).collect();
        let seconds = seconds_of(context, &clips, predictor.patch_s())?;
        let (scored, decision) = (test.clips_of(&rows, &artefact.head), artefact.meta.decision());
        let classes = decision.classes.len();
        let answers = scored.answers(&decision);
        let of_clips = scored.scores.chunks_exact(classes).zip(&answers);
        let alarms: Vec<Option<usize>> =
            of_clips.map(|(probabilities, answer)| decision.alarm(answer, probabilities)).collect();
        let found = false_alarms_per_hour(&alarms, classes, seconds).map_err(ModelError::from)?;
        let (rate, n) = (found.overall.per_hour, found.overall.count);
        let words = format!("{n} on {seconds:.0} s of background, {rate:.1} an hour");
        Ok(match self.max_false_alarms_per_hour {
            None => Criterion::unknown(NAME, format!("{words}; no limit is set (`publish.max_false_alarms_per_hour`)")),
            Some(limit) => Criterion::met(NAME, rate <= limit, format!("{words}; at most {limit:.1} are put up with")),
        })
    }
}

/// Whether the figures of a model mean anything.
fn leaks(artefact: &Artefact) -> Criterion {
    let words = if artefact.meta.is_leaky {
        "clips of the test side, or copies of them, were trained on: the figures mean nothing"
    } else {
        "no copy of a clip lies on another side of the split"
    };
    Criterion::met("leaks", !artefact.meta.is_leaky, words)
}

/// Length of clips in seconds: that of the span that was marked, else as many patches as there are, of this length and step.
fn seconds_of(
    context: &Context<'_>,
    clips: &HashSet<ClipId>,
    (length_s, step_s): (f64, f64),
) -> Result<f64, StageErrorKind> {
    let listed: Vec<ClipRow> = read_rows(&context.layout.table(ClipRow::TABLE.name))?;
    let marked = listed.iter().filter(|clip| clips.contains(&clip.clip_id));
    let marked: HashMap<ClipId, f64> =
        marked.filter_map(|clip| clip.span.and_then(|span| Some((clip.clip_id, span.end_s? - span.start_s)))).collect();
    let (mut patches, mut heard) = (0, HashSet::new());
    for run in EmbedReader::open(context.layout)? {
        let (unit, run) = run?;
        if unit.variant == 0 && clips.contains(&unit.clip_id) && !marked.contains_key(&unit.clip_id) {
            patches += run.len();
            heard.insert(unit.clip_id);
        }
    }
    // In the order of the clips, so that the sum has the same bits each time.
    let marked: f64 = listed.iter().filter_map(|clip| marked.get(&clip.clip_id)).sum();
    Ok(marked + heard.len() as f64 * (length_s - step_s) + patches as f64 * step_s)
}

/// The originals of the test side, pooled.
pub(super) fn test_rows(context: &Context<'_>, summary: Summary, labels: &Labels) -> Result<Rows, StageErrorKind> {
    let mut rows = Rows::default();
    read_pooled(context, summary, labels, &mut |unit, labelled, row| {
        if unit.variant == 0 && labelled.split.side == Side::Test {
            rows.push(unit, labelled, &row);
        }
    })?;
    rows.sort();
    Ok(rows)
}
