//! `model.weights.h5`: the variables of the layers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hdf5_pure::File;

use super::ImportErrorKind;

/// Values of all variables together; the replaced system's classifier has 700,000.
const MAX_VALUES: u64 = 32 * 1024 * 1024;

/// The file, and how many values may still be read of it.
pub(super) struct Variables {
    file: File,
    values_left: u64,
}

impl Variables {
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, ImportErrorKind> {
        contained(|| {
            let file = File::from_bytes(bytes).map_err(damaged)?;
            Ok(Self { file, values_left: MAX_VALUES })
        })
    }

    /// Values and shape of variable `index` of a layer. The shape must be one that `fits` accepts; `expected` says which in words.
    pub(super) fn read(
        &mut self,
        group: &str,
        index: usize,
        expected: &str,
        fits: impl Fn(&[u64]) -> bool,
    ) -> Result<(Vec<f32>, Vec<u64>), ImportErrorKind> {
        let variable = format!("layers/{group}/vars/{index}");
        let (file, values_left) = (&self.file, self.values_left);
        let (values, found, count) = contained(|| {
            let Ok(dataset) = file.dataset(&variable) else {
                return Err(ImportErrorKind::MissingVariable(variable.clone()));
            };
            // Checked before reading: a hostile shape must not decide how much is allocated.
            let found = dataset.shape().map_err(damaged)?;
            let count = found.iter().try_fold(1, |count: u64, &extent| count.checked_mul(extent));
            let Some(count) = count.filter(|&count| count > 0 && count <= values_left && fits(&found)) else {
                let expected = expected.to_owned();
                return Err(ImportErrorKind::Shape { variable: variable.clone(), expected, found });
            };
            Ok((dataset.read_f32().map_err(damaged)?, found, count))
        })?;
        self.values_left -= count;
        if values.len() as u64 != count {
            return Err(ImportErrorKind::Hdf5(format!("`{variable}` is incomplete")));
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(ImportErrorKind::Value(variable));
        }
        Ok((values, found))
    }

    /// Variable `index` of a layer, of `length` values.
    pub(super) fn vector(&mut self, group: &str, index: usize, length: u64) -> Result<Vec<f32>, ImportErrorKind> {
        let (values, _) = self.read(group, index, &format!("[{length}]"), |shape| shape == [length])?;
        Ok(values)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn damaged(error: hdf5_pure::Error) -> ImportErrorKind {
    ImportErrorKind::Hdf5(error.to_string())
}

/// Turns a panic of the HDF5 reader into an error: the bytes are a stranger's.
fn contained<T>(parse: impl FnOnce() -> Result<T, ImportErrorKind>) -> Result<T, ImportErrorKind> {
    catch_unwind(AssertUnwindSafe(parse))
        .unwrap_or_else(|_| Err(ImportErrorKind::Hdf5("the reader gave up on it".to_owned())))
}
