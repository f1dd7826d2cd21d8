//! `evaluate`: figures of the model trained last, on recordings that nothing was fitted or selected on.

use std::collections::HashSet;
use std::path::Path;

use ecosight_datasets::files::FileStamp;
use ecosight_datasets::key::{ClipId, KeyHasher};
use ecosight_datasets::manifest::Corrections;
use ecosight_datasets::tables::{EpochRow, PredictionRow, Row, Side, read_file, read_rows};
use ecosight_models::ModelError;
use ecosight_models::artefact::{Artefact, Facts, MODEL_FILE};
use ecosight_models::decision::{Answer, Decision};
use ecosight_models::metrics::Metrics;

use crate::error::InStage;
use crate::figures::Judge;
use crate::labels::Labels;
use crate::params::{NoParams, parse};
use crate::pooled::{Rows, read_sides};
use crate::retrain_policy::{HeldBack, KnownClips};
use crate::rows::replace;
use crate::slices::{SLICES_FILE, slices};
use crate::stage::{Context, Definition, Event, Input, KeyPart, Output, RowCounts, Stage};
use crate::test_uses::TestUse;
use crate::train::{HISTORY_FILE, PREDICTIONS_FILE, Pointer, write_file};
use crate::{StageError, StageErrorKind};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 4,
    about: "measure the model on the test recordings, which had no part in it",
    inputs: &["manifest", "split", "embed", "train"],
    parameters: &[],
    configure: |table| parse::<NoParams>(table).map(|_| Box::new(Evaluate) as Box<dyn Stage>),
};

const NAME: &str = "evaluate";

/// Name of the file, in a model's folder, of its predictions for the clips of the test side: later models are compared with it on these.
pub(crate) const TEST_FILE: &str = "test.parquet";

/// The stage; it has no parameters.
pub struct Evaluate;

impl Stage for Evaluate {
    fn reads(&self) -> Vec<Input> {
        // The names of files are read, too: by the folder that they lie in clips are sliced. That is no reason to evaluate again where one was renamed.
        vec![
            Input::of("manifest", &["clip_id", "label"]),
            Input::of("split", &["clip_id", "recording_id", "group_id", "site", "device", "split"]),
            Input::of("embed", &["rows"]),
            Input::of("train", &["model"]),
        ]
    }

    fn identity(&self, context: &Context<'_>) -> Result<Vec<KeyPart>, StageErrorKind> {
        // The figures lie in the model's folder: an equal model that was trained anew has none yet.
        Ok(vec![candidate_part(context)])
    }

    fn recall(&self, context: &Context<'_>) -> Result<(), StageErrorKind> {
        let version = candidate(context)?;
        let folder = context.layout.model(&version);
        let meta = Artefact::load(&folder).map_err(ModelError::from)?.meta;
        let measured = TestUse::read(context.layout, &version)?.pop();
        for (on, metrics) in meta.metrics {
            context.emit(Event::Evaluated {
                model: version.clone(),
                on,
                metrics: Box::new(metrics),
                measured: measured.clone(),
            });
        }
        Ok(())
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        let version = candidate(context).in_stage(NAME)?;
        let folder = context.layout.model(&version);
        let mut artefact = Artefact::load(&folder).map_err(ModelError::from).in_stage(NAME)?;
        let is_held_back = HeldBack::read(context.layout).is_some();
        if is_held_back && !context.forced {
            return self.as_before(context, &folder, &artefact).in_stage(NAME);
        }
        let labels = Labels::read(context, &artefact.meta.train).in_stage(NAME)?;
        let (mut sides, embedder) = read_sides(context, artefact.meta.train.summary(), &labels).in_stage(NAME)?;
        let fingerprint = sides.fingerprint(&labels.names).to_string();
        if is_held_back && embedder == artefact.meta.embedder {
            keep_unseen(context, &version, &mut sides.test).in_stage(NAME)?;
        } else if fingerprint != artefact.meta.data_fingerprint || embedder != artefact.meta.embedder {
            return Err(StageErrorKind::data(
                "the tables have changed since the model was trained: its test clips may not be unseen any more",
                "run `ecosight retrain`, which trains on them",
            ))
            .in_stage(NAME);
        }
        let (test, decision) = (sides.test.scored(&artefact.head), artefact.meta.decision());
        let answers = test.answers(&decision);
        tell_unknown(context, &decision, &answers);
        let judge = Judge::new(&labels, context.kept_together());
        let metrics = judge.measure(&test, &answers).in_stage(NAME)?;
        let corrections = Corrections::read(context.layout).in_stage(NAME)?.labels;
        let corrected = test.units.iter().filter(|unit| corrections.contains_key(&unit.clip_id)).count() as u64;
        let metrics = Metrics { is_leaky: artefact.meta.is_leaky, corrected_labels: corrected, ..metrics };
        let tested = judge.predictions(Side::Test, &test, &decision).in_stage(NAME)?;
        let slices = slices(context, NAME, &test, &labels, &decision).in_stage(NAME)?;
        TestUse::note(context, &version, test.units.len() as u64).in_stage(NAME)?;
        artefact.meta.metrics.insert(Side::Test.word().to_owned(), metrics);
        for (on, metrics) in &artefact.meta.metrics {
            let (model, on, metrics) = (version.clone(), on.clone(), metrics.clone());
            context.emit(Event::Evaluated { model, on, metrics: Box::new(metrics), measured: None });
        }
        let mut rows: Vec<PredictionRow> = read_file(&folder.join(PREDICTIONS_FILE)).in_stage(NAME)?;
        write_file(&folder.join(TEST_FILE), &tested).in_stage(NAME)?;
        write_file(&folder.join(SLICES_FILE), &slices).in_stage(NAME)?;
        rows.extend(tested);
        rows.sort_by_key(|row| row.clip_id);
        let table = replace(context.layout, &rows, |row: &PredictionRow| row.clip_id).in_stage(NAME)?;
        artefact.save_meta(&folder).map_err(ModelError::from).in_stage(NAME)?;
        write_compatible(context, &version, &artefact, &labels).in_stage(NAME)?;
        let rows = RowCounts { new: test.units.len() as u64, ..RowCounts::default() };
        output(context, &folder, &artefact, table, rows).in_stage(NAME)
    }
}

