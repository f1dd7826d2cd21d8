//! What is known of each model at a glance.

use ecosight_datasets::layout::Layout;
use ecosight_models::artefact::{Artefact, made_at};
use ecosight_models::decision::Labelling;
use ecosight_models::metrics::Intervals;
use ecosight_stages::StageErrorKind;
use ecosight_stages::predict::{unknown_version, versions};
use ecosight_stages::publish::{Gate, Moves};
use ecosight_stages::train::Pointer;
use serde::Serialize;

use crate::cli::error::CliError;

/// What a model is to this data root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// `predict` uses it.
    Production,
    /// The gate has not let it into production.
    Refused,
    /// It was trained last.
    Candidate,
    /// It was in production.
    Former,
    /// It cannot be read.
    Damaged,
    /// None of these.
    Kept,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Refused => "refused",
            Self::Candidate => "candidate",
            Self::Former => "former",
            Self::Damaged => "damaged",
            Self::Kept => "kept",
        }
    }
}

/// A line of the list.
#[derive(Debug, Serialize)]
pub(super) struct Known {
    pub(super) version: String,
    pub(super) state: State,
    pub(super) created: Option<String>,
    pub(super) classes: Option<usize>,
    pub(super) test_accuracy: Option<f64>,
    pub(super) test_accuracy_ci95: Option<[f64; 2]>,
    /// Instead of the accuracy, where clips can be of several classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) test_subset_accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) test_subset_accuracy_ci95: Option<[f64; 2]>,
    /// By how many groups the interval is: `by 36 recordings`.
    pub(super) test_ci95_by: Option<String>,
    pub(super) is_leaky: bool,
}

/// What points to models.
struct Pointers {
    production: Option<String>,
    candidate: Option<String>,
    moves: Moves,
}

impl Pointers {
    /// What cannot be read points nowhere.
    fn read(layout: &Layout) -> Result<Self, StageErrorKind> {
        let read = |path| Pointer::read(path).ok().flatten().map(|pointer| pointer.version);
        let (production, candidate) = (read(&layout.production()), read(&layout.candidate()));
        Ok(Self { production, candidate, moves: Moves::read(layout)? })
    }

    fn state(&self, layout: &Layout, version: &str) -> State {
        let is = |pointer: &Option<String>| pointer.as_deref() == Some(version);
        let refused = || matches!(Gate::read(&layout.model(version)), Ok(Some(gate)) if gate.refusal().is_some());
        match () {
            () if is(&self.production) => State::Production,
            () if self.moves.0.iter().any(|step| step.version == version) => State::Former,
            () if refused() => State::Refused,
            () if is(&self.candidate) => State::Candidate,
            () => State::Kept,
        }
    }
}

impl Known {
    /// All models, the newest first.
    pub(super) fn all(layout: &Layout) -> Result<Vec<Self>, CliError> {
        let pointers = Pointers::read(layout)?;
        Ok(versions(layout).into_iter().rev().map(|version| Self::read(layout, version, &pointers)).collect())
    }

    /// The model `version`.
    pub(super) fn of(layout: &Layout, version: &str) -> Result<Self, CliError> {
        Ok(Self::read(layout, version.to_owned(), &Pointers::read(layout)?))
    }

    fn read(layout: &Layout, version: String, pointers: &Pointers) -> Self {
        let meta = Artefact::load(&layout.model(&version)).ok().map(|artefact| artefact.meta);
        let state = if meta.is_some() { pointers.state(layout, &version) } else { State::Damaged };
        let test = meta.as_ref().and_then(|meta| meta.metrics.get("test"));
        let ci95 = test.and_then(|test| test.ci95.as_ref()).map(|ci95| [ci95.accuracy.low, ci95.accuracy.high]);
        let accuracy = test.map(|test| test.accuracy);
        let is_multi = test.is_some_and(|test| test.labelling == Labelling::Multi);
        let ((single, single_ci95), (multi, multi_ci95)) =
            if is_multi { ((None, None), (accuracy, ci95)) } else { ((accuracy, ci95), (None, None)) };
        Self {
            state,
            created: made_at(&version),
            classes: meta.as_ref().map(|meta| meta.classes.len()),
            test_accuracy: single,
            test_accuracy_ci95: single_ci95,
            test_subset_accuracy: multi,
            test_subset_accuracy_ci95: multi_ci95,
            test_ci95_by: test.and_then(|test| test.ci95.as_ref()).map(Intervals::by),
            is_leaky: meta.as_ref().is_some_and(|meta| meta.is_leaky),
            version,
        }
    }
}

/// The version that `word` names: as it is, by how it begins, or `production` or `candidate`.
pub(super) fn find(layout: &Layout, word: &str) -> Result<String, CliError> {
    let pointer = match word {
        "production" => Some((layout.production(), "no model is in production")),
        "candidate" => Some((layout.candidate(), "no model was trained yet")),
        _ => None,
    };
    if let Some((path, none)) = pointer {
        let found = Pointer::read(&path)?.map(|pointer| pointer.version);
        let found = found.ok_or_else(|| CliError::failed(none, "`ecosight models list` shows all models"))?;
        return if layout.model(&found).is_dir() { Ok(found) } else { Err(unknown_version(layout, &found).into()) };
    }
    let mut found: Vec<String> = versions(layout).into_iter().filter(|version| version.starts_with(word)).collect();
    if let Some(exact) = found.iter().position(|version| version == word) {
        return Ok(found.swap_remove(exact));
    }
    match found.as_slice() {
        [version] => Ok(version.clone()),
        [] => Err(unknown_version(layout, word).into()),
        several => {
            let names: Vec<_> = several.iter().take(5).map(|version| format!("`{version}`")).collect();
            let message = format!("{} models begin with `{word}`", several.len());
            Err(CliError::usage(message, format!("write more of the name, such as {}", names.join(", "))))
        }
    }
}
