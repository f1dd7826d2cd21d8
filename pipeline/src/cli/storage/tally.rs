//! What became of many objects: a bar while it goes on, and the failures with their hints at the end.

use std::ops::ControlFlow;

use ecosight_datasets::DatasetError;
use ecosight_datasets::store::Trouble;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::ExitStatus;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;

/// An object that could not be dealt with.
#[derive(Serialize)]
pub(super) struct Failure {
    pub(super) name: String,
    error: String,
    /// One word for it, where the server is the cause.
    code: Option<&'static str>,
    hint: Option<String>,
    #[serde(skip)]
    status: ExitStatus,
    /// Whether the next object will fare no better.
    #[serde(skip)]
    is_general: bool,
}

impl Failure {
    pub(super) fn new(name: &str, error: DatasetError) -> Self {
        let trouble = Trouble::of(&error);
        let error = CliError::from(error);
        let status = error.status();
        Self {
            name: name.to_owned(),
            error: error.chain().join(": "),
            code: trouble.map(Trouble::code),
            hint: error.hint().map(str::to_owned),
            is_general: trouble.is_some_and(Trouble::is_general) || status == ExitStatus::Interrupted,
            status,
        }
    }

    /// A failure that is no error of a store.
    pub(super) fn because(name: &str, why: &str, hint: &str) -> Self {
        Self {
            name: name.to_owned(),
            error: why.to_owned(),
            code: None,
            hint: Some(hint.to_owned()),
            status: ExitStatus::Failed,
            is_general: false,
        }
    }
}

/// All failures of one command.
#[derive(Default)]
pub(super) struct Failures {
    list: Vec<Failure>,
    is_down: bool,
}

impl Failures {
    /// Notes a failure; breaks where going on makes no sense.
    pub(super) fn add(&mut self, failure: Failure) -> ControlFlow<()> {
        let is_general = failure.is_general;
        // What was given up on Ctrl-C has not failed.
        if failure.status != ExitStatus::Interrupted {
            self.is_down |= is_general;
            self.list.push(failure);
        }
        if is_general { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// All of them, by name.
    pub(super) fn sorted(&mut self) -> &[Failure] {
        self.list.sort_by(|a, b| a.name.cmp(&b.name));
        &self.list
    }

    /// All of them, to be shown.
    pub(super) fn take(self) -> Vec<Failure> {
        self.list
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Tells the failures, each hint once, and how the command ended; `again` is how to go on after Ctrl-C.
    pub(super) fn close(&mut self, is_cancelled: bool, again: &str, printer: &Printer) -> Result<ExitStatus, CliError> {
        const SHOWN: usize = 20;
        let is_down = self.is_down;
        let list = self.sorted();
        let shown = if printer.verbose { list.len() } else { SHOWN };
        for failure in list.iter().take(shown) {
            printer.alert(&format!("failed: {}: {}", failure.name, failure.error));
        }
        if list.len() > shown {
            printer.alert(&format!("… and {} more; `-v` shows them all, and so does `--json`", list.len() - shown));
        }
        let mut hints: Vec<_> = list.iter().filter_map(|failure| failure.hint.as_deref()).collect();
        hints.sort_unstable();
        hints.dedup();
        for hint in hints {
            printer.alert(&format!("hint: {hint}"));
        }
        if is_down {
            return Ok(ExitStatus::Store);
        }
        if is_cancelled {
            return Err(CliError::interrupted(again));
        }
        Ok(if list.is_empty() { ExitStatus::Ok } else { ExitStatus::Failed })
    }
}

/// Says which entries of a listing were left out because no path can name them, the first few one by one.
pub(super) fn warn_of_left_out(unreadable: &[String], printer: &Printer) {
    const SHOWN: usize = 5;
    let shown = if printer.verbose { unreadable.len() } else { SHOWN };
    for message in unreadable.iter().take(shown) {
        printer.warning(&format!("left out: {message}"));
    }
    if unreadable.len() > shown {
        printer.warning(&format!("{} more are left out; `-v` shows them all", unreadable.len() - shown));
    }
}

/// A bar of bytes, where somebody watches.
pub(super) fn bar(bytes: u64, printer: &Printer) -> ProgressBar {
    let bar = if printer.is_interactive() { ProgressBar::new(bytes) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// Moves a bar that many objects share: the bytes of one, of which it is told how many are there by now.
pub(super) fn step(bar: &ProgressBar) -> impl Fn(u64) + Sync + '_ {
    let told = std::sync::atomic::AtomicU64::new(0);
    move |now| {
        let before = told.fetch_max(now, std::sync::atomic::Ordering::Relaxed);
        bar.inc(now.saturating_sub(before));
    }
}
