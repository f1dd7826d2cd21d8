//! What a classifier's probabilities are worth, with the definitions of scikit-learn.

mod average_precision;
mod compute;
mod report;

pub use compute::MetricsError;
pub use report::{ClassMetrics, Metrics};
