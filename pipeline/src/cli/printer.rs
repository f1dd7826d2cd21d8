//! The one owner of the terminal: results to stdout, everything for people to stderr.
//!
//! Everything that is printed for people is escaped here (see [`escape`]). Methods for single lines leave no line break in them, so that a value
//! from outside cannot begin a line; methods for text of several lines keep the line feeds of the layout. Only JSON and CSV are printed as they
//! are, and CSV only where stdout is no terminal.

use std::io::{self, IsTerminal, Write};

use super::error::CliError;
use super::escape;

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

    /// A result of several lines, to stdout. Values from outside in it have no line feeds: see [`escape::one_line`].
    pub(crate) fn result(&self, text: &str) -> io::Result<()> {
        self.raw(&escape::lines(text))
    }

    /// A result of one line, to stdout.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        self.raw(&format!("{}\n", escape::one_line(text)))
    }

    /// A result with a line for each of `names`, to stdout.
    pub(crate) fn list<T: AsRef<str>>(&self, names: impl IntoIterator<Item = T>) -> io::Result<()> {
        self.raw(&names.into_iter().map(|name| format!("{}\n", escape::one_line(name.as_ref()))).collect::<String>())
    }

    /// A file for other programs as the result, to stdout: as it is, unless stdout is a terminal.
    pub(crate) fn data(&self, text: &str) -> io::Result<()> {
        if io::stdout().is_terminal() { self.result(text) } else { self.raw(text) }
    }

    /// Writes to stdout. A reader that has gone away (`| head`) is no error.
    #[expect(clippy::unused_self, reason = "only who has the printer may print")]
    fn raw(&self, text: &str) -> io::Result<()> {
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
        self.raw(&format!("{text}\n"))
    }

    /// The result of a command that may have found nothing to do; with `-q` only where it `has_changed` something.
    pub(crate) fn outcome(&self, has_changed: bool, text: &str) -> io::Result<()> {
        if self.quiet && !has_changed { Ok(()) } else { self.result(text) }
    }

    /// [`Printer::outcome`] of one line.
    pub(crate) fn outcome_line(&self, has_changed: bool, text: &str) -> io::Result<()> {
        if self.quiet && !has_changed { Ok(()) } else { self.line(text) }
    }

    /// Text of several lines for people, to stderr; nothing with `-q`. Values from outside in it have no line feeds: see [`escape::one_line`].
    pub(crate) fn block(&self, text: &str) {
        if !self.quiet {
            // Nobody is left to tell if stderr is closed.
            let _ = writeln!(io::stderr(), "{}", escape::lines(text));
        }
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
        let _ = writeln!(io::stderr(), "{}", escape::one_line(text));
    }

    /// An error with its causes and the next command to type. Lines after the first of a message are indented, so that none looks like a message of
    /// its own.
    #[expect(clippy::unused_self, reason = "only who has the printer may print")]
    pub(crate) fn error(&self, error: &CliError) {
        let chain = error.chain();
        let indented = |message: &str| message.replace('\n', "\n    ");
        let mut text = format!("error: {}", indented(&chain[0]));
        for cause in &chain[1..] {
            text.push_str(&format!("\n  caused by: {}", indented(cause)));
        }
        if let Some(hint) = error.hint() {
            text.push_str(&format!("\nhint: {}", indented(hint)));
        }
        let _ = writeln!(io::stderr(), "{}", escape::lines(&text));
    }
}
