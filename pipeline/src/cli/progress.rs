//! A sink of events for the eye: a bar in a terminal, plain lines elsewhere.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use ecosight_stages::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::printer::Printer;
use super::report::duration;

/// Between two plain lines of one stage.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// How a count without a known end is drawn.
const SPINNER: &str = "{prefix:>9} {spinner} {msg}";

/// Shows progress of the stage that runs.
pub(crate) struct Progress<'a> {
    printer: &'a Printer,
    bar: ProgressBar,
    state: Mutex<State>,
}

struct State {
    stage: &'static str,
    /// What the stage counts at present: another count begins anew.
    unit: &'static str,
    begun: Instant,
    last_line: Instant,
    warnings: usize,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(printer: &'a Printer) -> Self {
        let bar = ProgressBar::hidden();
        if printer.is_interactive() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let now = Instant::now();
        Self { printer, bar, state: Mutex::new(State { stage: "", unit: "", begun: now, last_line: now, warnings: 0 }) }
    }

    /// Shows an event.
    pub(crate) fn show(&self, event: &Event) {
        match event {
            Event::StageStarted { stage, why } => {
                if self.printer.verbose {
                    self.line(&format!("{stage:>9}  because {why}"));
                }
                if let Ok(mut state) = self.state.lock() {
                    let now = Instant::now();
                    *state = State { stage, unit: "", begun: now, last_line: now, ..*state };
                }
                self.bar.reset();
                self.bar.set_length(0);
                self.bar.set_style(style(SPINNER));
                self.bar.set_prefix(*stage);
                self.bar.set_message("");
            }
            Event::Progress { done, total, unit, stage } => self.step(stage, *done, *total, unit),
            Event::Warning { stage, message } => self.line(&format!("warning: {stage}: {message}")),
            Event::Quarantined(row) => {
                self.line(&format!(
                    "warning: {}: `{}` quarantined ({}): {}",
                    row.stage, row.uri, row.code, row.message
                ));
            }
            Event::Counted { stage, counts } => {
                let counts: Vec<_> =
                    counts.iter().filter(|(_, n)| **n > 0).map(|(what, n)| format!("{n} {what}")).collect();
                self.line(&format!("{stage:>9}  {}", counts.join(" · ")));
            }
            Event::Told { stage, line } => self.line(&format!("{stage:>9}  {line}")),
            Event::Lost(loss) => self.line(&format!("warning: manifest: {}", loss.words())),
            Event::Skipped { stage, why } => self.line(&format!("{stage:>9}  {why}")),
            Event::StageFresh { stage, rows } if self.printer.verbose => {
                self.line(&format!("{stage:>9}  up to date, {} rows", rows.reused));
            }
            Event::Printed { stage, line } if self.printer.verbose => self.line(&format!("{stage:>9}  {line}")),
            Event::StageFinished { stage, seconds, .. } if self.printer.verbose => {
                self.line(&format!("{stage:>9}  {seconds:.2} s"));
            }
            Event::Evaluated { .. }
            | Event::Judged(_)
            | Event::Published { .. }
            | Event::Timed { .. }
            | Event::Rows { .. }
            | Event::Printed { .. }
            | Event::StageFresh { .. }
            | Event::StageFinished { .. } => {}
        }
    }

    /// Removes the bar.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn step(&self, stage: &'static str, done: u64, total: u64, unit: &'static str) {
        let is_new = self.state.lock().is_ok_and(|mut state| state.count(stage, unit));
        if self.printer.is_interactive() {
            if is_new {
                // Rate and time left are those of this count.
                self.bar.reset();
                self.bar.set_length(0);
                self.bar.set_style(style(SPINNER));
            }
            if total > 0 && self.bar.length() != Some(total) {
                self.bar.set_length(total);
                self.bar.set_style(style("{prefix:>9} {wide_bar} {pos}/{len} {msg} {rate} {eta} left"));
            }
            self.bar.set_prefix(stage);
            self.bar.set_position(done);
            self.bar.set_message(if total > 0 { unit.to_owned() } else { format!("{done} {unit}") });
        } else if let Ok(mut state) = self.state.lock() {
            let now = Instant::now();
            if now - state.last_line >= PLAIN_EVERY {
                state.last_line = now;
                self.printer.note(&format!("{stage:>9}  {}", plain(done, total, unit, now - state.begun)));
            }
        }
    }

    /// A line above the bar. After the first few warnings only `-v` shows more; all stand in the run record.
    fn line(&self, text: &str) {
        const SHOWN: usize = 5;
        let is_warning = text.starts_with("warning:");
        if is_warning && !self.printer.verbose {
            let Ok(mut state) = self.state.lock() else { return };
            state.warnings += 1;
            if state.warnings > SHOWN {
                if state.warnings == SHOWN + 1 {
                    let more = "warning: there are more of these; `-v` shows them all";
                    self.bar.suspend(|| self.printer.alert(more));
                }
                return;
            }
        }
        self.bar.suspend(|| if is_warning { self.printer.alert(text) } else { self.printer.note(text) });
    }
}

impl State {
    /// Notes what is counted; whether that is something else than before.
    fn count(&mut self, stage: &'static str, unit: &'static str) -> bool {
        let is_new = (self.stage, self.unit) != (stage, unit);
        if is_new {
            let now = Instant::now();
            *self = Self { stage, unit, begun: now, last_line: now, ..*self };
        }
        is_new
    }
}

/// How far a stage is after `elapsed`, at which rate it goes, and how long the rest will take.
fn plain(done: u64, total: u64, unit: &str, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    if total == 0 || rate <= 0.0 {
        return format!("{done} {unit}, {rate:.1}/s");
    }
    let left = total.saturating_sub(done) as f64 / rate;
    format!("{done} of {total} {unit}, {rate:.1}/s, {} left", duration(left))
}

fn style(template: &str) -> ProgressStyle {
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // Nobody is left to tell if the bar cannot be drawn.
        let _ = write!(out, "{:.1}/s", state.per_sec());
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_tells_rate_and_time_left() {
        assert_eq!(plain(200, 1000, "clips", Duration::from_secs(20)), "200 of 1000 clips, 10.0/s, 80 s left");
        assert_eq!(plain(4, 186, "folds", Duration::from_secs(20)), "4 of 186 folds, 0.2/s, 15 min left");
        assert_eq!(plain(7, 0, "epochs", Duration::from_secs(2)), "7 epochs, 3.5/s");
    }
}
