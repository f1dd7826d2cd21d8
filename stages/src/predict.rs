//! Predictions for new audio with a trained model: for whole clips and for windows within them.

use std::path::Path;

use ecosight_datasets::audio::AudioSource;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::Patches;
use ecosight_models::ModelError;
use ecosight_models::artefact::Artefact;
use ecosight_models::embedder::Embedder;
use ecosight_models::frontend::params::FRAME_HOP_S;
use ecosight_models::open::open_identity;
use ecosight_models::weights::WeightsCache;

use crate::StageErrorKind;
use crate::clip::{Bench, ClipError, Recipe, Stop, embed_clip};
use crate::timings::Meter;
use crate::train::Pointer;

/// Length of audio that a window score is about, where the clip is longer: about the length of the clips that people label.
const WINDOW_S: f64 = 5.0;

/// A model ready to predict. Its embedder is the one that it was trained with, or there is no predictor.
pub struct Predictor {
    version: String,
    artefact: Artefact,
    embedder: Box<dyn Embedder>,
}

/// The models below `layout`, in order of their age.
fn versions(layout: &Layout) -> Vec<String> {
    let entries = std::fs::read_dir(layout.models()).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Probabilities of a whole clip and of its windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Length in seconds.
    pub duration_s: f64,
    /// Of the whole clip, `[classes]`.
    pub clip: Vec<f32>,
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
}

impl Predictor {
    /// The model `version` below `layout`, or the one in production.
    pub fn open(layout: &Layout, version: Option<&str>, weights: &WeightsCache) -> Result<Self, StageErrorKind> {
        let none = || {
            StageErrorKind::data(
                format!("there is no model in production in `{}`", layout.root().display()),
                "train one with `ecosight retrain --source DIR`, or name another folder with `--data-root`",
            )
        };
        let version = match version {
            Some(version) => version.to_owned(),
            None => Pointer::read(&layout.production())?.ok_or_else(none)?.version,
        };
        let folder = layout.model(&version);
        if !folder.is_dir() {
            let there_are = versions(layout).join(", ");
            let hint =
                if there_are.is_empty() { "there is none yet".to_owned() } else { format!("there are {there_are}") };
            return Err(StageErrorKind::data(format!("there is no model `{version}`"), hint));
        }
        Self::load(&folder, version, weights)
    }

    fn load(folder: &Path, version: String, weights: &WeightsCache) -> Result<Self, StageErrorKind> {
        let artefact = Artefact::load(folder).map_err(ModelError::from)?;
        let embedder = open_identity(&artefact.meta.embedder, weights)?;
        Ok(Self { version, artefact, embedder })
    }

    /// Version of the model.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.artefact.meta.classes
    }

    /// Scores one clip.
    pub fn predict(
        &self,
        source: Box<dyn AudioSource>,
        meter: &Meter,
        stop: &Stop<'_>,
    ) -> Result<Prediction, ClipError> {
        let bench = Bench { embedder: &*self.embedder, meter, stop };
        let mut embedded = embed_clip(bench, source, None, &[Recipe::ORIGINAL])?;
        let duration_s = embedded.heard.duration_s;
        let patches = embedded.variants.pop().unwrap_or_default();
        let clip = self.score(&patches.embeddings);
        let windows = if self.window_patches() >= patches.start_s.len() {
            vec![WindowScore { start_s: 0.0, end_s: duration_s, probabilities: clip.clone() }]
        } else {
            self.windows(&patches, duration_s)
        };
        Ok(Prediction { duration_s, clip, windows })
    }

    fn score(&self, patches: &[f32]) -> Vec<f32> {
        self.artefact.head.probabilities(&self.artefact.meta.train.pooling.pool(patches, self.embedder.dim()))
    }

    /// Length and step of the embedder's patches in seconds.
    fn patch_s(&self) -> (f64, f64) {
        let windowing = self.embedder.windowing();
        (windowing.frames as f64 * FRAME_HOP_S, windowing.hop_frames as f64 * FRAME_HOP_S)
    }

    /// Patches of a window, at least one.
    fn window_patches(&self) -> usize {
        let (length, step) = self.patch_s();
        ((WINDOW_S - length) / step).max(0.0) as usize + 1
    }

    /// Windows that overlap by half; the last one ends with the clip.
    fn windows(&self, patches: &Patches, duration_s: f64) -> Vec<WindowScore> {
        let (dim, n, size) = (self.embedder.dim(), patches.start_s.len(), self.window_patches());
        let (length, _) = self.patch_s();
        let mut firsts: Vec<usize> = (0..=n - size).step_by(size.div_ceil(2)).collect();
        if firsts.last() != Some(&(n - size)) {
            firsts.push(n - size);
        }
        let score = |first: usize| WindowScore {
            start_s: patches.start_s[first],
            end_s: (patches.start_s[first + size - 1] + length).min(duration_s),
            probabilities: self.score(&patches.embeddings[first * dim..(first + size) * dim]),
        };
        firsts.into_iter().map(score).collect()
    }
}
