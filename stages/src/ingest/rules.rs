//! What is taken in: the table `[ingest]` of the pipeline file, and the classes.

use ecosight_datasets::DatasetError;
use ecosight_datasets::layout::ClassName;
use ecosight_datasets::runtime::block_on;
use serde::Deserialize;

use super::{Ingest, Rejection};
use crate::params::{Params, Problem, unknown, within};

/// What is taken in, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Classes that may be used before they have a recording.
    pub classes: Vec<String>,
    /// The largest file that is taken, in megabytes.
    pub max_upload_mb: f64,
    /// Whether the copy in the data root stays once the bucket has one.
    pub keep_local: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { classes: Vec::new(), max_upload_mb: 50.0, keep_local: true }
    }
}

impl Params for Rules {
    const KEYS: &'static [&'static str] = &["classes", "max_upload_mb", "keep_local"];

    fn problems(&self) -> Vec<Problem> {
        let bad = |class: &String| ClassName::new(class).err().map(|error| Problem::new("classes", error.to_string()));
        let mut problems: Vec<_> = self.classes.iter().filter_map(bad).collect();
        problems.extend(within("max_upload_mb", self.max_upload_mb, 0.001, 100_000.0));
        problems
    }
}

impl Rules {
    /// The largest file that is taken, in bytes; a megabyte is 1024 · 1024 of them.
    pub fn max_bytes(&self) -> u64 {
        (self.max_upload_mb * 1_048_576.0) as u64
    }
}

/// What happens to a class that has no recording yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewClass {
    /// It is made.
    Welcome,
    /// It is taken for a slip.
    Refused,
}

impl Ingest<'_> {
    /// The class called `name`.
    pub fn class(&self, name: &str, new: NewClass) -> Result<Result<ClassName, Rejection>, DatasetError> {
        let class = match ClassName::new(name) {
            Ok(class) => class,
            Err(problem) => {
                let hint = "write it in lower case, with `_` instead of spaces";
                return Ok(Err(Rejection::new("bad_class", problem.to_string(), hint)));
            }
        };
        let known = self.classes()?;
        if new == NewClass::Welcome || known.contains(&class.as_str().to_owned()) || self.is_in_bucket(&class) {
            return Ok(Ok(class));
        }
        let message = unknown("class", class.as_str(), known.iter().map(String::as_str));
        let hint = "if it is a new one, add `--new-class`, or name it under `[ingest] classes` in ecosight.toml";
        Ok(Err(Rejection::new("unknown_class", message, hint)))
    }

    /// Whether another machine has filed recordings under this class.
    fn is_in_bucket(&self, class: &ClassName) -> bool {
        let folder = ecosight_datasets::layout::Area::ExtractedAudio.name();
        // A bucket that does not answer knows nothing better than this machine.
        let classes = self.store.as_ref().and_then(|store| block_on(store.folders(folder)).ok());
        classes.unwrap_or_default().contains(&class.as_str().to_owned())
    }
}
