//! Consecutive patches of one clip or file, on their way into a table.

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeListArray, Float16Array, Float32Array, Float64Array, UInt32Array};
use half::f16;
use half::slice::HalfFloatSliceExt;

use super::schema::{ValueType, Vectors};
use crate::DatasetError;

/// Consecutive patches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patches {
    /// Number of the first one within its clip and variant.
    pub first: u32,
    /// Start of each in seconds, `[patches]`.
    pub start_s: Vec<f64>,
    /// `[patches, dim]`, row-major.
    pub embeddings: Vec<f32>,
}

impl Patches {
    /// Number of patches.
    pub fn len(&self) -> usize {
        self.start_s.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.start_s.is_empty()
    }

    /// Appends those that follow.
    pub fn append(&mut self, next: &Self) {
        self.start_s.extend_from_slice(&next.start_s);
        self.embeddings.extend_from_slice(&next.embeddings);
    }

    /// The columns `patch`, `start_s` and `embedding`.
    pub(super) fn columns(self, vectors: Vectors) -> Result<[ArrayRef; 3], DatasetError> {
        let numbers = UInt32Array::from_iter_values(self.first..self.first + self.len() as u32);
        let values: ArrayRef = match vectors.values {
            ValueType::Float32 => Arc::new(Float32Array::from(self.embeddings)),
            // Nothing is lost here: an embedder of such a table has rounded its values already.
            ValueType::Float16 => {
                let mut halves = vec![f16::ZERO; self.embeddings.len()];
                halves.convert_from_f32_slice(&self.embeddings);
                Arc::new(Float16Array::from(halves))
            }
        };
        let list = FixedSizeListArray::try_new(vectors.item(), vectors.dim as i32, values, None)
            .map_err(|e| DatasetError::new("build table", "embedding", e))?;
        Ok([Arc::new(numbers), Arc::new(Float64Array::from(self.start_s)), Arc::new(list)])
    }
}
