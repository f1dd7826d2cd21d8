//! Inner products of many rows with many rows.

use gemm::{Parallelism, gemm};

/// Fills `out` `[left rows, right rows]` with the inner products of the rows of `left` and `right`, both `[…, dim]` and
/// row-major. One thread works; what a product is does not depend on which.
///
/// # Panics
/// When the lengths do not fit together.
pub(super) fn products(left: &[f32], right: &[f32], dim: usize, out: &mut [f32]) {
    let (m, n) = (left.len() / dim, right.len() / dim);
    assert!(left.len() == m * dim && right.len() == n * dim && out.len() == m * n, "rows are whole, and `out` fits");
    let (stride, columns) = (dim as isize, n as isize);
    // SAFETY: by the assertion, each matrix with these strides lies within its slice, and `out` is borrowed exclusively.
    #[expect(unsafe_code, reason = "the matrix product takes pointers")]
    unsafe {
        gemm(
            m,
            n,
            dim,
            out.as_mut_ptr(),
            1,
            columns,
            false,
            left.as_ptr(),
            1,
            stride,
            right.as_ptr(),
            stride,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_schoolbook() {
        for (m, n, dim) in [(1, 1, 1), (3, 5, 7), (17, 70, 33), (0, 4, 2), (4, 0, 2)] {
            let values =
                |len: usize, step: usize| -> Vec<f32> { (0..len).map(|i| (i * step % 13) as f32 - 6.0).collect() };
            let (left, right) = (values(m * dim, 5), values(n * dim, 7));
            let mut out = vec![f32::NAN; m * n];
            products(&left, &right, dim, &mut out);
            for (at, &product) in out.iter().enumerate() {
                let (i, j) = (at / n, at % n);
                let expected: f32 = (0..dim).map(|d| left[i * dim + d] * right[j * dim + d]).sum();
                assert_eq!(product.to_bits(), expected.to_bits(), "small integers are summed without rounding");
            }
        }
    }
}
