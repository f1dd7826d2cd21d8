//! What a classifier's probabilities are worth, with the definitions of scikit-learn.
//!
//! Everything here is a pure function of probabilities, `[n, classes]` row-major, and the true class of each row; results
//! have the same bits on every run and with any number of threads.

mod auroc;
mod average_precision;
mod bootstrap;
mod check;
mod clusters;
mod compute;
mod curves;
mod doubt;
mod error;
mod false_alarms;
mod interval;
mod intervals;
mod log_loss;
mod multi_label;
mod paired;
mod platt;
mod poisson;
mod proportion;
mod ranking;
mod reliability;
mod report;
mod slices;
mod stored;
mod tally;
mod temperature;
mod thinning;
mod thresholds;

pub use bootstrap::Bootstrap;
pub use clusters::{Clusters, FEW_CLUSTERS};
pub use curves::{PrecisionRecallPoint, RocPoint};
pub use doubt::{Doubt, LabelFit, doubts, label_fits};
pub use error::MetricsError;
pub use false_alarms::{AlarmRate, FalseAlarms, false_alarms_per_hour};
pub use interval::Interval;
pub use intervals::{Intervals, intervals};
pub use multi_label::{Labelled, MultiLabel};
pub use paired::{Difference, PairedDifferences, paired_bootstrap};
pub use platt::Platt;
pub use poisson::poisson_interval;
pub use ranking::Ranking;
pub use reliability::{BINS, ReliabilityBin, expected_calibration_error, reliability, reliability_of};
pub use report::{ClassMetrics, Metrics};
pub use slices::{Band, DURATION_EDGES_S, MIN_ROWS, SNR_EDGES_DB, bucketed, rows_of_slices};
pub use temperature::{temperature, tempered};
pub use thresholds::{Candidate, Threshold, Wish};
