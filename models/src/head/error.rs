//! Why a head cannot be trained or rebuilt.

/// What is wrong with the examples, the settings or the tensors of a head.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The settings are out of range; all problems are listed.
    #[error("settings out of range: {}", .0.join("; "))]
    Settings(Vec<String>),
    /// There is no row to train on.
    #[error("no examples to train on")]
    NoExamples,
    /// Rows of one recording cannot be parted for a cross-validation.
    #[error("all rows are of one recording, and a cross-validation needs at least two")]
    TooFewRecordings,
    /// A classifier needs two classes.
    #[error("{0} classes, and a classifier needs at least 2")]
    TooFewClasses(usize),
    /// `x` does not hold one row of `dim` values for each label.
    #[error("{values} values do not make {labels} rows of {dim}")]
    RowShape {
        /// Number of values in `x`.
        values: usize,
        /// Number of labels.
        labels: usize,
        /// Stated length of a row.
        dim: usize,
    },
    /// Validation rows of another length than the train rows.
    #[error("validation rows have {val} values, train rows {train}")]
    ValidationDim {
        /// Length of a train row.
        train: usize,
        /// Length of a validation row.
        val: usize,
    },
    /// A label outside `0..labels`.
    #[error("label {label} of row {row} is outside the {labels} labels")]
    Label {
        /// Index of the row.
        row: usize,
        /// The label.
        label: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A value that is not finite.
    #[error("row {row} holds a value that is not finite")]
    NotFinite {
        /// Index of the row.
        row: usize,
    },
    /// The training diverged: its loss is no longer a number.
    #[error("the loss is not finite after epoch {epoch}; a lower `learning_rate` may help")]
    Diverged {
        /// The epoch, from 1.
        epoch: u32,
    },
    /// A tensor of a stored head that is missing.
    #[error("tensor `{0}` is missing")]
    TensorMissing(String),
    /// A tensor of a stored head that no head of this kind has.
    #[error("unexpected tensor `{0}`")]
    TensorUnexpected(String),
    /// A tensor of a stored head with the wrong shape.
    #[error("tensor `{name}` has shape {found:?} instead of {expected:?}")]
    TensorShape {
        /// Name of the tensor.
        name: String,
        /// Shape that follows from kind, classes and input length.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor of a stored head with values that cannot be right.
    #[error("tensor `{0}` holds values that are not finite or out of range")]
    TensorValues(String),
}
