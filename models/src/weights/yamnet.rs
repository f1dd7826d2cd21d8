//! The weights themselves.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use super::atomic;
use super::content::ContentHash;
use super::error::{WeightsError, WeightsErrorKind};
use super::spec::{TensorSpec, tensor_specs};
use super::{h5, safetensors_file};
use crate::files::open_regular;

/// No file of these weights is larger; the published one has 15 MB.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// First bytes of an HDF5 file.
const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// All tensors of YAMNet, of the published shapes, every value finite.
#[derive(Clone, Debug, PartialEq)]
pub struct YamnetWeights {
    tensors: BTreeMap<String, Vec<f32>>,
    content_hash: ContentHash,
}

impl YamnetWeights {
    /// Reads a Keras weights file, such as the published `yamnet.h5`.
    pub fn from_h5(path: &Path) -> Result<Self, WeightsError> {
        read(path).and_then(|bytes| Self::from_h5_bytes(bytes).map_err(|kind| kind.at(path)))
    }

    /// Reads what [`save_safetensors`](Self::save_safetensors) wrote.
    pub fn from_safetensors(path: &Path) -> Result<Self, WeightsError> {
        read(path).and_then(|bytes| Self::from_safetensors_bytes(&bytes).map_err(|kind| kind.at(path)))
    }

    /// Reads the bytes of either format, told apart by their beginning.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, WeightsErrorKind> {
        if bytes.starts_with(HDF5_SIGNATURE) {
            return Self::from_h5_bytes(bytes);
        }
        if bytes.starts_with(b"PK\x03\x04") {
            return Err(WeightsErrorKind::Archive);
        }
        if bytes.get(4..8) == Some(b"TFL3") {
            return Err(WeightsErrorKind::TensorFlowLite);
        }
        // A safetensors file is the length of a JSON object and then that object.
        if bytes.get(8) == Some(&b'{') {
            return Self::from_safetensors_bytes(&bytes);
        }
        Err(WeightsErrorKind::UnknownFormat)
    }

    /// Weights whose values `values` makes up, for tests and untrained networks; one value per element of the
    /// description, in TensorFlow's order.
    pub fn from_fn(mut values: impl FnMut(&TensorSpec) -> Vec<f32>) -> Result<Self, WeightsErrorKind> {
        Self::collect(|spec| Ok(values(spec)))
    }

    fn from_h5_bytes(bytes: Vec<u8>) -> Result<Self, WeightsErrorKind> {
        if !bytes.starts_with(HDF5_SIGNATURE) {
            return Err(WeightsErrorKind::Hdf5("the signature is missing".to_owned()));
        }
        let file = h5::KerasFile::open(bytes)?;
        Self::collect(|spec| file.tensor(spec))
    }

    fn from_safetensors_bytes(bytes: &[u8]) -> Result<Self, WeightsErrorKind> {
        let file = safetensors_file::open(bytes)?;
        Self::collect(|spec| safetensors_file::tensor(&file, spec))
    }

    /// Asks for every tensor of the network, and checks it.
    fn collect(
        mut source: impl FnMut(&TensorSpec) -> Result<Vec<f32>, WeightsErrorKind>,
    ) -> Result<Self, WeightsErrorKind> {
        let specs = tensor_specs();
        let mut tensors = BTreeMap::new();
        for spec in &specs {
            let values = source(spec)?;
            check(spec, &values)?;
            tensors.insert(spec.name(), values);
        }
        let content_hash = ContentHash::of(specs.iter().map(|spec| (spec, tensors[&spec.name()].as_slice())));
        Ok(Self { tensors, content_hash })
    }

    /// Writes the weights; the file appears whole or not at all, and the same weights give the same bytes.
    pub fn save_safetensors(&self, path: &Path) -> Result<(), WeightsError> {
        let bytes = safetensors_file::encode(self).map_err(|kind| kind.at(path))?;
        atomic::write(path, &bytes)
    }

    /// Hash of names, shapes and values.
    pub fn content_hash(&self) -> &ContentHash {
        &self.content_hash
    }

    /// Values of the tensor `name` (`<layer>/<variable>`) in TensorFlow's order.
    ///
    /// # Panics
    /// When YAMNet has no such tensor.
    pub fn tensor(&self, name: &str) -> &[f32] {
        &self.tensors[name]
    }
}

fn check(spec: &TensorSpec, values: &[f32]) -> Result<(), WeightsErrorKind> {
    if values.len() != spec.len() {
        let found = vec![values.len() as u64];
        return Err(WeightsErrorKind::Shape { tensor: spec.name(), expected: spec.shape.clone(), found });
    }
    let lowest = if spec.variable == "moving_variance" { 0.0 } else { f32::MIN };
    if values.iter().all(|value| value.is_finite() && *value >= lowest) {
        Ok(())
    } else {
        Err(WeightsErrorKind::Value { tensor: spec.name() })
    }
}

/// Reads a whole file, after a look at what it is.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, WeightsError> {
    let saved_model = path.join("saved_model.pb").exists() || path.extension().is_some_and(|e| e == "pb");
    if saved_model {
        return Err(WeightsErrorKind::SavedModel.at(path));
    }
    let failed = |source| WeightsErrorKind::Read(source).at(path);
    let file = open_regular(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if bytes > MAX_FILE_BYTES {
        return Err(WeightsErrorKind::TooLarge { bytes, limit: MAX_FILE_BYTES }.at(path));
    }
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut content).map_err(failed)?;
    Ok(content)
}