impl Evaluate {
    /// The output of a model that stays although there are new recordings: its test clips were scored.
    fn as_before(&self, context: &Context<'_>, folder: &Path, artefact: &Artefact) -> Result<Output, StageErrorKind> {
        self.recall(context)?;
        let rows: Vec<PredictionRow> = read_rows(&context.layout.table(PredictionRow::TABLE.name))?;
        let table = replace(context.layout, &rows, |row: &PredictionRow| row.clip_id)?;
        let rows = table.rows;
        output(context, folder, artefact, table, rows)
    }
}

/// Leaves out test clips of recordings that the model `version` was fitted on: while new recordings are held back, others may have moved to the test side.
fn keep_unseen(context: &Context<'_>, version: &str, test: &mut Rows) -> Result<(), StageErrorKind> {
    let known = KnownClips::read(context.layout, version);
    let fitted = known.iter().flat_map(|known| &known.clips).filter(|clip| clip.side != Side::Test);
    let fitted: HashSet<ClipId> = fitted.map(|clip| clip.clip_id).collect();
    let before = test.len();
    test.retain(|unit| !fitted.contains(&unit.clip_id));
    if test.is_empty() {
        let message = format!("model `{version}` was fitted on all clips that are on the test side now");
        return Err(StageErrorKind::data(message, "train on them first: `ecosight retrain --force=train`"));
    }
    if test.len() < before {
        let left_out = before - test.len();
        let line = format!("{left_out} rows of the test side are left out: the model was fitted on their recordings");
        context.emit(Event::Told { stage: NAME, line });
    }
    Ok(())
}

/// Reports how many of the test clips are answered `unknown`, where some could be.
fn tell_unknown(context: &Context<'_>, decision: &Decision, answers: &[Answer]) {
    if !decision.can_be_unknown() {
        return;
    }
    let (n, unknown) = (answers.len(), answers.iter().filter(|answer| **answer == Answer::Unknown).count());
    let share = 100.0 * unknown as f64 / n as f64;
    let line = format!("{unknown} of {n} test clips ({share:.1} %), all of known classes, are taken for unknown");
    context.emit(Event::Told { stage: NAME, line });
}

/// What the stage has made: the figures in the model's folder, and the table of predictions.
fn output(
    context: &Context<'_>,
    folder: &Path,
    artefact: &Artefact,
    table: Output,
    rows: RowCounts,
) -> Result<Output, StageErrorKind> {
    let file = FileStamp::take(context.layout.root(), &folder.join(MODEL_FILE))?;
    let figures = serde_json::to_string(&artefact.meta.metrics).expect("metrics are plain data");
    let key = KeyHasher::new("metrics").str(&artefact.meta.digest).str(&figures).finish();
    let columns = table.columns.into_iter().chain([("metrics".to_owned(), key)]).collect();
    Ok(Output { columns, files: table.files.into_iter().chain([file]).collect(), rows, is_provisional: false })
}

/// Writes the files that programs written against the replaced system read.
fn write_compatible(
    context: &Context<'_>,
    version: &str,
    artefact: &Artefact,
    labels: &Labels,
) -> Result<(), StageErrorKind> {
    let folder = context.layout.model(version);
    let mut clips = vec![0; labels.classes.len()];
    for clip in labels.clips.values() {
        labels.classes_of(clip.label).into_iter().for_each(|class| clips[class] += 1);
    }
    let facts = Facts {
        version: version.to_owned(),
        epochs: read_file::<EpochRow>(&folder.join(HISTORY_FILE))?.len() as u64,
        clips: labels.classes.iter().cloned().zip(clips).collect(),
    };
    artefact.save_compatible(&folder, &facts).map_err(|error| ModelError::from(error).into())
}

/// The model trained last as a part of a key. Where its pointer cannot be read, `train` sets it before another stage has its turn.
pub(crate) fn candidate_part(context: &Context<'_>) -> KeyPart {
    let pointer = Pointer::read(&context.layout.candidate()).unwrap_or_default();
    KeyPart::new("model", pointer.map_or_else(|| "none".to_owned(), |pointer| pointer.version))
}

/// Version of the model trained last.
pub(crate) fn candidate(context: &Context<'_>) -> Result<String, StageErrorKind> {
    let pointer = Pointer::read(&context.layout.candidate())?;
    let none = || StageErrorKind::data("no model was trained in this data root", "run `ecosight retrain`");
    Ok(pointer.ok_or_else(none)?.version)
}
