//! `head.safetensors`: the tensors of a head, all `f32` little-endian.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

use super::ArtefactErrorKind;
use crate::head::{Head, HeadKind, HeadRecord, TensorRecord};

/// The bytes of a head's tensors; equal heads make equal bytes.
pub(super) fn to_bytes(head: &Head) -> Result<Vec<u8>, ArtefactErrorKind> {
    let HeadRecord(tensors) = HeadRecord::from(head);
    let little_endian: BTreeMap<String, (Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, tensor)| {
            let bytes = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (name, (tensor.shape, bytes))
        })
        .collect();
    let views = little_endian
        .iter()
        .map(|(name, (shape, bytes))| TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name, view)))
        .collect::<Result<BTreeMap<_, _>, _>>()
        .map_err(unreadable)?;
    safetensors::serialize(views, None).map_err(unreadable)
}

/// Reads the tensors of a head; what they must be follows from `kind` and `classes`.
pub(super) fn from_bytes(bytes: &[u8], kind: HeadKind, classes: usize) -> Result<Head, ArtefactErrorKind> {
    let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    let mut record = HeadRecord::default();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(ArtefactErrorKind::Safetensors(format!("tensor `{name}` is {:?}", view.dtype())));
        }
        let (chunks, _) = view.data().as_chunks::<4>();
        let values = chunks.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect();
        let tensor = TensorRecord { shape: view.shape().to_vec(), values };
        record.0.insert(name.to_owned(), tensor);
    }
    record.into_head(kind, classes).map_err(ArtefactErrorKind::Head)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` asks for")]
fn unreadable(error: SafeTensorError) -> ArtefactErrorKind {
    ArtefactErrorKind::Safetensors(error.to_string())
}
