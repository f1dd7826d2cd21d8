//! The classifier of the system that this one replaces, beside the model trained last, on the same test clips.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use ecosight_datasets::files::read_regular;
use ecosight_datasets::key::ClipId;
use ecosight_datasets::tables::{EmbedReader, PredictionRow, Side, read_file};
use ecosight_models::ModelError;
use ecosight_models::artefact::{Artefact, CLASS_NAMES_FILE};
use ecosight_models::frontend::params::{FRAME_HOP_S, PATCH_FRAMES};
use ecosight_models::head::{Pooler, Pooling};
use ecosight_models::import::{KerasHead, SERVED_S, read_keras};
use ecosight_models::metrics::{Bootstrap, Clusters, PairedDifferences, paired_bootstrap};
use serde::Serialize;

use crate::StageErrorKind;
use crate::evaluate::{TEST_FILE, candidate};
use crate::labels::Labels;
use crate::pooled::embedder_of;
use crate::stage::Context;

/// How both do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replaced {
    /// The model of this system.
    pub model: String,
    /// Test clips that both were asked about.
    pub clips: u64,
    /// Test clips of classes that the other one does not know.
    pub left_out: u64,
    /// Classes of either, in the order of the recalls.
    pub classes: Vec<String>,
    /// From the other one (a) to this model (b), with intervals by what the split keeps together.
    pub differences: PairedDifferences,
}

/// Asks the classifier in the `.keras` file, whose classes `class_names.json` beside it names, about the test clips of the model trained last. It is
/// given what it is given in use: the mean embedding of the first four seconds.
pub fn compare(context: &Context<'_>, file: &Path) -> Result<Replaced, StageErrorKind> {
    let version = candidate(context)?;
    let folder = context.layout.model(&version);
    let meta = Artefact::load(&folder).map_err(ModelError::from)?.meta;
    let labels = Labels::read(context, &meta.train)?;
    if labels.sets().is_some() {
        let message = "the model trained last knows clips of several classes, the other one of one class only";
        return Err(StageErrorKind::data(message, "train one without `train.multi_label` to compare them"));
    }
    let (head, names) = read(file)?;
    let mut classes = labels.classes.clone();
    classes.extend(names.iter().filter(|name| !labels.classes.contains(name)).cloned());
    // None for `unknown`, which is no class.
    let place = |name: &String| classes.iter().position(|class| class == name);

    let rows = mean_embeddings(context, &labels, head.input_dim())?;
    let tested: Vec<PredictionRow> = read_file(&folder.join(TEST_FILE))?;
    let known = |row: &&PredictionRow| names.contains(&row.label) && rows.contains_key(&row.clip_id);
    let common: Vec<&PredictionRow> = tested.iter().filter(known).collect();
    let (mut theirs, mut ours, mut truth, mut kept) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in &common {
        let scores = head.predict(&rows[&row.clip_id]);
        let best = (0..scores.len()).fold(0, |best, class| if scores[class] > scores[best] { class } else { best });
        theirs.push(place(&names[best]));
        ours.push(place(&row.predicted));
        truth.extend(place(&row.label));
        kept.push(labels.clips[&row.clip_id].kept);
    }
    if common.is_empty() {
        let message = format!("there is no test clip of a class that `{}` knows: {}", file.display(), names.join(", "));
        return Err(StageErrorKind::data(
            message,
            "classes are compared by their names, in `class_names.json` beside the file",
        ));
    }
    let clusters = Clusters { of_rows: &kept, unit: context.kept_together() };
    let differences = paired_bootstrap(&theirs, &ours, &truth, classes.len(), clusters, Bootstrap::default());
    let differences = differences.map_err(ModelError::from)?;
    let (clips, left_out) = (common.len() as u64, (tested.len() - common.len()) as u64);
    Ok(Replaced { model: version, clips, left_out, classes, differences })
}

/// The classifier, and the names of its classes.
fn read(file: &Path) -> Result<(KerasHead, Vec<String>), StageErrorKind> {
    let hint = "name the `.keras` file of the replaced system; `class_names.json` must lie beside it";
    let head = read_keras(file).map_err(|error| StageErrorKind::data(chain(&error), hint))?;
    let path = file.with_file_name(CLASS_NAMES_FILE);
    let unreadable = |why: String| StageErrorKind::data(format!("`{}`: {why}", path.display()), hint);
    let bytes = read_regular(&path).map_err(|error| unreadable(error.to_string()))?;
    let names: Vec<String> = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    if names.len() != head.classes() {
        return Err(unreadable(format!("it names {} classes, and the classifier has {}", names.len(), head.classes())));
    }
    Ok((head, names))
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// The mean embedding, `[dim]`, of the beginning of each test clip, as far as the replaced system listens.
fn mean_embeddings(
    context: &Context<'_>,
    labels: &Labels,
    dim: usize,
) -> Result<BTreeMap<ClipId, Vec<f32>>, StageErrorKind> {
    let reader = EmbedReader::open(context.layout)?;
    let embedder = embedder_of(&reader)?;
    if embedder.name != "yamnet" {
        let message =
            format!("the clips were embedded with `{embedder}`, and the other classifier needs YAMNet's embeddings");
        return Err(StageErrorKind::data(message, "run `ecosight retrain` with `embed.embedder = \"yamnet\"` first"));
    }
    let ends_s = |start_s: f64| start_s + PATCH_FRAMES as f64 * FRAME_HOP_S;
    let mut poolers: BTreeMap<ClipId, Pooler> = BTreeMap::new();
    for run in reader {
        context.check_cancelled()?;
        let (unit, patches) = run?;
        let is_test = labels.clips.get(&unit.clip_id).is_some_and(|clip| clip.split.side == Side::Test);
        if unit.variant > 0 || !is_test {
            continue;
        }
        let width = patches.embeddings.len() / patches.len();
        if width != dim {
            let message = format!("the other classifier takes {dim} values, and embeddings have {width}");
            return Err(StageErrorKind::data(message, "it is no classifier on YAMNet's embeddings"));
        }
        let pooler = poolers.entry(unit.clip_id).or_insert_with(|| Pooler::new(Pooling::Mean.into(), dim));
        for (start_s, patch) in patches.start_s.iter().zip(patches.embeddings.chunks_exact(dim)) {
            if *start_s <= 0.0 || ends_s(*start_s) <= SERVED_S {
                pooler.push(patch);
            }
        }
    }
    Ok(poolers
        .into_iter()
        .map(|(id, pooler)| (id, pooler.finish().concat()))
        .filter(|(_, row)| !row.is_empty())
        .collect())
}
