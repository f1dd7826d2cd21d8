//! Whether this CPU adds up as its instructions are specified. Numbers are made up here, so that it can be asked anywhere.

use super::aligned::{Aligned, Plain};
use super::depthwise::Depthwise;
use super::element::{Bf16, Element};
use super::isa::Isa;
use super::kernels::Kernels;
use super::rows::{PADDING, Rows, WORD};

/// Whether the best instructions of this CPU give the bits that single precision gives, on a layer of made-up numbers.
pub(super) fn agrees(kernels: fn(Isa) -> Kernels<Bf16>) -> bool {
    const ROWS: usize = 40;
    const INPUTS: usize = 256;
    const OUTPUTS: usize = 128;
    let product = |kernels: Kernels<Bf16>| {
        let mut numbers = Numbers(1);
        let matrix: Vec<f32> = (0..INPUTS * OUTPUTS).map(|_| numbers.next()).collect();
        let bias: Vec<f32> = (0..OUTPUTS).map(|_| numbers.next()).collect();
        let rows = rows(ROWS, INPUTS, || numbers.next());
        let mut out = vec![0.0; ROWS * OUTPUTS];
        kernels.product(&kernels.pointwise(&matrix, &bias), &rows, &mut out);
        out
    };
    let (best, plain) = (Isa::best(), Isa::Avx512.min(Isa::best()));
    product(kernels(best)) == product(kernels(plain)) && rounded(&kernels(best)) == rounded(&kernels(plain))
}

/// The rows of a depthwise convolution, which rounds its sums.
fn rounded(kernels: &Kernels<Bf16>) -> Vec<Bf16> {
    const EXTENTS: [usize; 2] = [8, 8];
    const CHANNELS: usize = 64;
    let mut numbers = Numbers(2);
    let mut values = |count: usize| -> Aligned<f32> { Aligned::of((0..count).map(|_| numbers.next())) };
    let layer = Depthwise::new(values(9 * CHANNELS), values(CHANNELS), EXTENTS, CHANNELS, 1);
    let image = values(layer.image_len());
    let mut rows = Rows::with_capacity(layer.image_len());
    kernels.depthwise(&layer, &image, 0..EXTENTS[0], &mut rows);
    rows.values.to_vec()
}

/// Rows of rectified `values`.
pub(super) fn rows<T: Element + Plain>(count: usize, channels: usize, mut values: impl FnMut() -> f32) -> Rows<T> {
    let mut rows = Rows::with_capacity(count.next_multiple_of(PADDING) * channels);
    rows.reshape(count, channels);
    let words = rows.words();
    for at in 0..count * channels {
        let value = T::from_f32(values().max(0.0));
        let (row, channel) = (at / channels, at % channels);
        rows.values[at] = value;
        if value != T::default() {
            let word = &mut rows.nonzero[row * words + channel / WORD];
            *word |= (1u64 << (channel % WORD)).to_le();
        }
    }
    rows
}

/// Made-up numbers of many magnitudes, half of them negative (xorshift64, Marsaglia 2003).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let unit = (self.0 >> 40) as f32 / (1u64 << 24) as f32;
        (unit - 0.5) * ((self.0 >> 8 & 7) as f32 - 4.0).exp2()
    }
}
