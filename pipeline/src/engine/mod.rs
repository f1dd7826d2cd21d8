//! The engine: reads the declared pipeline, checks it as a whole, and executes it. It prints nothing; it emits events.

#[cfg(test)]
mod fault_tests;
mod files;
mod formats;
pub mod gc;
mod graph;
mod layers;
mod lock;
mod needs;
#[cfg(test)]
mod pass_tests;
mod plan;
mod prices;
mod quarantine;
mod record;
mod retry;
mod run;
mod selection;
mod spec;
mod state;
pub mod verify;

pub use formats::{LaterFormat, check_formats};
pub use graph::{GraphFormat, render};
pub use layers::{Effective, Layer, LayerError, effective, merge, set, stack};
pub use lock::{Lock, LockError, holder, host};
pub use plan::{Facts, Made, PlannedWork, Verdict, difference, judge, key_parts, plan};
pub use prices::Prices;
pub use record::{OK, Record, RunOutcome, StageRecord, describe, event_line};
pub use retry::{quarantined, retry};
pub use run::{RunError, foresee, preflight, run};
pub use selection::{Force, Scope, Selection};
pub use spec::{BUILT_IN, Pipeline, PlannedStage, SpecError, When, ingest_rules, own_parameters, parse, prices};
pub use state::{Pace, State, hash};
