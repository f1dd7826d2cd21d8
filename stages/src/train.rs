//! `train`: the classifier on pooled embeddings, saved with everything that `predict` needs.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::{FileStamp, folder_of, sync_folder, write_atomic};
use ecosight_datasets::key::{Key, KeyHasher};
use ecosight_datasets::tables::schema::Vectors;
use ecosight_datasets::tables::{Digests, EpochRow, LeakRow, PartWriter, PredictionRow, Row, Side, read_rows};
use ecosight_models::ModelError;
use ecosight_models::artefact::{Artefact, CLASS_NAMES_FILE, ModelMeta, SCHEMA_VERSION, Selection, WEIGHTS_FILE};
use ecosight_models::head::{Epoch, HeadKind, OnEpoch, Stopped, TrainConfig, Trained, Watch, train_on};
use ecosight_models::metrics::{Metrics, Ranking, temperature};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::error::InStage;
use crate::evaluate::candidate;
use crate::figures::{measure, predictions, probabilities};
use crate::params::{Params, Problem, parse};
use crate::pooled::{Labels, Sides, check_usable, read_sides};
use crate::stage::{Context, Definition, Event, Input, Output, RowCounts, Stage};
use crate::waiting::{self, Waiting};
use crate::{StageError, StageErrorKind};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 2,
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
        "l2",
        "class_weights",
        "thresholds",
        "seed",
        "max_epochs",
        "batch_size",
        "learning_rate",
        "patience",
        "min_samples",
    ];

    fn problems(&self) -> Vec<Problem> {
        let key_of = |message: &str| message.split('`').nth(1).unwrap_or_default().to_owned();
        TrainConfig::problems(self).into_iter().map(|message| Problem::new(key_of(&message), message)).collect()
    }
}

/// A file that names a model: `models/candidate.json`, `models/production.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// Version of this format.
    pub schema_version: u32,
    /// Version of the model, the name of its folder.
    pub version: String,
    /// When the pointer was set, UTC.
    pub since: String,
    /// The model that it named before.
    pub previous: Option<String>,
}

