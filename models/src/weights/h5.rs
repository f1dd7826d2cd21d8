//! Keras weights in HDF5.
//!
//! Layout: one group per layer, named by the layer, in it the variables under their own full names, such as
//! `layer1/conv/layer1/conv/kernel:0`. A file of the whole model keeps all that under `model_weights/`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hdf5_pure::{Dataset, File};

use super::error::WeightsErrorKind;
use super::spec::{CLASSIFIER, TensorSpec};

/// Groups at the root among which the classifier is looked for; Keras writes some ninety.
const MAX_GROUPS: usize = 1024;

/// A Keras weights file that is open.
pub(super) struct KerasFile {
    file: File,
    /// `model_weights/` or nothing.
    root: &'static str,
    /// Name of the classifier's layer, which differs between versions of Keras.
    classifier: String,
}

impl KerasFile {
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, WeightsErrorKind> {
        contained(|| {
            let file = File::from_bytes(bytes).map_err(damaged)?;
            let root = if file.group("model_weights").is_ok() { "model_weights/" } else { "" };
            let groups = if root.is_empty() { file.root().groups() } else { file.group(root).and_then(|g| g.groups()) };
            let is_classifier = |name: &String| {
                let kernel = format!("{root}{name}/{name}/kernel:0");
                !name.starts_with("layer") && file.dataset(&kernel).is_ok()
            };
            let named = groups.map_err(damaged)?.into_iter().take(MAX_GROUPS).find(is_classifier);
            let classifier = named.unwrap_or_else(|| CLASSIFIER.to_owned());
            Ok(Self { file, root, classifier })
        })
    }

    /// Values of a tensor, in TensorFlow's order.
    pub(super) fn tensor(&self, spec: &TensorSpec) -> Result<Vec<f32>, WeightsErrorKind> {
        let layer = if spec.layer == CLASSIFIER { &self.classifier } else { &spec.layer };
        let path = format!("{}{layer}/{layer}/{}:0", self.root, spec.variable);
        contained(|| {
            let Ok(dataset) = self.file.dataset(&path) else {
                return Err(WeightsErrorKind::Missing { tensor: spec.name() });
            };
            read(&dataset, spec)
        })
    }
}

fn read(dataset: &Dataset, spec: &TensorSpec) -> Result<Vec<f32>, WeightsErrorKind> {
    let found = dataset.shape().map_err(damaged)?;
    // Checked before reading: a hostile shape must not decide how much is allocated.
    if !found.iter().copied().eq(spec.shape.iter().map(|&extent| extent as u64)) {
        return Err(WeightsErrorKind::Shape { tensor: spec.name(), expected: spec.shape.clone(), found });
    }
    dataset.read_f32().map_err(damaged)
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn damaged(error: hdf5_pure::Error) -> WeightsErrorKind {
    WeightsErrorKind::Hdf5(error.to_string())
}

/// Turns a panic of the HDF5 reader into an error: the bytes are a stranger's, and a parser of such a format has more
/// invariants than its authors can have checked.
fn contained<T>(parse: impl FnOnce() -> Result<T, WeightsErrorKind>) -> Result<T, WeightsErrorKind> {
    catch_unwind(AssertUnwindSafe(parse))
        .unwrap_or_else(|_| Err(WeightsErrorKind::Hdf5("the reader gave up on it".to_owned())))
}
