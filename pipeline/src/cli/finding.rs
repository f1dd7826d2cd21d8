//! What a doctor finds: one line for each thing that was looked at, and how to mend it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

use super::error::CliError;
use super::printer::Printer;
use crate::ExitStatus;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Ok,
    Warn,
    Fail,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) check: &'static str,
    /// How bad it is.
    pub(crate) state: State,
    /// What was found.
    pub(crate) found: String,
    /// What to do, or the next command to type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, found: found.into(), fix: None }
    }

    pub(crate) fn warn(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, state: State::Warn, found: found.into(), fix: Some(fix.into()) }
    }

    pub(crate) fn fail(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, state: State::Fail, found: found.into(), fix: Some(fix.into()) }
    }

    /// A failure with the causes and the hint of `error`.
    pub(crate) fn error(check: &'static str, error: &CliError) -> Self {
        let fix = error.hint().map(str::to_owned);
        Self { check, state: State::Fail, found: error.chain().join(": "), fix }
    }

    /// The finding with its fix below it, in the columns of all others.
    pub(crate) fn text(&self) -> String {
        const INDENT: &str = "\n                      ";
        let found = self.found.replace('\n', INDENT);
        let fix = self.fix.as_ref().map_or_else(String::new, |fix| format!("{INDENT}fix: {fix}"));
        format!("{:<6}{:<16}{found}{fix}\n", self.state.word(), self.check)
    }
}

/// Prints the findings; whether any of them is a failure decides the exit code.
pub(crate) fn report(findings: &[Finding], printer: &Printer) -> Result<ExitStatus, CliError> {
    let worst = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok);
    if printer.json {
        printer.document(&serde_json::json!({ "state": worst, "findings": findings }))?;
    } else {
        printer.result(&findings.iter().map(Finding::text).collect::<String>())?;
    }
    Ok(if worst == State::Fail { ExitStatus::Failed } else { ExitStatus::Ok })
}

/// What `check` finds; that it panics is a finding, too.
pub(crate) fn guarded(name: &'static str, check: &dyn Fn() -> Finding) -> Finding {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| {
        Finding::fail(
            name,
            "the check itself failed",
            "this is a bug in EcoSight: please report it with the lines above",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_panics_is_a_finding() {
        let finding = guarded("x", &|| panic!("of this test"));
        assert_eq!((finding.state, finding.check), (State::Fail, "x"));
    }

    #[test]
    fn what_has_more_lines_stays_in_its_column() {
        let text = Finding::fail("configuration", "2 mistakes:\n  a\n  b", "mend it").text();
        let columns: Vec<_> = text.lines().map(|line| line.find(|c: char| c.is_ascii_alphanumeric())).collect();
        assert_eq!(columns, [Some(0), Some(24), Some(24), Some(22)]);
    }
}