impl Pointer {
    /// Reads a pointer; none where there is no file.
    pub fn read(path: &Path) -> Result<Option<Self>, StageErrorKind> {
        let unreadable = |why: String| {
            StageErrorKind::data(format!("`{}` is unreadable: {why}", path.display()), "run `ecosight retrain` again")
        };
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| unreadable(e.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// Moves the pointer at `path` to the model `version`.
    pub fn write(path: &Path, version: &str, since: &str) -> Result<Self, StageErrorKind> {
        // A damaged pointer names nothing, and is replaced; one that names this model already keeps what was before it.
        let old = Self::read(path).ok().flatten();
        let previous = old.and_then(|old| if old.version == version { old.previous } else { Some(old.version) });
        let pointer = Self { schema_version: 1, version: version.to_owned(), since: since.to_owned(), previous };
        let json = serde_json::to_vec_pretty(&pointer).expect("a pointer is plain data");
        write_atomic(path, &json)?;
        Ok(pointer)
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
        Artefact::load(&context.layout.model(&version)).map(drop).map_err(|error| error.to_string())
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        let labels = Labels::read(context).in_stage(NAME)?;
        if let Some(output) = wait(self, context, &labels).in_stage(NAME)? {
            return Ok(output);
        }
        let (mut sides, embedder) = read_sides(context, self.pooling, &labels).in_stage(NAME)?;
        check_usable(NAME, &sides, &labels.classes)?;
        let fingerprint = sides.fingerprint(&labels.classes).to_string();
        let leaks: Vec<LeakRow> = read_rows(&context.layout.table(LeakRow::TABLE.name)).in_stage(NAME)?;
        let is_leaky = !leaks.is_empty();
        let plain = "settings and identities are plain data";
        let digest = KeyHasher::new("model")
            .str(&fingerprint)
            .str(&serde_json::to_string(self).expect(plain))
            .str(&serde_json::to_string(&embedder).expect(plain))
            .u64(u64::from(is_leaky))
            .u64(u64::from(DEFINITION.version))
            .finish();
        let (key, digest) = (digest, digest.to_string());
        let counts = [("train", &sides.train), ("val", &sides.val), ("test", &sides.test)];
        let counts: BTreeMap<_, _> = counts.map(|(side, rows)| (side.to_owned(), rows.len() as u64)).into();
        let before = if context.forced { None } else { trained_before(context, &digest) };
        let version = if let Some((version, artefact)) = before {
            recount(context, &version, artefact, counts).in_stage(NAME)?;
            version
        } else {
            let mut trained = fit(self, context, key, &mut sides, labels.classes.len()).in_stage(NAME)?;
            let judged = judge(self, &sides, &labels.classes, &mut trained).in_stage(NAME)?;
            let meta = ModelMeta {
                schema_version: SCHEMA_VERSION,
                digest,
                classes: labels.classes.clone(),
                embedder,
                train: self.clone(),
                seeds: BTreeMap::from([(NAME.to_owned(), self.seed)]),
                selection: Some(judged.selection),
                is_leaky,
                data_fingerprint: fingerprint,
                counts,
                metrics: judged.metrics,
            };
            let (rows, epochs) = (sides.train.len(), trained.history.len());
            context.emit(Event::counted(NAME, [("rows", rows), ("epochs", epochs), ("features", sides.train.dim)]));
            let version = save(context, meta, trained, &judged.predictions).in_stage(NAME)?;
            Checkpoint::new(context.layout.checkpoint(NAME), key).remove();
            version
        };
        waiting::note(context.layout, &version, &labels).in_stage(NAME)?;
        waiting::clear(context.layout).in_stage(NAME)?;
        let rows = RowCounts { new: sides.train.len() as u64, ..RowCounts::default() };
        output(context, &version, key, rows).in_stage(NAME)
    }
}

/// What the stage has made: the model `version`, whose digest is `key`.
fn output(context: &Context<'_>, version: &str, key: Key, rows: RowCounts) -> Result<Output, StageErrorKind> {
    let folder = context.layout.model(version);
    let files = [WEIGHTS_FILE, CLASS_NAMES_FILE].map(|name| folder.join(name));
    let candidate = context.layout.candidate();
    let files = files.iter().chain([&candidate]);
    let files: Result<_, _> = files.map(|path| FileStamp::take(context.layout.root(), path)).collect();
    let columns = Digests::from([("model".to_owned(), key)]);
    Ok(Output { columns, files: files?, rows, is_provisional: false })
}

/// The model trained last as the output, where there is not enough new to train on.
fn wait(config: &TrainConfig, context: &Context<'_>, labels: &Labels) -> Result<Option<Output>, StageErrorKind> {
    let Ok(version) = candidate(context) else { return Ok(None) };
    let artefact = Artefact::load(&context.layout.model(&version));
    let Some(artefact) = artefact.ok().filter(|_| !context.forced) else { return Ok(None) };
    let Some(waiting) = Waiting::find(context, config, labels, &version, &artefact)? else { return Ok(None) };
    let Ok(key) = artefact.meta.digest.parse::<Key>() else { return Ok(None) };
    waiting.write(context.layout)?;
    context.emit(Event::Skipped { stage: NAME, why: waiting.told() });
    let reused = artefact.meta.counts.get(Side::Train.word()).copied().unwrap_or(0);
    output(context, &version, key, RowCounts { reused, ..RowCounts::default() }).map(Some)
}

/// The model trained last, if it was made from the same rows with the same settings: another would be equal to it.
fn trained_before(context: &Context<'_>, digest: &str) -> Option<(String, Artefact)> {
    let version = candidate(context).ok()?;
    let artefact = Artefact::load(&context.layout.model(&version)).ok()?;
    (artefact.meta.digest == digest).then_some((version, artefact))
}

/// Puts right how many rows there are: those of the test side do not make another model.
fn recount(
    context: &Context<'_>,
    version: &str,
    mut artefact: Artefact,
    counts: BTreeMap<String, u64>,
) -> Result<(), StageErrorKind> {
    if artefact.meta.counts != counts {
        artefact.meta.counts = counts;
        artefact.save_meta(&context.layout.model(version)).map_err(ModelError::from)?;
    }
    let message = format!("the rows are those that model `{version}` was trained on; it stays");
    context.emit(Event::Printed { stage: NAME, line: message });
    Ok(())
}

/// Saves a model under a version of its own, and makes it the candidate.
fn save(
    context: &Context<'_>,
    meta: ModelMeta,
    trained: Trained,
    predictions: &[PredictionRow],
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
    Pointer::write(&context.layout.candidate(), &version, context.started_at)?;
    Ok(version)
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
    selection: Selection,
    metrics: BTreeMap<String, Metrics>,
    predictions: Vec<PredictionRow>,
}

/// Calibrates the head on the clips that were scored without their recording: the val side, and the originals of the train side where there was a
/// cross-validation. More clips than the val side alone make thresholds of rare classes less of a guess.
fn judge(
    config: &TrainConfig,
    sides: &Sides,
    classes: &[String],
    trained: &mut Trained,
) -> Result<Judged, StageErrorKind> {
    let k = classes.len();
    let originals: Vec<usize> = (0..sides.train.len()).filter(|&row| sides.train.is_original[row]).collect();
    let of = |rows: &[usize]| -> (Vec<usize>, Vec<u32>) {
        (
            rows.iter().map(|&row| sides.train.y[row]).collect(),
            rows.iter().map(|&row| sides.train.groups[row]).collect(),
        )
    };
    let (train_logits, (train_y, train_groups)) = match &trained.unseen.train {
        Some(logits) => (logits.clone(), of(&originals)),
        None => (Vec::new(), of(&[])),
    };
    let logits = [&train_logits[..], &trained.unseen.val].concat();
    let truth = [&train_y[..], &sides.val.y].concat();
    let temperature = temperature(&logits, &truth, k).map_err(ModelError::from)?;
    let scores = probabilities(&logits, k, temperature);
    let rankings = Ranking::of_classes(&scores, &truth, k).map_err(ModelError::from)?;
    let thresholds = rankings.iter().map(|ranking| ranking.threshold(config.thresholds.into())).collect();
    trained.head = trained.head.clone().cooled(temperature);

    let (on_train, on_val) = scores.split_at(train_y.len() * k);
    let mut metrics =
        BTreeMap::from([(Side::Val.word().to_owned(), measure(on_val, &sides.val.y, &sides.val.groups, classes)?)]);
    if !train_y.is_empty() {
        metrics.insert(Side::Train.word().to_owned(), measure(on_train, &train_y, &train_groups, classes)?);
    }
    let train_units = originals.iter().map(|&row| &sides.train.units[row]);
    let mut rows = predictions(Side::Train, train_units, on_train, &train_y, classes)?;
    rows.extend(predictions(Side::Val, sides.val.units.iter(), on_val, &sides.val.y, classes)?);
    let selection = Selection {
        l2: trained.l2,
        tried: trained.tried.clone(),
        fitted_on: [Side::Train, Side::Val].map(|side| side.word().to_owned()).into(),
        temperature,
        thresholds,
        calibrated_on: truth.len() as u64,
    };
    Ok(Judged { selection, metrics, predictions: rows })
}

/// Trains with progress, stoppable, from where an earlier run of the same training was; takes the values of the train rows.
fn fit(
    config: &TrainConfig,
    context: &Context<'_>,
    key: Key,
    sides: &mut Sides,
    classes: usize,
) -> Result<Trained, StageErrorKind> {
    let total = match config.head {
        HeadKind::Linear => 0,
        HeadKind::Mlp => u64::from(config.max_epochs),
    };
    let mut checkpoint = Checkpoint::new(context.layout.checkpoint(NAME), key);
    let resume = if context.forced { None } else { checkpoint.read() };
    let val = sides.val.examples();
    let on_epoch: &mut OnEpoch<'_> = &mut |epoch, snapshot| {
        context.emit(Event::Progress { stage: NAME, done: u64::from(epoch.epoch), total, unit: "epochs" });
        let is_cancelled = context.check_cancelled().is_err();
        checkpoint.write(is_cancelled, snapshot);
        if is_cancelled { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let is_stopped = &|| context.check_cancelled().is_err();
    let watch = Watch { resume: resume.as_deref(), on_epoch, is_stopped };
    let trained = train_on(sides.train.take_examples(), Some(&val), classes, config, watch);
    let trained = trained.map_err(ModelError::from)?;
    if trained.stopped == Stopped::Interrupted {
        return Err(StageErrorKind::Cancelled);
    }
    if let Some(message) = checkpoint.problem() {
        context.emit(Event::Warning { stage: NAME, message: format!("no checkpoint could be written: {message}") });
    }
    if trained.stopped == Stopped::MaxEpochs && config.head == HeadKind::Linear {
        let message = "the linear head did not converge; a larger `l2` helps".to_owned();
        context.emit(Event::Warning { stage: NAME, message });
    }
    Ok(trained)
}
