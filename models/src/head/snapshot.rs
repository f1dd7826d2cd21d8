//! How far a training has come, as bytes: with them it goes on, elsewhere and later, to the same bits as if it had never stopped.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Key of the facts (JSON) in the metadata.
const FACTS: &str = "facts";

/// Named arrays and a few facts.
#[derive(Default)]
pub(super) struct Snapshot {
    facts: String,
    arrays: BTreeMap<String, Vec<u8>>,
}

impl Snapshot {
    pub(super) fn new(facts: &impl Serialize) -> Self {
        let facts = serde_json::to_string(facts).expect("facts are plain data");
        Self { facts, arrays: BTreeMap::new() }
    }

    pub(super) fn facts<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.facts).ok()
    }

    pub(super) fn put_bytes(&mut self, name: &str, bytes: Vec<u8>) {
        self.arrays.insert(name.to_owned(), bytes);
    }

    pub(super) fn put_f32s(&mut self, name: &str, values: &[f32]) {
        self.put_bytes(name, values.iter().flat_map(|x| x.to_le_bytes()).collect());
    }

    pub(super) fn take_bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        self.arrays.remove(name)
    }

    /// An array of `len` values.
    pub(super) fn take_f32s(&mut self, name: &str, len: usize) -> Option<Vec<f32>> {
        let bytes = self.take_bytes(name)?;
        (bytes.len() == 4 * len).then(|| bytes.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect())
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        let view = |bytes| TensorView::new(Dtype::U8, vec![<[u8]>::len(bytes)], bytes);
        let views: Result<BTreeMap<&str, TensorView<'_>>, _> =
            self.arrays.iter().map(|(name, bytes)| view(bytes).map(|view| (name.as_str(), view))).collect();
        let views = views.expect("bytes are as many as they are");
        safetensors::serialize(views, Some([(FACTS.to_owned(), self.facts)].into())).expect("the arrays are in memory")
    }

    /// Nothing where the bytes are none of a snapshot.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
        let facts = header.metadata().as_ref()?.get(FACTS)?.clone();
        let file = SafeTensors::deserialize(bytes).ok()?;
        let arrays = file.iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect();
        Some(Self { facts, arrays })
    }
}
