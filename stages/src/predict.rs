//! Predictions for new audio with a trained model: for whole clips and for windows within them.

use std::path::Path;

use ecosight_datasets::audio::{AudioSource, Span};
use ecosight_datasets::layout::Layout;
use ecosight_models::ModelError;
use ecosight_models::artefact::Artefact;
use ecosight_models::decision::{Answer, Decision};
use ecosight_models::embedder::Embedder;
use ecosight_models::frontend::params::FRAME_HOP_S;
use ecosight_models::head::{Pooler, Scored, mean_of_rows};
use ecosight_models::open::open_identity;
use ecosight_models::weights::WeightsCache;

use crate::StageErrorKind;
use crate::clip::{Bench, ClipError, Recipe, Stop, embed_clip};
use crate::sliding::Sliding;
use crate::stage::Context;
use crate::timings::Meter;
use crate::train::Pointer;

/// Length of audio that a window score is about, where the clip is longer: about the length of the clips that people label. A model that was trained on
/// windows has windows of its own.
const WINDOW_S: f64 = 5.0;

/// A model ready to predict. Its embedder is the one that it was trained with, or there is no predictor.
pub struct Predictor {
    version: String,
    artefact: Artefact,
    decision: Decision,
    embedder: Box<dyn Embedder>,
}

/// The models below `layout`, in order of their age.
pub fn versions(layout: &Layout) -> Vec<String> {
    let entries = std::fs::read_dir(layout.models()).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let names = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

/// The error of a version that there is not: it lists those that there are.
pub fn unknown_version(layout: &Layout, version: &str) -> StageErrorKind {
    let there_are = versions(layout).join(", ");
    let hint = if there_are.is_empty() { "there is none yet".to_owned() } else { format!("there are {there_are}") };
    StageErrorKind::data(format!("there is no model `{version}`"), hint)
}

/// Probabilities of a whole clip and of its windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Length in seconds.
    pub duration_s: f64,
    /// Of the whole clip, `[classes]`.
    pub clip: Vec<f32>,
    /// What the model answers of the whole clip.
    pub answer: Answer,
    /// Of windows within it, in order of time.
    pub windows: Vec<WindowScore>,
}

/// Probabilities of one window.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowScore {
    /// Start in seconds.
    pub start_s: f64,
    /// End in seconds; never beyond the clip's.
    pub end_s: f64,
    /// `[classes]`.
    pub probabilities: Vec<f32>,
    /// What the model answers of it.
    pub answer: Answer,
}

impl Predictor {
    /// The model `version` below `layout`, or the one in production.
    pub fn open(layout: &Layout, version: Option<&str>, weights: &WeightsCache) -> Result<Self, StageErrorKind> {
        let none = || {
            StageErrorKind::data(
                format!("there is no model in production in `{}`", layout.place()),
                "train one with `ecosight retrain --source DIR`, or name another folder with `--data-root`",
            )
        };
        let version = match version {
            Some(version) => version.to_owned(),
            None => Pointer::read(&layout.production())?.ok_or_else(none)?.version,
        };
        let folder = layout.model(&version);
        if !folder.is_dir() {
            return Err(unknown_version(layout, &version));
        }
        Self::load(&folder, version, weights)
    }

    /// The model `version`, or why it cannot be used on this machine.
    pub(crate) fn at_hand(context: &Context<'_>, version: &str) -> Result<Result<Self, String>, StageErrorKind> {
        match Self::open(context.layout, Some(version), context.weights) {
            Err(StageErrorKind::Model(
                error @ (ModelError::MissingWeights { .. } | ModelError::OtherEmbedder { .. }),
            )) => Ok(Err(error.to_string())),
            result => result.map(Ok),
        }
    }

    fn load(folder: &Path, version: String, weights: &WeightsCache) -> Result<Self, StageErrorKind> {
        let artefact = Artefact::load(folder).map_err(ModelError::from)?;
        let embedder = open_identity(&artefact.meta.embedder, weights)?;
        let decision = artefact.meta.decision();
        Ok(Self { version, artefact, decision, embedder })
    }

