//! Predictions for new audio with a trained model: for whole clips and for windows within them.

use std::collections::VecDeque;
use std::path::Path;

use ecosight_datasets::audio::AudioSource;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::Patches;
use ecosight_models::ModelError;
use ecosight_models::artefact::Artefact;
use ecosight_models::embedder::Embedder;
use ecosight_models::frontend::params::FRAME_HOP_S;
use ecosight_models::head::Pooler;
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
        let mut whole = self.pooler();
        let mut windows = Windows::new(self);
        let heard = embed_clip(bench, source, None, &Recipe::ORIGINAL, &mut |patches| {
            whole.push(&patches.embeddings);
            windows.push(patches);
        })?;
        let duration_s = heard.duration_s;
        let nothing = || ClipError::new("empty", &"there is nothing to score");
        let clip = self.score(whole).ok_or_else(nothing)?;
        let mut windows = windows.finish();
        if windows.is_empty() {
            windows.push(WindowScore { start_s: 0.0, end_s: duration_s, probabilities: clip.clone() });
        }
        for window in &mut windows {
            window.end_s = window.end_s.min(duration_s);
        }
        Ok(Prediction { duration_s, clip, windows })
    }

    fn pooler(&self) -> Pooler {
        Pooler::new(self.artefact.meta.train.pooling, self.embedder.dim())
    }

    fn score(&self, pooler: Pooler) -> Option<Vec<f32>> {
        pooler.finish().map(|row| self.artefact.head.probabilities(&row))
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
}

/// Scores windows that overlap by half, the last one ending with the clip, while its patches come by; holds the patches of one window.
struct Windows<'a> {
    predictor: &'a Predictor,
    /// Patches of a window.
    size: usize,
    /// The patches from the first one on that a window may still need: start of each, and their values.
    start_s: VecDeque<f64>,
    rows: VecDeque<f32>,
    /// Number of the first patch that is held, and of the one where the next window starts.
    first: usize,
    next: usize,
    scores: Vec<WindowScore>,
}

impl<'a> Windows<'a> {
    fn new(predictor: &'a Predictor) -> Self {
        let (start_s, rows) = (VecDeque::new(), VecDeque::new());
        let size = predictor.window_patches();
        Self { predictor, size, start_s, rows, first: 0, next: 0, scores: Vec::new() }
    }

    fn push(&mut self, patches: &Patches) {
        let dim = self.predictor.embedder.dim();
        for (start_s, row) in patches.start_s.iter().zip(patches.embeddings.chunks_exact(dim)) {
            if self.start_s.len() == self.size {
                self.start_s.pop_front();
                self.rows.drain(..dim);
                self.first += 1;
            }
            self.start_s.push_back(*start_s);
            self.rows.extend(row);
            if self.start_s.len() == self.size && self.first == self.next {
                self.score();
                self.next += self.size.div_ceil(2);
            }
        }
    }

    /// Scores the patches that are held.
    fn score(&mut self) {
        let mut pooler = self.predictor.pooler();
        pooler.push(self.rows.make_contiguous());
        let (Some(start_s), Some(last_s)) = (self.start_s.front(), self.start_s.back()) else { return };
        let (length_s, _) = self.predictor.patch_s();
        let Some(probabilities) = self.predictor.score(pooler) else { return };
        self.scores.push(WindowScore { start_s: *start_s, end_s: last_s + length_s, probabilities });
    }

    /// The scores; none where the clip is no longer than a window.
    fn finish(mut self) -> Vec<WindowScore> {
        if self.first == 0 {
            return Vec::new();
        }
        // The last window that was scored started half a window before `next`.
        if self.first + self.size.div_ceil(2) != self.next {
            self.score();
        }
        self.scores
    }
}
