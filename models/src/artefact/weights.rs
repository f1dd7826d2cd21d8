//! `head.safetensors`: the tensors of a head, all `f32` little-endian, with their BLAKE3 in the file's metadata under `blake3`.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

use super::ArtefactErrorKind;
use crate::head::{Head, HeadRecord, TensorRecord, TrainConfig};

/// Key of the hash in the metadata.
const HASH_KEY: &str = "blake3";

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
    let hash = hash(little_endian.iter().map(|(name, (_, bytes))| (name.as_str(), bytes.as_slice())));
    safetensors::serialize(views, Some([(HASH_KEY.to_owned(), hash)].into())).map_err(unreadable)
}

/// Reads the tensors of a head; what they must be follows from the settings and `classes`.
pub(super) fn from_bytes(bytes: &[u8], train: &TrainConfig, classes: usize) -> Result<Head, ArtefactErrorKind> {
    let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
    let views: BTreeMap<String, _> = file.iter().map(|(name, view)| (name.to_owned(), view)).collect();
    let found = hash(views.iter().map(|(name, view)| (name.as_str(), view.data())));
    if header.metadata().as_ref().and_then(|pairs| pairs.get(HASH_KEY)) != Some(&found) {
        return Err(ArtefactErrorKind::Safetensors(
            "the tensors are damaged: their hash is not the stored one".to_owned(),
        ));
    }
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
    record.into_head(train.head, train.scores(), classes).map_err(ArtefactErrorKind::Head)
}

/// BLAKE3 over names and values, in the order of the names; hexadecimal.
fn hash<'a>(tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, bytes) in tensors {
        for field in [name.as_bytes(), bytes] {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
    }
    hasher.finalize().to_hex().to_string()
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` asks for")]
fn unreadable(error: SafeTensorError) -> ArtefactErrorKind {
    ArtefactErrorKind::Safetensors(error.to_string())
}
