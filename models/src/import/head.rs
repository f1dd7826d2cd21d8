//! The classifier of the replaced system.

use std::io::Read;
use std::path::Path;

use super::variables::Variables;
use super::{ImportError, ImportErrorKind, archive, build, config};
use crate::dense::Dense;
use crate::files::open_regular;

/// No file of a classifier is larger.
const MAX_FILE_BYTES: u64 = 128 * 1024 * 1024;

/// How much of a clip the replaced system looks at, seconds from its start.
pub const SERVED_S: f64 = 4.0;

/// A classifier over the mean of YAMNet's embeddings, as Keras saved it.
#[derive(Debug, Clone, PartialEq)]
pub struct KerasHead {
    /// First to last, batch normalisations folded; the last one ends in softmax.
    layers: Vec<Dense>,
}

/// Reads the `.keras` file at `path`.
pub fn read_keras(path: &Path) -> Result<KerasHead, ImportError> {
    let failed = |source| ImportErrorKind::Read(source).at(path);
    let mut bytes = Vec::new();
    let file = open_regular(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ImportErrorKind::TooLarge { part: "the file", limit: MAX_FILE_BYTES }.at(path));
    }
    KerasHead::from_bytes(&bytes).map_err(|kind| kind.at(path))
}

impl KerasHead {
    /// Reads the content of a `.keras` file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ImportErrorKind> {
        let members = archive::open(bytes)?;
        let steps = config::steps(&members.config)?;
        let layers = build::build(&steps, &mut Variables::open(members.weights)?)?;
        Ok(Self { layers })
    }

    /// First to last, batch normalisations folded; the last one ends in softmax.
    pub fn layers(&self) -> &[Dense] {
        &self.layers
    }

    /// Values of an embedding; 1024 for YAMNet.
    pub fn input_dim(&self) -> usize {
        self.layers.first().map_or(0, Dense::inputs)
    }

    /// Number of classes. Their names lie in `class_names.json` beside the file.
    pub fn classes(&self) -> usize {
        self.layers.last().map_or(0, Dense::outputs)
    }

    /// Probabilities `[classes]` as the replaced system serves them, of the mean embedding `[input_dim]` of a clip's first
    /// [`SERVED_S`] seconds: the values are first standardised by their own mean and population standard deviation.
    ///
    /// Values that are all the same become zeros, where the replaced system divides by zero.
    ///
    /// # Panics
    ///
    /// When the embedding has another length.
    pub fn predict(&self, mean_embedding: &[f32]) -> Vec<f32> {
        self.layers.iter().fold(standardised(mean_embedding), |row, layer| layer.apply(&row))
    }
}

/// A row less its mean, over its population standard deviation.
fn standardised(row: &[f32]) -> Vec<f32> {
    let n = row.len() as f64;
    let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    let scale = if variance > 0.0 { variance.sqrt() } else { 1.0 };
    row.iter().map(|&x| ((f64::from(x) - mean) / scale) as f32).collect()
}
