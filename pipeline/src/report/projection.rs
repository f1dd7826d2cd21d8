//! Embeddings in two dimensions: principal components.
//!
//! Linear, so that distances on the map are distances, if only those along the two directions in which the clips differ most; no class
//! is known to it, so that classes that lie apart there do so of themselves. Randomised subspace iteration (Halko, Martinsson and Tropp
//! 2011, algorithms 4.4 and 5.3): a few passes over the rows in place of a decomposition of `[dim, dim]`. The same rows give the same
//! bits, whatever the number of threads.

mod eigen;

use eigen::eigen;
use rayon::prelude::*;

use super::ReportError;
use super::check::shape;

/// Directions that are followed; more than the two that are wanted, so that these converge quickly.
const WIDTH: usize = 8;
/// Passes over the rows. Each shrinks what is wrong by the ratio of the variances along the first direction that is not followed
/// and the second: far below a pixel in the end, where the variance falls like 1/k.
const ITERATIONS: usize = 8;
/// Rows that are summed one after the other. Their sums are added in order, so that threads do not decide about rounding.
const BLOCK: usize = 128;

/// Points in the plane of the two leading principal components.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Projection {
    /// One point for each row.
    pub points: Vec<(f32, f32)>,
    /// Shares of the variance that the two axes hold.
    pub explained: [f64; 2],
}

/// Projects `rows`, `[n, dim]` row-major. The sign of an axis is such that its largest component is positive.
///
/// Fewer than two different rows, or columns, leave axes without variance: all points are 0 there. Values that are not finite are an
/// error, as are rows of unequal length.
pub fn project(rows: &[f32], dim: usize) -> Result<Projection, ReportError> {
    if rows.is_empty() {
        return Ok(Projection::default());
    }
    let n = rows.len() / dim.max(1);
    shape("the last row of the embeddings", rows.len() - n.saturating_sub(1) * dim, dim)?;
    if let Some(at) = rows.iter().position(|value| !value.is_finite()) {
        return Err(ReportError::NotFinite { row: at / dim });
    }
    let centred = Centred { rows, dim, mean: mean(rows, dim) };
    let mut basis = start(dim);
    for _ in 0..ITERATIONS {
        orthonormalise(&mut basis, dim);
        basis = centred.back(&centred.forth(&basis));
    }
    orthonormalise(&mut basis, dim);
    let scores = centred.forth(&basis);
    let (values, vectors) = eigen(gram(&scores));
    let total = centred.variance();
    let axes = [0, 1].map(|axis| turn(&basis, &vectors, axis, dim));
    let points = scores.iter().map(|score| {
        let [x, y] = [0, 1].map(|axis| {
            let (direction, sign) = &axes[axis];
            sign * dot(score, direction)
        });
        (x as f32, y as f32)
    });
    let explained = [0, 1].map(|axis| if total > 0.0 { (values[axis] / total).clamp(0.0, 1.0) } else { 0.0 });
    Ok(Projection { points: points.collect(), explained })
}

/// Rows less their mean, without a copy.
struct Centred<'a> {
    rows: &'a [f32],
    dim: usize,
    mean: Vec<f64>,
}

/// A row in terms of the directions that are followed.
type Score = [f64; WIDTH];

impl Centred<'_> {
    /// Scores of all rows on the directions: `X · basis`, `[n, WIDTH]`.
    fn forth(&self, basis: &[Score]) -> Vec<Score> {
        let mut offset = [0.0; WIDTH];
        for (mean, direction) in self.mean.iter().zip(basis) {
            add_scaled(&mut offset, direction, -mean);
        }
        let score = |row: &[f32]| {
            let mut score = offset;
            for (value, direction) in row.iter().zip(basis) {
                add_scaled(&mut score, direction, f64::from(*value));
            }
            score
        };
        self.rows.par_chunks_exact(self.dim).map(score).collect()
    }

    /// Scores taken back to the columns: `Xᵀ · scores`, `[dim, WIDTH]`.
    fn back(&self, scores: &[Score]) -> Vec<Score> {
        // Columns are dealt to threads, rows are summed in order: each sum has one order.
        let mut sums = vec![[0.0; WIDTH]; self.dim];
        sums.par_chunks_mut(BLOCK).enumerate().for_each(|(block, sums)| {
            let first = block * BLOCK;
            let mean = &self.mean[first..first + sums.len()];
            for (row, score) in self.rows.chunks_exact(self.dim).zip(scores) {
                for ((sum, value), mean) in sums.iter_mut().zip(&row[first..]).zip(mean) {
                    add_scaled(sum, score, f64::from(*value) - mean);
                }
            }
        });
        sums
    }

    /// Sum of squares of all values.
    fn variance(&self) -> f64 {
        let square = |row: &[f32]| -> f64 {
            row.iter().zip(&self.mean).map(|(value, mean)| (f64::from(*value) - mean).powi(2)).sum()
        };
        let by_row: Vec<f64> = self.rows.par_chunks_exact(self.dim).map(square).collect();
        by_row.iter().sum()
    }
}

