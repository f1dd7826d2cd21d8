//! Exit codes.

use std::process::ExitCode;

/// How a command ended; scripts may rely on the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// 0: done.
    Ok = 0,
    /// 1: a check or a run failed.
    Failed = 1,
    /// 2: the command or the pipeline file is wrong.
    Usage = 2,
    /// 3: something is to be done (`status`).
    Stale = 3,
    /// 4: the gate does not let the new model into production.
    Refused = 4,
    /// 5: more clips failed than the budget allows.
    FailureBudget = 5,
    /// 6: the store failed, or another process holds the data root.
    Store = 6,
    /// 70: a bug in EcoSight.
    Bug = 70,
    /// 130: the user stopped it.
    Interrupted = 130,
}

impl ExitStatus {
    /// One word for it, as `--events` and `--on-finish` give it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Stale => "stale",
            Self::Refused => "refused",
            Self::FailureBudget => "failure_budget",
            Self::Store => "store",
            Self::Bug => "bug",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}
