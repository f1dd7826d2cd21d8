//! What is taken in: the table `[ingest]` of the pipeline file, and the classes.

use ecosight_datasets::DatasetError;
use ecosight_datasets::layout::{ClassName, Layout};
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::Store;
use ecosight_datasets::tracks::Tracks;
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
        class(self.layout, &self.rules, Some(&self.tracks), self.store.as_ref(), (name, new))
    }

    /// Classes that have a folder, a recording or a line in the configuration, in order.
    pub fn classes(&self) -> Result<Vec<String>, DatasetError> {
        classes(self.layout, &self.rules, Some(&self.tracks))
    }
}

/// Classes that have a folder, a recording or a line in the configuration, in order.
fn classes(layout: &Layout, rules: &Rules, tracks: Option<&Tracks>) -> Result<Vec<String>, DatasetError> {
    let mut classes = tracks.map(Tracks::classes).transpose()?.unwrap_or_default();
    classes.extend(rules.classes.iter().cloned());
    if let Ok(entries) = std::fs::read_dir(layout.extracted_audio()) {
        let folders = entries.filter_map(Result::ok).filter(|entry| entry.path().is_dir());
        classes.extend(folders.filter_map(|entry| entry.file_name().into_string().ok()));
    }
    classes.retain(|class| ClassName::new(class).is_ok());
    classes.sort();
    classes.dedup();
    Ok(classes)
}

/// The class called `name`, among those that this machine or the bucket knows.
pub(super) fn class(
    layout: &Layout,
    rules: &Rules,
    tracks: Option<&Tracks>,
    store: Option<&Store>,
    (name, new): (&str, NewClass),
) -> Result<Result<ClassName, Rejection>, DatasetError> {
    let class = match ClassName::new(name) {
        Ok(class) => class,
        Err(problem) => {
            let hint = "write it as `gunshot` or `tree_frog`: in lower case, with `_` instead of spaces";
            return Ok(Err(Rejection::new("bad_class", problem.to_string(), hint)));
        }
    };
    let name = class.as_str().to_owned();
    let mut known = classes(layout, rules, tracks)?;
    if new == NewClass::Welcome || known.contains(&name) {
        return Ok(Ok(class));
    }
    // Another machine may have filed recordings under it.
    let folder = ecosight_datasets::layout::Area::ExtractedAudio.name();
    let Ok(classes) = store.map(|store| block_on(store.folders(folder))).transpose() else {
        let message = format!(
            "this machine has no recording of a class `{name}`, and the bucket, which may know it, does not answer"
        );
        let hint = "`--new-class` takes it all the same; `ecosight storage doctor` tells what keeps the bucket";
        return Ok(Err(Rejection::new("unknown_class", message, hint)));
    };
    known.extend(classes.into_iter().flatten().filter(|class| ClassName::new(class).is_ok()));
    if known.contains(&name) {
        return Ok(Ok(class));
    }
    let hint = "if it is a new one, add `--new-class`, or name it under `[ingest] classes` in ecosight.toml";
    let message = if known.is_empty() {
        format!("there is no class `{name}`, nor any other yet")
    } else {
        known.sort();
        known.dedup();
        unknown("class", &name, known.iter().map(String::as_str))
    };
    Ok(Err(Rejection::new("unknown_class", message, hint)))
}
