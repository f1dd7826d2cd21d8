//! The one owner of the terminal: results to stdout, everything for people to stderr.

use std::io::{self, IsTerminal, Write};

use super::error::CliError;

/// Where output goes, and how much of it.
pub(crate) struct Printer {
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) json: bool,
}

impl Printer {
    pub(crate) fn new(quiet: bool, verbose: bool, json: bool) -> Self {
        Self { quiet, verbose, json }
    }

    /// Whether bars can be drawn.
    pub(crate) fn is_interactive(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// A result, to stdout. A reader that has gone away (`| head`) is no error.
    #[expect(clippy::unused_self, reason = "only who has the printer may print")]
    pub(crate) fn result(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// A JSON document as the result.
    pub(crate) fn document(&self, value: &impl serde::Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.result(&format!("{text}\n"))
    }

    /// The result of a command that may have found nothing to do; with `-q` only where it `has_changed` something.
    pub(crate) fn outcome(&self, has_changed: bool, text: &str) -> io::Result<()> {
        if self.quiet && !has_changed { Ok(()) } else { self.result(text) }
    }

    /// A line for people, to stderr; nothing with `-q`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.alert(text);
        }
    }

    /// A warning, to stderr.
    pub(crate) fn warning(&self, text: &str) {
        self.alert(&format!("warning: {text}"));
    }

    /// A line that has to be seen, to stderr, also with `-q`.
    #[expect(clippy::unused_self, reason = "only who has the printer may print")]
    pub(crate) fn alert(&self, text: &str) {
        // Nobody is left to tell if stderr is closed.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// An error with its causes and the next command to type.
    #[expect(clippy::unused_self, reason = "only who has the printer may print")]
    pub(crate) fn error(&self, error: &CliError) {
        let chain = error.chain();
        let mut text = format!("error: {}", chain[0]);
        for cause in &chain[1..] {
            text.push_str(&format!("\n  caused by: {cause}"));
        }
        if let Some(hint) = error.hint() {
            text.push_str(&format!("\nhint: {hint}"));
        }
        let _ = writeln!(io::stderr(), "{text}");
    }
}
