//! Weights in safetensors, the format of the cache.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::error::WeightsErrorKind;
use super::spec::{TensorSpec, tensor_specs};
use super::yamnet::YamnetWeights;

/// Parses the header; the values stay where they are.
pub(super) fn open(bytes: &[u8]) -> Result<SafeTensors<'_>, WeightsErrorKind> {
    SafeTensors::deserialize(bytes).map_err(WeightsErrorKind::Safetensors)
}

/// Values of a tensor.
pub(super) fn tensor(file: &SafeTensors<'_>, spec: &TensorSpec) -> Result<Vec<f32>, WeightsErrorKind> {
    let tensor = spec.name();
    let Ok(view) = file.tensor(&tensor) else {
        return Err(WeightsErrorKind::Missing { tensor });
    };
    if view.dtype() != Dtype::F32 {
        return Err(WeightsErrorKind::Type { tensor, found: format!("{:?}", view.dtype()) });
    }
    if view.shape() != spec.shape {
        let found = view.shape().iter().map(|&extent| extent as u64).collect();
        return Err(WeightsErrorKind::Shape { tensor, expected: spec.shape.clone(), found });
    }
    let (values, _) = view.data().as_chunks::<4>();
    Ok(values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

/// The bytes of a file with all tensors; safetensors sorts them, so the bytes are always the same.
pub(super) fn encode(weights: &YamnetWeights) -> Result<Vec<u8>, WeightsErrorKind> {
    let specs = tensor_specs();
    let values = |spec: &TensorSpec| weights.tensor(&spec.name()).iter().flat_map(|v| v.to_le_bytes()).collect();
    let bytes: Vec<Vec<u8>> = specs.iter().map(values).collect();
    let views = specs
        .iter()
        .zip(&bytes)
        .map(|(spec, bytes)| Ok((spec.name(), TensorView::new(Dtype::F32, spec.shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(WeightsErrorKind::Safetensors)?;
    safetensors::serialize(views, None).map_err(WeightsErrorKind::Safetensors)
}
