//! Labelled rows to train or to validate on.

use std::borrow::Cow;

use super::HeadError;

/// Pooled rows with their labels; not normalised, the head does that.
#[derive(Debug, Clone)]
pub struct Examples<'a> {
    /// Rows, `[n, dim]` row-major. Training standardises them in place if they are given away, else a copy.
    pub x: Cow<'a, [f32]>,
    /// Label of each row, `[n]`: its class, or a label that stands for several.
    pub y: &'a [usize],
    /// Recording of each row, `[n]`: rows of one are never parted by a cross-validation.
    pub groups: &'a [u32],
    /// Whether each row is an original, not a variant of one, `[n]`: only these are what a training is judged by.
    pub is_original: &'a [bool],
    /// Values in a row.
    pub dim: usize,
}

impl Examples<'_> {
    /// Number of rows.
    pub fn n(&self) -> usize {
        self.y.len()
    }

    /// Checks shape, labels and values.
    pub(super) fn check(&self, labels: usize) -> Result<(), HeadError> {
        let n = self.y.len();
        if self.dim == 0
            || n.checked_mul(self.dim) != Some(self.x.len())
            || [self.groups.len(), self.is_original.len()] != [n; 2]
        {
            return Err(HeadError::RowShape { values: self.x.len(), labels: self.y.len(), dim: self.dim });
        }
        if let Some((row, &label)) = self.y.iter().enumerate().find(|&(_, &label)| label >= labels) {
            return Err(HeadError::Label { row, label, labels });
        }
        match self.x.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(HeadError::NotFinite { row: at / self.dim }),
            None => Ok(()),
        }
    }
}

/// Examples with arrays of their own.
pub(super) struct OwnedExamples {
    x: Vec<f32>,
    y: Vec<usize>,
    groups: Vec<u32>,
    is_original: Vec<bool>,
    dim: usize,
}

impl OwnedExamples {
    /// These rows of `examples`.
    pub(super) fn of(examples: &Examples<'_>, rows: &[usize]) -> Self {
        let dim = examples.dim;
        Self {
            x: rows.iter().flat_map(|&row| &examples.x[row * dim..(row + 1) * dim]).copied().collect(),
            y: rows.iter().map(|&row| examples.y[row]).collect(),
            groups: rows.iter().map(|&row| examples.groups[row]).collect(),
            is_original: rows.iter().map(|&row| examples.is_original[row]).collect(),
            dim,
        }
    }

    /// The rows of `a`, then those of `b`; both have the same length of a row.
    pub(super) fn join(a: &Examples<'_>, b: &Examples<'_>) -> Self {
        Self {
            x: [&*a.x, &*b.x].concat(),
            y: [a.y, b.y].concat(),
            groups: [a.groups, b.groups].concat(),
            is_original: [a.is_original, b.is_original].concat(),
            dim: a.dim,
        }
    }

    /// The first `n` rows.
    pub(super) fn first(&self, n: usize) -> Examples<'_> {
        Examples {
            x: (&self.x[..n * self.dim]).into(),
            y: &self.y[..n],
            groups: &self.groups[..n],
            is_original: &self.is_original[..n],
            dim: self.dim,
        }
    }

    /// All rows.
    pub(super) fn all(&self) -> Examples<'_> {
        self.first(self.y.len())
    }

    /// All rows, values given away: training needs no second copy.
    pub(super) fn take(&mut self) -> Examples<'_> {
        let x = std::mem::take(&mut self.x);
        let Self { y, groups, is_original, dim, .. } = self;
        Examples { x: x.into(), y, groups, is_original, dim: *dim }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_the_first_defect_is_named() {
        let check = |x: &[f32], y: &[usize]| {
            Examples { x: x.into(), y, groups: &[0, 1], is_original: &[true; 2], dim: 2 }.check(2)
        };
        assert_eq!(check(&[0.0; 4], &[0, 1]), Ok(()));
        assert_eq!(check(&[0.0, 0.0, 0.0, f32::NAN], &[0, 1]), Err(HeadError::NotFinite { row: 1 }));
        assert_eq!(check(&[0.0; 4], &[0, 2]), Err(HeadError::Label { row: 1, label: 2, labels: 2 }));
        assert_eq!(check(&[0.0; 3], &[0, 1]), Err(HeadError::RowShape { values: 3, labels: 2, dim: 2 }));
    }
}
