//! Rows as tensors of a fixed number of rows, so that no result depends on how many rows came together.
//!
//! A matrix product may add in another order when its shape changes, and sums over rows depend on where they are cut.
//! Blocks of one fixed height remove both: the shape of every product is fixed, blocks are cut at the same rows whatever
//! the number of threads, and their results are joined in order.

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

/// Rows in a block. With 2048 columns a block of 256 rows is 2 MiB and stays in the cache of a core while it is read
/// twice (logits, then gradient).
pub(super) const ROWS: usize = 256;

/// Rows in a block of inference, where a single row is common and padding it must stay cheap.
const INFERENCE_ROWS: usize = 32;

/// The device of every head: the portable CPU backend, which gives the same bits on every run.
pub(super) fn device() -> Device {
    Device::flex()
}

/// `values` as a tensor `[rows, columns]`.
pub(super) fn matrix(values: Vec<f32>, rows: usize, columns: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, [rows, columns]), device)
}

/// The values of a tensor, row-major.
pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("tensors of a head are made from `f32` values on a CPU device")
}

/// Cuts `x`, `[n, dim]` row-major, into tensors of at most [`ROWS`] rows; they share its memory.
pub(super) fn cut(x: Vec<f32>, dim: usize, device: &Device) -> Vec<Tensor<2>> {
    let n = x.len() / dim;
    let all = matrix(x, n, dim, device);
    (0..n).step_by(ROWS).map(|from| all.clone().slice(from..n.min(from + ROWS))).collect()
}

/// Runs `forward` over `x` (`[n, dim]` row-major) in padded blocks of equal shape; returns the `[n, width]` results.
pub(super) fn forward(x: &[f32], dim: usize, forward: impl Fn(Tensor<2>) -> Tensor<2> + Sync) -> Vec<f32> {
    let device = device();
    let blocks: Vec<Vec<f32>> = x
        .par_chunks(INFERENCE_ROWS * dim)
        .map(|rows| {
            let mut padded = rows.to_vec();
            padded.resize(INFERENCE_ROWS * dim, 0.0);
            let out = forward(matrix(padded, INFERENCE_ROWS, dim, &device));
            let [_, width] = out.dims();
            let mut out = values(out);
            out.truncate(rows.len() / dim * width);
            out
        })
        .collect();
    blocks.concat()
}
