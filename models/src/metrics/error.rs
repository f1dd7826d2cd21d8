//! Why metrics cannot be computed.

/// What is wrong with the rows that were to be evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// There is no row.
    #[error("no rows to evaluate")]
    NoRows,
    /// The probabilities are not one row of `classes` values for each true class.
    #[error("{probabilities} probabilities do not make {rows} rows of {classes} classes")]
    Shape {
        /// Number of probabilities.
        probabilities: usize,
        /// Number of true classes.
        rows: usize,
        /// Number of class names.
        classes: usize,
    },
    /// A true class outside the class names.
    #[error("class {class} of row {row} is outside the {classes} classes")]
    Truth {
        /// Index of the row.
        row: usize,
        /// Its class.
        class: usize,
        /// Number of class names.
        classes: usize,
    },
    /// A predicted class outside the class names.
    #[error("class {class}, predicted of row {row}, is outside the {classes} classes")]
    Predicted {
        /// Index of the row.
        row: usize,
        /// The class predicted.
        class: usize,
        /// Number of class names.
        classes: usize,
    },
    /// A probability or score that is infinite or not a number.
    #[error("row {row} holds a probability or score that is not a finite number")]
    NotANumber {
        /// Index of the row.
        row: usize,
    },
    /// There is not one value for each row or class.
    #[error("{found} {what}, and {expected} are needed")]
    Length {
        /// What the values are, in the plural.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A setting out of its range.
    #[error("{what} is {value}; it is {range}")]
    Range {
        /// What the value is.
        what: &'static str,
        /// The value.
        value: f64,
        /// Where it should lie, in words.
        range: &'static str,
    },
}
