//! `train`: the classifier on pooled embeddings, saved with everything that `predict` needs.

mod left_out;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::{FileStamp, folder_of, sync_folder};
use ecosight_datasets::key::{Key, KeyHasher};
use ecosight_datasets::snapshot::{SNAPSHOT_FILE, Snapshot};
use ecosight_datasets::tables::schema::Vectors;
use ecosight_datasets::tables::{Digests, EpochRow, LeakRow, PartWriter, PredictionRow, Row, Side, read_rows};
use ecosight_models::ModelError;
use ecosight_models::artefact::{Artefact, CLASS_NAMES_FILE, ModelMeta, SCHEMA_VERSION, Selection, WEIGHTS_FILE};
use ecosight_models::decision::Decision;
use ecosight_models::embedder::EmbedderId;
use ecosight_models::head::{Epoch, HeadKind, OnEpoch, Stopped, TrainConfig, Trained, UNKNOWN, Unknown, Watch};
use ecosight_models::metrics::Metrics;

use crate::calibration::{Calibration, Decided};
use crate::checkpoint::Checkpoint;
use crate::error::InStage;
use crate::evaluate::candidate;
use crate::figures::Judge;
use crate::foresee::Foreseen;
use crate::labels::Labels;
use crate::params::{Params, Problem, parse};
use crate::pooled::{Sides, check_usable, read_sides};
use crate::procedure::{Calibrated, Procedure};
use crate::retrain_policy::{HeldBack, KnownClips, hold_back, recount, trained_before};
use crate::search::{Chosen, Searched, checkpoint, search};
use crate::stage::{Context, Definition, Event, Forecast, Input, Output, RowCounts, Stage};
use crate::{StageError, StageErrorKind};

pub use crate::pointer::Pointer;

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 3,
    about: "choose the settings of the classifier head on the train and val sides, and fit it on both",
    inputs: &["manifest", "split", "embed", "audit"],
    parameters: TrainConfig::KEYS,
    configure: |table| Ok(Box::new(parse::<TrainConfig>(table)?)),
};

const NAME: &str = "train";

/// Name of the file, in a model's folder, of predictions for the clips of the train and val sides.
pub(crate) const PREDICTIONS_FILE: &str = "predictions.parquet";

/// Name of the file, in a model's folder, of what became of each epoch.
pub(crate) const HISTORY_FILE: &str = "training_history.parquet";

impl Params for TrainConfig {
    const KEYS: &'static [&'static str] = &[
        "head",
        "pooling",
        "features",
        "window",
        "l2",
        "multi_label",
        "background",
        "class_weights",
        "sampling",
        "mixup",
        "thresholds",
        "unknown",
        "known_recall",
        "seed",
        "max_epochs",
        "batch_size",
        "learning_rate",
        "patience",
        "search",
        "min_samples",
    ];

    fn problems(&self) -> Vec<Problem> {
        let key_of = |message: &str| message.split('`').nth(1).unwrap_or_default().to_owned();
        TrainConfig::problems(self).into_iter().map(|message| Problem::new(key_of(&message), message)).collect()
    }
}

impl Stage for TrainConfig {
    fn reads(&self) -> Vec<Input> {
        vec![
            Input::of("manifest", &["clip_id", "label"]),
            Input::of("split", &["clip_id", "recording_id", "group_id", "split"]),
            Input::of("embed", &["rows"]),
            Input::of("audit", &["clip_a", "clip_b"]),
        ]
    }

    fn look(&self, context: &Context<'_>) -> Result<(), String> {
        // `evaluate` writes its figures into the model's own description, which therefore has no one size and time.
        let version = candidate(context).map_err(|error| error.to_string())?;
        Artefact::load(&context.layout.model(&version)).map_err(|error| error.to_string())?;
        match HeldBack::read(context.layout) {
            Some(HeldBack { new, .. }) if new >= self.min_samples => Err(format!(
                "{new} new recordings were held back, and {} are enough (`train.min_samples`)",
                self.min_samples
            )),
            _ => Ok(()),
        }
    }

