//! What the last run in a data root read, and with which parameters: the next one reads the same, and is told what differs.

use ecosight_datasets::files::write_atomic;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::manifest::Source;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::error::CliError;

/// The last run whose manifest was made.
#[derive(Serialize, Deserialize)]
pub(crate) struct LastRun {
    /// What it read.
    pub(crate) source: Source,
    /// Its effective pipeline.
    pub(crate) pipeline: Table,
}

impl LastRun {
    /// Reads it; none before the first run.
    pub(crate) fn read(layout: &Layout) -> Result<Option<Self>, CliError> {
        let path = layout.last_run();
        let Ok(bytes) = std::fs::read(&path) else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let message = format!("`{}` is unreadable: {error}", path.display());
            CliError::usage(message, "remove that file, and name the source again with `--source`")
        })
    }

    /// Keeps it.
    pub(crate) fn write(&self, layout: &Layout) -> Result<(), CliError> {
        Ok(write_atomic(&layout.last_run(), &serde_json::to_vec_pretty(self)?)?)
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
    use super::*;

    #[test]
    fn only_what_differs_in_the_named_stages_is_told() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let last = LastRun {
            source: Source::Folder(std::path::PathBuf::from("x").into()),
            pipeline: table("[stages.split]\nseed = 1\npattern = 'a'\n[stages.train]\nl2 = 1"),
        };
        let now = table("[stages.split]\nseed = 1\npattern = ''\n[stages.train]\nl2 = 2");
        assert_eq!(last.differences(&now, &["split"]), ["split.pattern was \"a\", now \"\""]);
    }
}
