//! Eigenvalues and eigenvectors of a small symmetric matrix.

use super::{Score, WIDTH};

/// Eigenvalues, falling, and the eigenvectors in the same order, by Jacobi's rotations (Golub and Van Loan, section 8.5).
pub(super) fn eigen(mut a: [Score; WIDTH]) -> (Score, [Score; WIDTH]) {
    // Rows are the vectors.
    let mut v: [Score; WIDTH] = std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))));
    // Convergence is quadratic: a handful of sweeps suffices, and further ones change nothing.
    for _ in 0..12 {
        for p in 0..WIDTH {
            for q in p + 1..WIDTH {
                rotate(&mut a, &mut v, p, q);
            }
        }
    }
    let mut order: [usize; WIDTH] = std::array::from_fn(|i| i);
    order.sort_by(|i, j| a[*j][*j].total_cmp(&a[*i][*i]));
    (order.map(|i| a[i][i]), order.map(|i| v[i]))
}

/// The rotation in the plane of `p` and `q` that makes `a[p][q]` zero.
fn rotate(a: &mut [Score; WIDTH], v: &mut [Score; WIDTH], p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let tau = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = tau.signum() / (tau.abs() + tau.hypot(1.0));
    let c = t.hypot(1.0).recip();
    let s = t * c;
    for row in a.iter_mut() {
        (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
    }
    for matrix in [a, v] {
        let (x, y) = (matrix[p], matrix[q]);
        matrix[p] = std::array::from_fn(|k| c * x[k] - s * y[k]);
        matrix[q] = std::array::from_fn(|k| s * x[k] + c * y[k]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvalues_of_the_second_difference_are_those_of_the_formula() {
        // 2 on the diagonal, -1 beside it: 4 sin²(kπ / (2n + 2)), largest first.
        let matrix = std::array::from_fn(|i: usize| {
            std::array::from_fn(|j| match i.abs_diff(j) {
                0 => 2.0,
                1 => -1.0,
                _ => 0.0,
            })
        });
        let (values, vectors) = eigen(matrix);
        for (k, (value, vector)) in values.iter().zip(&vectors).enumerate() {
            let angle = (WIDTH - k) as f64 * std::f64::consts::PI / (2.0 * (WIDTH as f64 + 1.0));
            assert!((value - 4.0 * angle.sin().powi(2)).abs() < 1e-12, "{k}: {value}");
            for (i, row) in matrix.iter().enumerate() {
                let product: f64 = row.iter().zip(vector).map(|(a, b)| a * b).sum();
                assert!((product - value * vector[i]).abs() < 1e-12);
            }
        }
    }
}