    fn policy_parameters(&self) -> &'static [&'static str] {
        &["min_samples"]
    }

    fn recall(&self, context: &Context<'_>) -> Result<(), StageErrorKind> {
        if let Some(held_back) = HeldBack::read(context.layout) {
            context.emit(Event::Skipped { stage: NAME, why: held_back.words() });
        }
        Ok(())
    }

    fn foresee(&self, context: &Context<'_>, foreseen: &mut Foreseen) -> Result<Forecast, StageErrorKind> {
        let listed = foreseen.clips(context.layout)?.to_vec();
        let labels = Labels::join(&listed, foreseen.split(context.layout)?.to_vec(), self);
        let now = KnownClips::of(&listed, &labels, context.settings);
        let leaks: Vec<LeakRow> = read_rows(&context.layout.table(LeakRow::TABLE.name)).unwrap_or_default();
        let found =
            if context.forced { None } else { HeldBack::find(context, &now, !leaks.is_empty(), self.min_samples)? };
        let notes = found.map(|held_back| format!("it would be held back: {}", held_back.words()));
        Ok(Forecast { notes: notes.into_iter().collect(), ..Forecast::default() })
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        let labels = Labels::read(context, self).in_stage(NAME)?;
        check_names(self, &labels.classes).in_stage(NAME)?;
        if let Some(problem) = labels.problem() {
            return Err(problem).in_stage(NAME);
        }
        if let Some(message) = labels.doubt() {
            context.emit(Event::Warning { stage: NAME, message });
        }
        let leaks: Vec<LeakRow> = read_rows(&context.layout.table(LeakRow::TABLE.name)).in_stage(NAME)?;
        let now = KnownClips::now(context, &labels).in_stage(NAME)?;
        if let Some(output) = hold_back(context, &now, !leaks.is_empty(), self.min_samples).in_stage(NAME)? {
            return Ok(output);
        }
        let (sides, embedder) = read_sides(context, self.summary(), &labels).in_stage(NAME)?;
        check_usable(NAME, &sides, &labels)?;
        let material = Material { context, labels: &labels, embedder, is_leaky: !leaks.is_empty() };
        let fingerprint = sides.fingerprint(&labels.names).to_string();
        let key = material.key(self, &fingerprint);
        let rows = RowCounts { new: sides.train.len() as u64, ..RowCounts::default() };
        let before = if context.forced { None } else { trained_before(context, self, key) };
        let (version, key) = if let Some((version, artefact)) = before {
            let key = artefact.meta.digest.parse().unwrap_or(key);
            recount(context, &version, artefact, counts(&sides)).in_stage(NAME)?;
            (version, key)
        } else if self.search.is_on() {
            let search_key = Searched::key(key, self.search);
            let Chosen { config, sides, searched } =
                search(self, context, &labels, sides, search_key).in_stage(NAME)?;
            let fingerprint = sides.fingerprint(&labels.names).to_string();
            let made = material.train(&config, sides, fingerprint, Some(&searched)).in_stage(NAME)?;
            checkpoint(context, search_key).remove();
            made
        } else {
            material.train(self, sides, fingerprint, None).in_stage(NAME)?
        };
        now.write(context.layout, &version).in_stage(NAME)?;
        keep_tables(context, &version).in_stage(NAME)?;
        HeldBack::clear(context.layout).in_stage(NAME)?;
        output(context, &version, key, rows).in_stage(NAME)
    }
}

/// What a model is made from, beside its settings and rows.
struct Material<'a> {
    context: &'a Context<'a>,
    labels: &'a Labels,
    embedder: EmbedderId,
    is_leaky: bool,
}

impl Material<'_> {
    /// Hash of everything that decides a model with these settings, made from the rows with this fingerprint.
    fn key(&self, config: &TrainConfig, fingerprint: &str) -> Key {
        let plain = "settings and identities are plain data";
        KeyHasher::new("model")
            .str(fingerprint)
            .str(&serde_json::to_string(config).expect(plain))
            .str(&serde_json::to_string(&self.embedder).expect(plain))
            .u64(u64::from(self.is_leaky))
            .u64(u64::from(DEFINITION.version))
            .finish()
    }

    /// Trains a model and saves it; its version and key.
    fn train(
        self,
        config: &TrainConfig,
        mut sides: Sides,
        fingerprint: String,
        searched: Option<&Searched>,
    ) -> Result<(String, Key), StageErrorKind> {
        let key = self.key(config, &fingerprint);
        let Calibrated { trained, calibration } = fit(config, self.context, key, &mut sides, self.labels)?;
        for message in left_out::warnings(config, self.context, &sides, self.labels, &calibration) {
            self.context.emit(Event::Warning { stage: NAME, message });
        }
        let mut judged = judge(self.labels, &trained, calibration, self.context.kept_together())?;
        judged.metrics.values_mut().for_each(|metrics| metrics.is_leaky = self.is_leaky);
        let meta = ModelMeta {
            schema_version: SCHEMA_VERSION,
            digest: key.to_string(),
            classes: self.labels.classes.clone(),
            embedder: self.embedder,
            train: config.clone(),
            seeds: BTreeMap::from([(NAME.to_owned(), config.seed)]),
            decision: Some(judged.decision),
            selection: Some(judged.selection),
            is_leaky: self.is_leaky,
            data_fingerprint: fingerprint,
            counts: counts(&sides),
            metrics: judged.metrics,
        };
        for message in meta.unmet_thresholds() {
            self.context.emit(Event::Warning { stage: NAME, message });
        }
        let (rows, epochs) = (sides.train.len(), trained.history.len());
        self.context.emit(Event::counted(NAME, [("rows", rows), ("epochs", epochs), ("features", sides.train.dim)]));
        let version = save(self.context, meta, trained, &judged.predictions, searched)?;
        Checkpoint::new(self.context.layout.checkpoint(NAME), key).remove();
        Ok((version, key))
    }
}

