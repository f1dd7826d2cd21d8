//! A pinned model stays in production: a retrain trains, evaluates and judges as ever, but publishes nothing over it.
//!
//! Format: `models/pinned.json`, version 1.

use std::path::PathBuf;

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::write_atomic;
use ecosight_datasets::layout::Layout;
use serde::{Deserialize, Serialize};

use super::history::{Author, By, current, note};
use crate::StageErrorKind;

/// The model that stays in production.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Version of this format.
    pub schema_version: u32,
    /// The model.
    pub version: String,
    /// When it was pinned, UTC, RFC 3339.
    pub at: String,
    /// Who pinned it, where that is known.
    pub user: Option<String>,
    /// Why, where that was said.
    pub reason: Option<String>,
}

impl Pin {
    /// The pin of this data root; none where no model is pinned.
    pub fn read(layout: &Layout) -> Result<Option<Self>, StageErrorKind> {
        let path = path(layout);
        let unreadable = |why: String| {
            let message = format!("`{}` is unreadable: {why}", path.display());
            StageErrorKind::data(message, "`ecosight models unpin` removes it, `ecosight models pin` writes it again")
        };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| unreadable(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// Pins the model in production; an error where there is none.
    pub fn set(layout: &Layout, author: Author<'_>) -> Result<Self, StageErrorKind> {
        let none = || {
            StageErrorKind::data("no model is in production that could be pinned", "`ecosight retrain` publishes one")
        };
        let version = current(layout)?.ok_or_else(none)?;
        let [user, reason] = [author.user, author.reason].map(|text| text.map(str::to_owned));
        let pin = Self { schema_version: 1, version, at: author.at.to_owned(), user, reason };
        note(layout, &pin.version, author, By::Pin)?;
        write_atomic(&path(layout), &serde_json::to_vec_pretty(&pin).expect("a pin is plain data"))?;
        Ok(pin)
    }

    /// Lets models be published again; whether one was pinned.
    pub fn remove(layout: &Layout, author: Author<'_>) -> Result<bool, StageErrorKind> {
        let path = path(layout);
        if !path.exists() {
            return Ok(false);
        }
        if let Some(version) = current(layout)? {
            note(layout, &version, author, By::Unpin)?;
        }
        std::fs::remove_file(&path).map_err(DatasetError::at("remove file", &path))?;
        Ok(true)
    }

    /// Why the model `version` is not published, in words.
    pub(super) fn keeps_out(&self, version: &str) -> String {
        format!("model `{version}` is not published: {}. `ecosight models unpin` ends that", self.words())
    }

    /// What is pinned, when, by whom and why, in words.
    pub fn words(&self) -> String {
        let user = self.user.as_ref().map_or(String::new(), |user| format!(" by {user}"));
        let reason = self.reason.as_ref().map_or(String::new(), |reason| format!(" ({reason})"));
        format!("model `{}` is pinned since {}{user}{reason}", self.version, self.at)
    }
}

fn path(layout: &Layout) -> PathBuf {
    layout.models().join("pinned.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::Moves;

    #[test]
    fn a_pin_names_the_model_in_production_and_stands_in_the_history() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let author = Author { at: "2026-03-01T00:00:00Z", user: Some("ann"), reason: Some("field test") };
        assert!(Pin::set(&layout, author).is_err());
        std::fs::create_dir_all(layout.model("m1")).unwrap();
        crate::publish::move_to(&layout, "m1", author, By::Promote).unwrap();
        let pin = Pin::set(&layout, author).unwrap();
        assert_eq!(Pin::read(&layout).unwrap(), Some(pin.clone()));
        assert_eq!(pin.words(), "model `m1` is pinned since 2026-03-01T00:00:00Z by ann (field test)");
        assert!(Pin::remove(&layout, author).unwrap() && !Pin::remove(&layout, author).unwrap());
        assert_eq!(Pin::read(&layout).unwrap(), None);
        let steps: Vec<By> = Moves::read(&layout).unwrap().0.into_iter().map(|step| step.by).collect();
        assert_eq!(steps, [By::Promote, By::Pin, By::Unpin]);
        std::fs::write(path(&layout), "{").unwrap();
        assert!(Pin::read(&layout).unwrap_err().hint().unwrap().contains("unpin"));
    }
}
