//! What the last run in a data root read, and with which parameters: the next one reads the same, and is told what differs.

use ecosight_datasets::files::write_atomic;
use ecosight_datasets::layout::{Area, Layout};
use ecosight_datasets::manifest::Source;
use ecosight_datasets::store::Place;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::error::CliError;
use super::session::absolute;
use crate::engine::LaterFormat;

/// Version of the format. The first one had no `schema_version`, and no places relative to the data root.
const SCHEMA_VERSION: u32 = 2;

/// The last run whose manifest was made.
pub(crate) struct LastRun {
    /// What it read.
    pub(crate) source: Source,
    /// Its effective pipeline.
    pub(crate) pipeline: Table,
    /// The originals of another data root that the record names, though this one has its own, which are the source now: the root was copied or moved since.
    pub(crate) other_root: Option<Place>,
}

/// The record as it is written.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(default)]
    schema_version: u32,
    source: Source,
    /// Whether the place of the source is relative to the data root, which may be copied and moved.
    #[serde(default)]
    is_in_root: bool,
    pipeline: Table,
}

impl LastRun {
    /// Reads it; none before the first run.
    pub(crate) fn read(layout: &Layout) -> Result<Option<Self>, CliError> {
        let path = layout.last_run();
        let Ok(bytes) = std::fs::read(&path) else { return Ok(None) };
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!("`{}` is unreadable: {error}", path.display());
            CliError::usage(message, "remove that file, and name the source again with `--source`")
        })?;
        if stored.schema_version > SCHEMA_VERSION {
            let (found, known) = (u64::from(stored.schema_version), SCHEMA_VERSION);
            return Err(LaterFormat { path: path.display().to_string(), found, known }.into());
        }
        let root = root(layout)?;
        let Stored { mut source, pipeline, .. } = stored;
        let mut other_root = None;
        if stored.is_in_root {
            let place = source.place_mut();
            *place = root.join(&place.to_string());
        } else if stored.schema_version < SCHEMA_VERSION && is_of_other_root(&source, layout, &root) {
            other_root = Some(std::mem::replace(source.place_mut(), root.join(Area::ExtractedAudio.name())));
        }
        Ok(Some(Self { source, pipeline, other_root }))
    }

    /// Writes it.
    pub(crate) fn write(source: &Source, pipeline: &Table, layout: &Layout) -> Result<(), CliError> {
        let mut stored = Stored {
            schema_version: SCHEMA_VERSION,
            source: source.clone(),
            is_in_root: false,
            pipeline: pipeline.clone(),
        };
        if let Some(name) = source.place().below(&root(layout)?) {
            (*stored.source.place_mut(), stored.is_in_root) = (Place::Local(name.into()), true);
        }
        Ok(write_atomic(&layout.last_run(), &serde_json::to_vec_pretty(&stored)?)?)
    }

    /// Parameters of `stages` that `now` sets otherwise, as `key was old, now new`.
    pub(crate) fn differences(&self, now: &Table, stages: &[&str]) -> Vec<String> {
        let stage = |pipeline: &Table, name: &str| pipeline.get("stages").and_then(|s| s.get(name)).cloned();
        let mut found = Vec::new();
        for name in stages {
            compare(name, stage(&self.pipeline, name).as_ref(), stage(now, name).as_ref(), &mut found);
        }
        found
    }
}

/// Where the data root is, by its whole path.
fn root(layout: &Layout) -> Result<Place, CliError> {
    Ok(match layout.place() {
        Place::Local(folder) => Place::Local(absolute(folder)?),
        bucket @ Place::Bucket(_) => bucket.clone(),
    })
}

/// Whether a source, written by its whole path, is the default source of another data root, while this one has recordings of its own.
fn is_of_other_root(source: &Source, layout: &Layout, root: &Place) -> bool {
    let (parent, name) = source.place().split();
    let is_default = matches!(source, Source::Folder(Place::Local(_))) && name == Area::ExtractedAudio.name();
    is_default && parent != *root && layout.extracted_audio().is_dir()
}

fn compare(key: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<String>) {
    if let (Some(Value::Table(old)), Some(Value::Table(new))) = (old, new) {
        let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for inner in keys {
            compare(&format!("{key}.{inner}"), old.get(inner), new.get(inner), found);
        }
    } else if old != new {
        let text = |value: Option<&Value>| value.map_or("not set".to_owned(), Value::to_string);
        found.push(format!("{key} was {}, now {}", text(old), text(new)));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn only_what_differs_in_the_named_stages_is_told() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let last = LastRun {
            source: Source::Folder(std::path::PathBuf::from("x").into()),
            pipeline: table("[stages.split]\nseed = 1\npattern = 'a'\n[stages.train]\nl2 = 1"),
            other_root: None,
        };
        let now = table("[stages.split]\nseed = 1\npattern = ''\n[stages.train]\nl2 = 2");
        assert_eq!(last.differences(&now, &["split"]), ["split.pattern was \"a\", now \"\""]);
    }

    #[test]
    fn a_source_in_the_data_root_moves_with_it_and_any_other_stays_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let [old, new, elsewhere] = ["old", "new", "elsewhere"].map(|name| folder.path().join(name));
        let audio = |root: &Path| Source::Folder(root.join("extracted_audio").into());
        let read = |root: &Path| LastRun::read(&Layout::new(root)).unwrap().unwrap();
        let copied = |source: &Source, has_audio: bool| {
            for root in [&old, &new] {
                let _ = std::fs::remove_dir_all(root);
                std::fs::create_dir_all(if has_audio { root.join("extracted_audio") } else { root.clone() }).unwrap();
            }
            LastRun::write(source, &Table::new(), &Layout::new(&old)).unwrap();
            assert_eq!(read(&old).source, *source);
            std::fs::copy(old.join(".last_run.json"), new.join(".last_run.json")).unwrap();
            read(&new).source
        };
        assert_eq!(copied(&audio(&old), true), audio(&new));
        let manifest = |root: &Path| Source::Manifest(root.join("lists/clips.csv").into());
        assert_eq!(copied(&manifest(&old), true), manifest(&new));
        assert_eq!(copied(&audio(&elsewhere), true), audio(&elsewhere));

        // As the first version of the format wrote it.
        let json = serde_json::json!({ "source": audio(&old), "pipeline": {} }).to_string();
        for (root, has_audio, expected, is_other) in
            [(&new, true, &new, true), (&new, false, &old, false), (&old, true, &old, false)]
        {
            let _ = std::fs::remove_dir_all(root.join("extracted_audio"));
            std::fs::create_dir_all(if has_audio { root.join("extracted_audio") } else { root.clone() }).unwrap();
            std::fs::write(root.join(".last_run.json"), &json).unwrap();
            let found = read(root);
            assert_eq!((&found.source, found.other_root.is_some()), (&audio(expected), is_other));
        }
        std::fs::write(
            old.join(".last_run.json"),
            r#"{"schema_version": 9, "source": {"folder": "x"}, "pipeline": {}}"#,
        )
        .unwrap();
        let later = LastRun::read(&Layout::new(&old)).err().unwrap();
        assert!(later.chain()[0].contains("later version"), "{:?}", later.chain());
    }
}