/// Number of rows of each side.
fn counts(sides: &Sides) -> BTreeMap<String, u64> {
    let counts = [("train", &sides.train), ("val", &sides.val), ("test", &sides.test)];
    counts.map(|(side, rows)| (side.to_owned(), rows.len() as u64)).into()
}

/// What the stage has made: the model `version`, whose digest is `key`.
pub(crate) fn output(
    context: &Context<'_>,
    version: &str,
    key: Key,
    rows: RowCounts,
) -> Result<Output, StageErrorKind> {
    let folder = context.layout.model(version);
    let files = [WEIGHTS_FILE, CLASS_NAMES_FILE].map(|name| folder.join(name));
    let candidate = context.layout.candidate();
    let files = files.iter().chain([&candidate]);
    let files: Result<_, _> = files.map(|path| FileStamp::take(context.layout.root(), path)).collect();
    let columns = Digests::from([("model".to_owned(), key)]);
    Ok(Output { columns, files: files?, rows, is_provisional: false })
}

/// Saves a model under a version of its own, and makes it the candidate.
fn save(
    context: &Context<'_>,
    meta: ModelMeta,
    trained: Trained,
    predictions: &[PredictionRow],
    searched: Option<&Searched>,
) -> Result<String, StageErrorKind> {
    let version = format!("{}-{}", context.run_id, &meta.digest[..8]);
    let folder = context.layout.model(&version);
    Artefact { meta, head: trained.head }.save(&folder).map_err(ModelError::from)?;
    let epoch = |epoch: &Epoch| EpochRow {
        epoch: epoch.epoch,
        loss: epoch.loss,
        accuracy: epoch.accuracy,
        val_loss: epoch.val_loss,
        val_accuracy: epoch.val_accuracy,
    };
    let history: Vec<EpochRow> = trained.history.iter().map(epoch).collect();
    write_file(&folder.join(HISTORY_FILE), &history)?;
    write_file(&folder.join(PREDICTIONS_FILE), predictions)?;
    searched.map_or(Ok(()), |searched| searched.write(&folder))?;
    Pointer::write(&context.layout.candidate(), &version, context.started_at)?;
    Ok(version)
}

/// Keeps which files the tables consist of that the model `version` was trained on. A model that has been trained before keeps what it has.
fn keep_tables(context: &Context<'_>, version: &str) -> Result<(), DatasetError> {
    let path = context.layout.model(version).join(SNAPSHOT_FILE);
    if path.exists() {
        return Ok(());
    }
    Snapshot::take(context.layout, context.started_at)?.of_tables().write(&path)
}

/// Writes rows into a file of their own, in one step.
pub(crate) fn write_file<R: Row>(path: &Path, rows: &[R]) -> Result<(), StageErrorKind> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let staged = path.with_file_name(format!(".{name}.tmp"));
    let mut part = PartWriter::create(&staged, R::TABLE.arrow(Vectors::NONE), &[])?;
    part.write(&R::batch(rows)?)?;
    part.finish()?;
    let put = std::fs::rename(&staged, path).and_then(|()| sync_folder(folder_of(path)));
    Ok(put.map_err(DatasetError::at("write table", path))?)
}

/// What is known of a head before anything is asked of the test side.
struct Judged {
    decision: Decision,
    selection: Selection,
    metrics: BTreeMap<String, Metrics>,
    predictions: Vec<PredictionRow>,
}

