//! The engine: reads the declared pipeline, checks it as a whole, and executes it. It prints nothing; it emits events.

mod graph;
mod layers;
mod lock;
mod record;
mod run;
mod spec;

pub use graph::{GraphFormat, render};
pub use layers::{Effective, Layer, LayerError, effective, merge, set, stack};
pub use lock::{Lock, LockError, holder};
pub use record::{Record, RunOutcome};
pub use run::{RunError, Selection, preflight, run};
pub use spec::{BUILT_IN, Pipeline, PlannedStage, SpecError, parse};
