//! What the environment says: the process's own variables, and below them those of a file `.env`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::DatasetError;
use crate::files::{read_regular, read_regular_text};

/// The variables that a command sees. Empty ones count as not set.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Variable>,
    /// What the file says, in force or not.
    pub(super) of_file: BTreeMap<String, String>,
}

/// A variable and where it was set.
#[derive(Clone)]
struct Variable {
    value: String,
    origin: String,
}

/// A value with the name of what set it, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The value.
    pub value: String,
    /// `S3_BUCKET`, or `S3_BUCKET in .env`.
    pub origin: String,
}

/// What is behind the name of a variable that the file sets.
const IN_FILE: &str = " in .env";

impl Setting {
    /// Whether the file `.env` sets it, not the process.
    pub(super) fn is_of_file(&self) -> bool {
        self.origin.ends_with(IN_FILE)
    }

    /// The origin of a variable that the file sets.
    pub(super) fn origin_in_file(name: &str) -> String {
        format!("{name}{IN_FILE}")
    }
}

impl Environment {
    /// The variables of this process over those of the file `.env` in `folder`, if there is one.
    pub fn read(folder: &Path) -> Result<Self, DatasetError> {
        let mut environment = Self::default();
        let file = folder.join(".env");
        if file.is_file() {
            let invalid = |error: dotenvy::Error| {
                // The error of a line shows the line, which may hold a secret.
                let why = match error {
                    dotenvy::Error::LineParse(line, _) => match number_of(&line, &file) {
                        Some(number) => format!("line {number} is no `NAME=value`"),
                        None => "a line is no `NAME=value`".to_owned(),
                    },
                    error => error.to_string(),
                };
                DatasetError::invalid("read environment file", file.display().to_string(), why)
            };
            let text = read_regular(&file).map_err(DatasetError::at("read environment file", &file))?;
            let text = String::from_utf8(text).map_err(|error| {
                let before =
                    String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
                let line = 1 + before.matches('\n').count();
                let why = format!("line {line} is not written in UTF-8; save the file in that encoding");
                DatasetError::invalid("read environment file", file.display().to_string(), why)
            })?;
            // Editors on Windows begin files with a mark.
            for line in dotenvy::from_read_iter(text.trim_start_matches('\u{feff}').as_bytes()) {
                let (name, value) = line.map_err(invalid)?;
                environment.set(&name, &value, Setting::origin_in_file(&name));
            }
        }
        for (name, value) in std::env::vars_os() {
            if let (Some(name), Some(value)) = (name.to_str(), value.to_str()) {
                environment.set(name, value, name.to_owned());
            }
        }
        Ok(environment)
    }

    /// These variables and no others.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            environment.set(name, value, name.to_owned());
        }
        environment
    }

    pub(super) fn set(&mut self, name: &str, value: &str, origin: String) {
        if !value.trim().is_empty() {
            if origin.ends_with(IN_FILE) {
                self.of_file.insert(name.to_owned(), value.trim().to_owned());
            }
            self.variables.insert(name.to_owned(), Variable { value: value.trim().to_owned(), origin });
        }
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|variable| variable.value.as_str())
    }

    /// The first of these variables that is set.
    pub fn first(&self, names: &[&str]) -> Option<Setting> {
        let variable = names.iter().find_map(|name| self.variables.get(*name))?;
        Some(Setting { value: variable.value.clone(), origin: variable.origin.clone() })
    }

    /// All variables, in the order of their names.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, variable)| (name.as_str(), variable.value.as_str()))
    }
}

/// Which line of `file`, from 1, is the one of which `wrong` is a part: one that says nothing on its own.
fn number_of(wrong: &str, file: &Path) -> Option<usize> {
    let text = read_regular_text(file).ok()?;
    let first = wrong.lines().next()?.trim();
    let is_wrong = |line: &str| dotenvy::from_read_iter(line.as_bytes()).any(|found| found.is_err());
    text.lines().position(|line| line.contains(first) && is_wrong(line)).map(|at| at + 1)
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets.
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_comes_before_the_file_and_empty_is_not_set() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".env"), "ECOSIGHT_T_A=file\nPATH=\"/nowhere\"\nECOSIGHT_T_B=\n").unwrap();
        let environment = Environment::read(dir.path()).unwrap();
        let found = environment.first(&["ECOSIGHT_T_B", "ECOSIGHT_T_A"]).unwrap();
        assert_eq!((found.value.as_str(), found.origin.as_str()), ("file", "ECOSIGHT_T_A in .env"));
        assert_ne!(environment.get("PATH"), Some("/nowhere"));
    }

    #[test]
    fn files_of_other_editors_are_read_or_refused_by_their_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".env");
        std::fs::write(&file, "\u{feff}ECOSIGHT_T_A=file\r\n").unwrap();
        assert_eq!(Environment::read(dir.path()).unwrap().get("ECOSIGHT_T_A"), Some("file"));
        std::fs::write(&file, b"ECOSIGHT_T_A=file\nECOSIGHT_T_B=\xfcber\n").unwrap();
        let error = Environment::read(dir.path()).unwrap_err();
        assert!(error.kind.to_string().contains("line 2 is not written in UTF-8"), "{}", error.kind);
    }

    #[test]
    fn a_secret_in_a_broken_file_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        for wrong in ["AWS_SECRET_ACCESS_KEY = 'hidden", "hidden", "AWS SECRET = hidden", "A=hidden hidden"] {
            std::fs::write(dir.path().join(".env"), format!("# a comment\nA=b\n\n{wrong}\nC=d\n")).unwrap();
            let error = Environment::read(dir.path()).unwrap_err();
            let told = format!("{error}: {}", error.kind);
            assert!(!told.contains("hidden") && told.contains("line 4 is no"), "{wrong}: {told}");
        }
    }
}
