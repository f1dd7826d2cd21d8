//! Writing the cache's files.

use std::path::Path;

use super::error::{WeightsError, WeightsErrorKind};
use crate::files::replace;

/// Replaces `path` by `bytes`, atomically.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), WeightsError> {
    replace(path, bytes).map_err(|source| WeightsErrorKind::Write(source).at(path))
}
