//! What the gate looks at, and what it found.

use serde::{Deserialize, Serialize};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finding {
    /// As it should be.
    #[serde(rename = "pass")]
    Pass,
    /// Not as it should be.
    #[serde(rename = "fail")]
    Fail,
    /// It cannot be told.
    #[serde(rename = "n/a")]
    Unknown,
}

impl Finding {
    /// As one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "n/a",
        }
    }
}

/// One thing that the gate looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// As a few words: `balanced accuracy`, `parity`.
    pub name: String,
    /// What was found.
    pub result: Finding,
    /// The reason, in words.
    pub words: String,
}

impl Criterion {
    /// A criterion that is met or not.
    pub(super) fn met(name: &str, is_met: bool, words: impl Into<String>) -> Self {
        let result = if is_met { Finding::Pass } else { Finding::Fail };
        Self { name: name.to_owned(), result, words: words.into() }
    }

    /// A criterion of which nothing can be told.
    pub(super) fn unknown(name: &str, why: impl Into<String>) -> Self {
        Self { name: name.to_owned(), result: Finding::Unknown, words: why.into() }
    }
}