/// Measures the head on the clips that it was calibrated on, each scored without its recording: those of the val side, and the originals of the train side. More
/// clips than the val side alone make thresholds of rare classes less of a guess.
fn judge(labels: &Labels, trained: &Trained, calibration: Calibration, unit: &str) -> Result<Judged, StageErrorKind> {
    let k = labels.classes.len();
    let Calibration { temperature, decided, clips, on_train } = calibration;
    let Decided { decision, thresholds, positives } = decided;
    let judge = Judge::new(labels, unit);

    let (mut metrics, mut rows) = (BTreeMap::new(), Vec::new());
    for (side, of) in [(Side::Train, 0..on_train), (Side::Val, on_train..clips.units.len())] {
        if of.is_empty() {
            continue;
        }
        let of_side = clips.some(&of.collect::<Vec<_>>(), k);
        let found = judge.measure(&of_side, &of_side.answers(&decision))?;
        metrics.insert(side.word().to_owned(), Metrics { selected_on: true, ..found });
        rows.extend(judge.predictions(side, &of_side, &decision)?);
    }
    let selection = Selection {
        l2: trained.l2,
        tried: trained.tried.clone(),
        fitted_on: [Side::Train, Side::Val].map(|side| side.word().to_owned()).into(),
        fitted_temperature: temperature,
        thresholds,
        calibrated_on: clips.units.len() as u64,
        positives,
        unknown: None,
    };
    Ok(Judged { decision, selection, metrics, predictions: rows })
}

/// Refuses a class whose name is what clips of no known class are called, where there could be such.
fn check_names(config: &TrainConfig, classes: &[String]) -> Result<(), StageErrorKind> {
    let has_thresholds = config.thresholds.wish(config.labelling()).is_some();
    let plain = Decision::plain(config.labelling(), classes, &config.background);
    let thresholds = if has_thresholds { vec![None; classes.len()] } else { plain.thresholds.clone() };
    let can_be_unknown = config.unknown != Unknown::Off || Decision { thresholds, ..plain }.can_be_unknown();
    if !can_be_unknown || classes.iter().all(|class| class != UNKNOWN) {
        return Ok(());
    }
    let message = format!("there is a class `{UNKNOWN}`, which is what clips of no known class would be called");
    let hint = "call the class something else, or set `train.unknown = \"off\"` and `train.thresholds = \"auto\"`";
    Err(StageErrorKind::data(message, hint))
}

/// Trains with progress, stoppable, from where an earlier run of the same training was; takes the values of the train rows.
fn fit(
    config: &TrainConfig,
    context: &Context<'_>,
    key: Key,
    sides: &mut Sides,
    labels: &Labels,
) -> Result<Calibrated, StageErrorKind> {
    let total = match config.head {
        HeadKind::Linear => 0,
        HeadKind::Mlp => u64::from(config.max_epochs),
    };
    let mut checkpoint = Checkpoint::new(context.layout.checkpoint(NAME), key);
    let resume = if context.forced { None } else { checkpoint.read() };
    if config.head == HeadKind::Mlp {
        let line = "the val side decides how many epochs are enough; then the train clips are scored by cross-validation, for calibration and \
                    `audit labels`: 5 trainings on 4/5 of them";
        context.emit(Event::Told { stage: NAME, line: line.to_owned() });
    }
    let on_epoch: &mut OnEpoch<'_> = &mut |epoch, snapshot| {
        context.emit(Event::Progress { stage: NAME, done: u64::from(epoch.epoch), total, unit: "epochs" });
        let is_cancelled = context.check_cancelled().is_err();
        checkpoint.write(is_cancelled, snapshot);
        if is_cancelled { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let is_stopped = &|| context.check_cancelled().is_err();
    let watch = Watch { resume: resume.as_deref(), on_epoch, is_stopped };
    let found =
        Procedure { config, labels, unit: context.kept_together() }.run(&mut sides.train, Some(&sides.val), watch)?;
    let found = found.ok_or(StageErrorKind::Cancelled)?;
    if let Some(message) = checkpoint.problem() {
        context.emit(Event::Warning { stage: NAME, message: format!("no checkpoint could be written: {message}") });
    }
    if found.trained.stopped == Stopped::MaxEpochs && config.head == HeadKind::Linear {
        let message = "the linear head did not converge; a larger `l2` helps".to_owned();
        context.emit(Event::Warning { stage: NAME, message });
    }
    Ok(found)
}