/// Mean of each column.
fn mean(rows: &[f32], dim: usize) -> Vec<f64> {
    let mut sum = vec![0.0; dim];
    for row in rows.chunks_exact(dim) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }
    let n = (rows.len() / dim) as f64;
    sum.into_iter().map(|sum| sum / n).collect()
}

/// Directions to start from: numbers in −1…1 without a pattern, by `SplitMix64` (Steele, Lea and Flood 2014).
fn start(dim: usize) -> Vec<Score> {
    let mut state = 0_u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..dim).map(|_| std::array::from_fn(|_| next())).collect()
}

/// Makes the directions orthogonal and of length 1; one that depends on those before it becomes 0 (Gram–Schmidt, twice is enough).
fn orthonormalise(basis: &mut [Score], dim: usize) {
    for column in 0..WIDTH {
        let norm = |basis: &[Score]| basis.iter().map(|row| row[column].powi(2)).sum::<f64>().sqrt();
        let before = norm(basis);
        for _ in 0..2 {
            for other in 0..column {
                let along: f64 = basis.iter().map(|row| row[column] * row[other]).sum();
                for row in basis.iter_mut() {
                    row[column] -= along * row[other];
                }
            }
        }
        let after = norm(basis);
        // What is left of a dependent direction is rounding.
        let scale = if after > before * f64::EPSILON * dim as f64 { after.recip() } else { 0.0 };
        for row in basis.iter_mut() {
            row[column] *= scale;
        }
    }
}

/// `scoresᵀ · scores`.
fn gram(scores: &[Score]) -> [Score; WIDTH] {
    let mut gram = [[0.0; WIDTH]; WIDTH];
    for score in scores {
        for (row, value) in gram.iter_mut().zip(score) {
            add_scaled(row, score, *value);
        }
    }
    gram
}

/// An axis in terms of the basis, and its sign.
fn turn(basis: &[Score], vectors: &[Score; WIDTH], axis: usize, dim: usize) -> (Score, f64) {
    let vector = vectors[axis];
    let largest = (0..dim).map(|i| dot(&basis[i], &vector)).fold(0.0_f64, |a, b| if b.abs() > a.abs() { b } else { a });
    (vector, if largest < 0.0 { -1.0 } else { 1.0 })
}

fn dot(a: &Score, b: &Score) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add_scaled(sum: &mut Score, by: &Score, factor: f64) {
    for (sum, by) in sum.iter_mut().zip(by) {
        *sum += factor * by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 rows of 7 columns, of which three are independent.
    fn rows() -> Vec<f32> {
        let wave = |i: i32, period: i32| (i % period - period / 2) as f32;
        (0..40)
            .flat_map(|i| {
                let (a, b, c) = (5.0 * wave(7 * i + 3, 13), 2.0 * wave(5 * i + 1, 11), wave(3 * i, 7));
                [a, b - a, c, a * 0.5 + c, b, 10.0 + c, -b]
            })
            .collect()
    }

    #[test]
    fn points_are_those_of_a_singular_value_decomposition() {
        // NumPy 2.4: `u, s, vt = np.linalg.svd(x - x.mean(0))` in f64, each row of `vt` with its largest component positive;
        // `(x - x.mean(0)) @ vt[:2].T` and `s**2 / (s**2).sum()`.
        let points = [
            (0, 17.615_281_656, -13.392_548_612),
            (1, -29.216_165_425, 3.225_511_474),
            (17, 12.636_113_715, 12.567_033_388),
            (39, 26.616_239_087, 13.135_050_103),
        ];
        let found = project(&rows(), 7).unwrap();
        for (row, x, y) in points {
            let point = found.points[row];
            assert!((f64::from(point.0) - x).abs() < 1e-5 && (f64::from(point.1) - y).abs() < 1e-5, "{row}: {point:?}");
        }
        for (found, golden) in found.explained.iter().zip([0.866_268_052_833, 0.120_602_696_982]) {
            assert!((found - golden).abs() < 1e-10, "{found}");
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| project(&rows(), 7).unwrap())
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn degenerate_rows_give_finite_points() {
        assert_eq!(project(&[], 3).unwrap(), Projection::default());
        assert_eq!(project(&[1.0, 2.0, 3.0], 3).unwrap().points, [(0.0, 0.0)]);
        assert_eq!(project(&[4.0; 12], 3).unwrap(), Projection { points: vec![(0.0, 0.0); 4], explained: [0.0; 2] });
        let line = project(&[1.0, 2.0, 4.0], 1).unwrap();
        assert!(
            (line.points[2].0 - 5.0 / 3.0).abs() < 1e-6 && line.points.iter().all(|point| point.1 == 0.0),
            "{line:?}"
        );
        assert!((line.explained[0] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn bad_rows_are_errors() {
        assert!(matches!(project(&[1.0; 7], 3), Err(ReportError::Shape { .. })));
        assert!(matches!(project(&[1.0; 7], 0), Err(ReportError::Shape { .. })));
        assert_eq!(project(&[1.0, 1.0, f32::NAN, 1.0], 2), Err(ReportError::NotFinite { row: 1 }));
    }
}
