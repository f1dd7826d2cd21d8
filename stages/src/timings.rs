//! Where the time goes: processor time and amount of each step, summed over all threads.
//!
//! The clock is that of the thread, so waiting costs nothing and threads that share a core do not count twice. It is read a few times
//! per block of audio, which takes about a microsecond of the milliseconds that a block takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// A step on the way from a file to its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bytes out of files.
    Read,
    /// Bytes to mono samples at 16 kHz, resampling included.
    Decode,
    /// Variants.
    Effects,
    /// Samples to windows of log-mel frames.
    LogMel,
    /// Windows to embeddings.
    Network,
    /// Rows into Parquet.
    Write,
}

impl Step {
    /// In the order of the dataflow.
    pub const ALL: [Self; 6] = [Self::Read, Self::Decode, Self::Effects, Self::LogMel, Self::Network, Self::Write];

    /// Its name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Decode => "decode",
            Self::Effects => "effects",
            Self::LogMel => "log-mel",
            Self::Network => "network",
            Self::Write => "write",
        }
    }

    /// What its items are.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Read => "bytes",
            Self::Decode | Self::Effects | Self::LogMel => "samples",
            Self::Network => "patches",
            Self::Write => "rows",
        }
    }
}

/// What a step has cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepTime {
    /// Name of the step.
    pub step: &'static str,
    /// How much went through it.
    pub items: u64,
    /// What is counted: `bytes`, `samples` (at 16 kHz), `patches`, `rows`.
    pub unit: &'static str,
    /// Processor time in seconds, over all threads.
    pub cpu_s: f64,
}

/// What a stage has cost in a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageTime {
    /// Its word.
    pub stage: String,
    /// Processor time in seconds, over all threads.
    pub cpu_s: f64,
    /// Its steps, where it tells them apart; what they leave of `cpu_s` went elsewhere.
    pub steps: Vec<StepTime>,
}

impl StageTime {
    /// Adds what the stage has cost in another pass of the run.
    pub fn add(&mut self, other: &Self) {
        self.cpu_s += other.cpu_s;
        for time in &other.steps {
            match self.steps.iter_mut().find(|known| known.step == time.step) {
                Some(known) => {
                    known.items += time.items;
                    known.cpu_s += time.cpu_s;
                }
                None => self.steps.push(time.clone()),
            }
        }
    }
}

/// Sums what steps cost; shared by all threads.
#[derive(Debug, Default)]
pub struct Meter {
    tallies: [Tally; Step::ALL.len()],
}

#[derive(Debug, Default)]
struct Tally {
    items: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Meter {
    /// Does `work`, which is `items` of `step` and stays on this thread.
    pub fn time<T>(&self, step: Step, items: usize, work: impl FnOnce() -> T) -> T {
        let start = thread_cpu();
        let result = work();
        self.add(step, items as u64, thread_cpu().saturating_sub(start));
        result
    }

    /// Counts what was measured elsewhere.
    pub fn add(&self, step: Step, items: u64, cpu: Duration) {
        let tally = &self.tallies[step as usize];
        tally.items.fetch_add(items, Ordering::Relaxed);
        tally.nanoseconds.fetch_add(cpu.as_nanos() as u64, Ordering::Relaxed);
    }

    /// The steps that did something, in the order of the dataflow.
    pub fn report(&self) -> Vec<StepTime> {
        let time = |(step, tally): (Step, &Tally)| StepTime {
            step: step.word(),
            items: tally.items.load(Ordering::Relaxed),
            unit: step.unit(),
            cpu_s: Duration::from_nanos(tally.nanoseconds.load(Ordering::Relaxed)).as_secs_f64(),
        };
        Step::ALL.into_iter().zip(&self.tallies).map(time).filter(|time| time.items > 0).collect()
    }
}

/// Processor time of this thread so far.
pub(crate) fn thread_cpu() -> Duration {
    clock::thread()
}

/// Processor time of this process so far, over all its threads.
pub fn process_cpu() -> Duration {
    clock::process()
}

#[cfg(unix)]
mod clock {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn thread() -> Duration {
        read(ClockId::ThreadCPUTime)
    }

    pub(super) fn process() -> Duration {
        read(ClockId::ProcessCPUTime)
    }

    fn read(clock: ClockId) -> Duration {
        clock_gettime(clock).try_into().unwrap_or_default()
    }
}

/// Elsewhere the amounts are counted and the times are nothing.
#[cfg(not(unix))]
mod clock {
    use std::time::Duration;

    pub(super) fn thread() -> Duration {
        Duration::ZERO
    }

    pub(super) fn process() -> Duration {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_and_waiting_is_not() {
        let meter = Meter::default();
        meter.time(Step::Read, 7, || std::thread::sleep(Duration::from_millis(60)));
        let sum = meter.time(Step::Decode, 2, || (0..20_000_000u64).fold(0, |sum, x| std::hint::black_box(sum ^ x)));
        meter.time(Step::Decode, 3, || ());
        let report = meter.report();
        assert_eq!(report.iter().map(|t| (t.step, t.items)).collect::<Vec<_>>(), [("read", 7), ("decode", 5)], "{sum}");
        if cfg!(unix) {
            assert!(report[0].cpu_s < 0.03 && report[1].cpu_s > 0.001, "{report:?}");
            assert!(process_cpu() >= thread_cpu());
        }
    }
}
