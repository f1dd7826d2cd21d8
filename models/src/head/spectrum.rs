//! The strongest directions of standardised rows, with which a minimisation sees a rounder valley.
//!
//! Columns of embeddings go together: the largest eigenvalues of their correlation matrix are thousands of times the smallest, and a
//! minimisation by gradients alone needs as many steps more. The leading eigenvectors come from randomised subspace iteration (Halko, Martinsson
//! and Tropp 2011, algorithm 4.4 with Rayleigh–Ritz), which only multiplies by the rows, block by block.

use burn::tensor::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::blocks::{device, matrix, values};

/// Directions that are looked for.
const RANK: usize = 96;

/// Multiplications by the correlation matrix; the second already separates what matters here.
const ROUNDS: usize = 2;

/// Leading eigenvectors and eigenvalues of the correlation matrix `XᵀX / n`.
pub(super) struct Spectrum {
    /// `[rank][dim]`, orthonormal.
    vectors: Vec<Vec<f64>>,
    /// `[rank]`, descending.
    values: Vec<f64>,
    /// Mean of all others.
    rest: f64,
}

impl Spectrum {
    /// Of the rows in `blocks`, `[n, dim]` together, whose columns are standardised.
    pub(super) fn of(blocks: &[Tensor<2>], n: usize, dim: usize) -> Self {
        // More directions than a third of all save nothing.
        let rank = RANK.min(dim / 3).min(n / 3);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut basis: Vec<Vec<f64>> =
            (0..rank).map(|_| (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
        let mut image = Vec::new();
        for round in 0..=ROUNDS {
            orthonormalise(&mut basis);
            image = multiply(blocks, n, dim, &basis);
            if round < ROUNDS {
                basis.clone_from(&image);
            }
        }
        // Within the subspace the eigenvectors are those of a small matrix.
        let small: Vec<Vec<f64>> = basis.iter().map(|a| image.iter().map(|b| dot(a, b)).collect()).collect();
        let (values, rotation) = jacobi(small);
        let combined = |weights: &Vec<f64>| {
            let mut vector = vec![0.0; dim];
            for (weight, direction) in weights.iter().zip(&basis) {
                vector.iter_mut().zip(direction).for_each(|(sum, value)| *sum += weight * value);
            }
            vector
        };
        let vectors = rotation.iter().map(combined).collect();
        // The trace of a correlation matrix is the number of its columns.
        let rest = (dim as f64 - values.iter().sum::<f64>()).max(0.0) / (dim - rank).max(1) as f64;
        Self { vectors, values, rest }
    }

    /// Multiplies the columns of `gradient`, `[dim, classes]` row-major, by `(curvature · XᵀX/n + pull · I)⁻¹`.
    pub(super) fn divide(&self, gradient: &mut [f64], classes: usize, curvature: f64, pull: f64) {
        let inverse = |value: f64| 1.0 / (curvature * value + pull).max(f64::MIN_POSITIVE.sqrt());
        let rest = inverse(self.rest.max(1e-6));
        let additions: Vec<Vec<f64>> = self
            .vectors
            .par_iter()
            .zip(&self.values)
            .map(|(vector, &value)| {
                let mut share = vec![0.0; classes];
                for (row, weight) in gradient.chunks_exact(classes).zip(vector) {
                    share.iter_mut().zip(row).for_each(|(sum, g)| *sum += weight * g);
                }
                let factor = inverse(value) - rest;
                for sum in &mut share {
                    *sum *= factor;
                }
                share
            })
            .collect();
        gradient.par_chunks_exact_mut(classes).enumerate().for_each(|(column, row)| {
            for g in row.iter_mut() {
                *g *= rest;
            }
            for (vector, addition) in self.vectors.iter().zip(&additions) {
                row.iter_mut().zip(addition).for_each(|(g, a)| *g += vector[column] * a);
            }
        });
    }
}

/// `XᵀX / n` times each vector of `basis`.
fn multiply(blocks: &[Tensor<2>], n: usize, dim: usize, basis: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let rank = basis.len();
    let device = device();
    let narrow = (0..dim).flat_map(|column| basis.iter().map(move |vector| vector[column] as f32)).collect();
    let narrow = matrix(narrow, dim, rank, &device);
    // In order, so that the sums have the same bits on any number of threads; a handful of blocks at a time bounds the memory.
    let mut sums = vec![0.0; dim * rank];
    for some in blocks.chunks(16) {
        let parts: Vec<Vec<f32>> = some
            .par_iter()
            .map(|rows| values(rows.clone().transpose().matmul(rows.clone().matmul(narrow.clone()))))
            .collect();
        for part in parts {
            sums.iter_mut().zip(part).for_each(|(sum, value)| *sum += f64::from(value));
        }
    }
    (0..rank).map(|index| (0..dim).map(|column| sums[column * rank + index] / n as f64).collect()).collect()
}

/// Makes the vectors orthonormal, in order; one that depends on those before it becomes zero.
fn orthonormalise(vectors: &mut [Vec<f64>]) {
    for index in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(index);
        let vector = &mut rest[0];
        let length = dot(vector, vector).sqrt();
        // Twice is enough (Kahan).
        for _ in 0..2 {
            for other in before.iter() {
                let share = dot(other, vector);
                vector.iter_mut().zip(other).for_each(|(v, o)| *v -= share * o);
            }
        }
        let norm = dot(vector, vector).sqrt();
        let factor = if norm > 1e-10 * length.max(f64::MIN_POSITIVE) { 1.0 / norm } else { 0.0 };
        for v in vector.iter_mut() {
            *v *= factor;
        }
    }
}

/// Eigenvalues, descending, and eigenvectors (one a row) of a small symmetric matrix, by Jacobi's rotations.
fn jacobi(mut a: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = a.len();
    let mut vectors: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..30 {
        let off: f64 = (0..n).flat_map(|p| (0..p).map(move |q| (p, q))).map(|(p, q)| a[p][q] * a[p][q]).sum();
        let on: f64 = (0..n).map(|p| a[p][p] * a[p][p]).sum();
        if off <= 1e-20 * on {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q].abs() <= f64::MIN_POSITIVE {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for row in &mut a {
                    let (kp, kq) = (row[p], row[q]);
                    (row[p], row[q]) = (c * kp - s * kq, s * kp + c * kq);
                }
                for k in 0..n {
                    let (pk, qk) = (a[p][k], a[q][k]);
                    (a[p][k], a[q][k]) = (c * pk - s * qk, s * pk + c * qk);
                    let (vp, vq) = (vectors[p][k], vectors[q][k]);
                    (vectors[p][k], vectors[q][k]) = (c * vp - s * vq, s * vp + c * vq);
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&p, &q| a[q][q].total_cmp(&a[p][p]));
    (order.iter().map(|&p| a[p][p]).collect(), order.iter().map(|&p| vectors[p].clone()).collect())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::super::blocks::cut;
    use super::*;

    #[test]
    fn a_symmetric_matrix_is_taken_apart_and_put_together() {
        let a: Vec<Vec<f64>> = (0..5)
            .map(|i| (0..5).map(|j| f64::from((i * j) % 3) + f64::from(u8::from(i == j)) * 4.0).collect())
            .collect();
        let (values, vectors) = jacobi(a.clone());
        assert!(values.is_sorted_by(|a, b| a >= b));
        for i in 0..5 {
            for j in 0..5 {
                let sum: f64 = (0..5).map(|k| values[k] * vectors[k][i] * vectors[k][j]).sum();
                assert!((sum - a[i][j]).abs() < 1e-10, "{i} {j}: {sum}");
            }
        }
    }

    #[test]
    fn dividing_by_a_matrix_of_low_rank_is_exact() {
        // Rows of one strong direction and nothing else.
        let (n, dim) = (300, 12);
        let sign = |i: usize| if i.is_multiple_of(2) { 1.0_f32 } else { -1.0 };
        let x: Vec<f32> = (0..n).flat_map(|row| (0..dim).map(move |column| sign(row) * sign(column))).collect();
        let spectrum = Spectrum::of(&cut(x, dim, &device()), n, dim);
        assert!((spectrum.values[0] - 12.0).abs() < 1e-4, "{:?}", spectrum.values);
        let mut gradient: Vec<f64> = (0..dim).map(|column| f64::from(sign(column))).collect();
        spectrum.divide(&mut gradient, 1, 0.5, 0.1);
        assert!((gradient[0] - 1.0 / 6.1).abs() < 1e-4, "{gradient:?}");
    }
}