    /// Version of the model.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.artefact.meta.classes
    }

    /// Whether a clip can be of several classes, or of none.
    pub fn is_multi_label(&self) -> bool {
        self.artefact.meta.train.multi_label
    }

    /// An answer for people: a class, several, or `unknown`.
    pub fn name(&self, answer: &Answer) -> String {
        self.decision.name(answer)
    }

    /// Scores one clip.
    pub fn predict(
        &self,
        source: Box<dyn AudioSource>,
        meter: &Meter,
        stop: &Stop<'_>,
    ) -> Result<Prediction, ClipError> {
        self.predict_with_row(source, meter, stop).map(|(prediction, _)| prediction)
    }

    /// Scores one clip, and gives the pooled row of all of it as the head has seen it.
    pub fn predict_with_row(
        &self,
        source: Box<dyn AudioSource>,
        meter: &Meter,
        stop: &Stop<'_>,
    ) -> Result<(Prediction, Vec<f32>), ClipError> {
        let bench = Bench { embedder: &*self.embedder, meter, stop, is_measuring: false };
        let (mut whole, mut sliding, mut windows) =
            (self.pooler(), Sliding::new(self.window_patches()), Vec::<WindowScore>::new());
        let (length_s, _) = self.patch_s();
        let mut score = |first_s: f64, last_s: f64, rows: &[f32]| {
            let mut pooler = self.pooler();
            pooler.push(rows);
            let (probabilities, answer) = self.answer(&pooler.finish().concat());
            windows.push(WindowScore { start_s: first_s, end_s: last_s + length_s, probabilities, answer });
        };
        let heard = embed_clip(bench, source, None, &Recipe::ORIGINAL, &mut |patches| {
            whole.push(&patches.embeddings);
            sliding.push(patches, &mut score);
        })?;
        sliding.finish(&mut score);
        let duration_s = heard.duration_s;
        let rows = whole.finish().concat();
        if rows.is_empty() {
            return Err(ClipError::new("empty", &"there is nothing to score"));
        }
        let (clip, answer) = self.answer(&rows);
        let row = mean_of_rows(&rows, self.artefact.head.input_dim());
        // The one window of a short clip is the clip, with the bits of its own score.
        if windows.len() < 2 {
            let (probabilities, answer) = (clip.clone(), answer.clone());
            windows = vec![WindowScore { start_s: 0.0, end_s: duration_s, probabilities, answer }];
        }
        for window in &mut windows {
            window.end_s = window.end_s.min(duration_s);
        }
        Ok((Prediction { duration_s, clip, answer, windows }, row))
    }

    /// Scores the part `span` of a recording as a whole, `[classes]`.
    pub(crate) fn score_clip(
        &self,
        source: Box<dyn AudioSource>,
        span: Option<Span>,
        meter: &Meter,
        stop: &Stop<'_>,
    ) -> Result<Vec<f32>, ClipError> {
        let bench = Bench { embedder: &*self.embedder, meter, stop, is_measuring: false };
        let mut pooler = self.pooler();
        embed_clip(bench, source, span, &Recipe::ORIGINAL, &mut |patches| pooler.push(&patches.embeddings))?;
        let rows = pooler.finish().concat();
        if rows.is_empty() {
            return Err(ClipError::new("empty", &"there is nothing to score"));
        }
        Ok(self.artefact.head.of_clip(&rows))
    }

    fn pooler(&self) -> Pooler {
        Pooler::new(self.artefact.meta.train.summary(), self.embedder.dim())
    }

    /// Probabilities of what has these rows, `[classes]`, and what the model answers of it.
    fn answer(&self, rows: &[f32]) -> (Vec<f32>, Answer) {
        let Scored { logits, probabilities } = self.artefact.head.scored_clip(rows);
        let answer = self.decision.answer(&probabilities, &logits);
        (probabilities, answer)
    }

    /// Length and step of the embedder's patches in seconds.
    pub(crate) fn patch_s(&self) -> (f64, f64) {
        let windowing = self.embedder.windowing();
        (windowing.frames as f64 * FRAME_HOP_S, windowing.hop_frames as f64 * FRAME_HOP_S)
    }

    /// Patches of a window, at least one.
    fn window_patches(&self) -> usize {
        let trained = self.artefact.meta.train.window;
        if trained > 0 {
            return trained;
        }
        let (length, step) = self.patch_s();
        ((WINDOW_S - length) / step).max(0.0) as usize + 1
    }
}
