//! Pointwise convolution as a product of rectified rows with a matrix, bias and rectifier; it skips zeros.
//!
//! About half of YAMNet's rectified activations are zero. Each row is multiplied on its own: a bit for each activation
//! tells which are not zero, and only their rows of the matrix are added up, in the order of the channels. A panel of the
//! matrix, 64 channels high and eight registers wide, stays in the first-level cache while all rows pass. Since what is
//! skipped would add zero, the sums have the bits of a dense product in the same order.

use super::aligned::{Aligned, Plain};
use super::element::Element;
use super::lanes::Lanes;
use super::rows::{Rows, WORD};

/// Registers that hold sums.
const REGISTERS: usize = 8;

/// One pointwise convolution.
pub(super) struct Pointwise<T> {
    /// Packed for the kernel that uses it.
    pub(super) matrix: Aligned<T>,
    /// `[outputs]`.
    pub(super) bias: Aligned<f32>,
    /// Channels of the rows.
    pub(super) inputs: usize,
    /// Channels of the result.
    pub(super) outputs: usize,
}

/// Columns of a panel for registers of `lanes` values.
pub(super) const fn panel_width(outputs: usize, lanes: usize) -> usize {
    let widest = REGISTERS * lanes;
    if outputs < widest { outputs } else { widest }
}

/// `matrix` `[inputs, outputs]` as panels `[panels, inputs, width]`.
pub(super) fn pack<T: Element + Plain>(matrix: &[f32], inputs: usize, outputs: usize, width: usize) -> Aligned<T> {
    let source = |at: usize| {
        let (panel, input, column) = (at / (inputs * width), at / width % inputs, at % width);
        matrix[input * outputs + panel * width + column]
    };
    Aligned::of((0..inputs * outputs).map(source))
}

/// How the activations of one row that are not zero enter its sums.
pub(super) trait Accumulate<L, T> {
    /// Words of channels in a panel: as high as the first-level cache allows.
    const WORDS: usize;

    /// Adds the activations that `bits` marks among the 64 from `row` on, times their rows of `panel`, `width` apart.
    ///
    /// # Safety
    /// As for all methods of [`Lanes`]; `bits` marks activations that exist, and `panel` has a row of `V` registers for
    /// each.
    unsafe fn accumulate<const V: usize>(sums: &mut [L; V], bits: u64, row: *const T, panel: *const T, width: usize);
}

/// The channels that are marked in a word, the lowest first.
pub(super) struct Marked(pub(super) u64);

impl Iterator for Marked {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let channel = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(channel)
    }
}

/// One after the other.
pub(super) struct InOrder;

impl<L: Lanes> Accumulate<L, f32> for InOrder {
    const WORDS: usize = 1;

    #[inline(always)]
    unsafe fn accumulate<const V: usize>(
        sums: &mut [L; V],
        bits: u64,
        row: *const f32,
        panel: *const f32,
        width: usize,
    ) {
        for channel in Marked(bits) {
            // SAFETY: `channel` is marked, so row and panel have it.
            unsafe {
                let activation = L::splat(*row.add(channel));
                let weights = panel.add(channel * width);
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = activation.mul_add(L::load(weights.add(v * L::COUNT)), *sum);
                }
            }
        }
    }
}

/// `out` `[rows, outputs]` = rectified `rows` · matrix + bias, summed by `A`.
///
/// # Safety
/// As for all methods of [`Lanes`]; the matrix was packed in panels of [`panel_width`] for `L`, the rows have its inputs,
/// and `out` has room.
#[inline(always)]
pub(super) unsafe fn product<L: Lanes, T: Element + Plain, A: Accumulate<L, T>>(
    layer: &Pointwise<T>,
    rows: &Rows<T>,
    out: &mut [f32],
) {
    // SAFETY: as the caller says; the narrowest matrix has four registers of sixteen or eight of eight.
    unsafe {
        if layer.outputs == 4 * L::COUNT {
            panels::<L, T, A, 4>(layer, rows, out);
        } else {
            panels::<L, T, A, REGISTERS>(layer, rows, out);
        }
    }
}

#[inline(always)]
unsafe fn panels<L: Lanes, T: Element + Plain, A: Accumulate<L, T>, const V: usize>(
    layer: &Pointwise<T>,
    rows: &Rows<T>,
    out: &mut [f32],
) {
    let (width, words) = (V * L::COUNT, rows.words());
    for column in (0..layer.outputs).step_by(width) {
        for first in (0..words).step_by(A::WORDS) {
            let end = words.min(first + A::WORDS);
            for row in 0..rows.count {
                // SAFETY: row, words and column are within the extents that the caller vouches for.
                unsafe {
                    let out = out.as_mut_ptr().add(row * layer.outputs + column);
                    let start = if first == 0 { layer.bias.as_ptr().add(column) } else { out.cast_const() };
                    let mut sums: [L; V] = std::array::from_fn(|v| L::load(start.add(v * L::COUNT)));
                    for word in first..end {
                        let bits = u64::from_le(*rows.nonzero.get_unchecked(row * words + word));
                        let activations = rows.values.as_ptr().add(row * layer.inputs + word * WORD);
                        let panel = layer.matrix.as_ptr().add(column * layer.inputs + word * WORD * width);
                        A::accumulate(&mut sums, bits, activations, panel, width);
                    }
                    for (v, sum) in sums.into_iter().enumerate() {
                        (if end == words { sum.rectify() } else { sum }).store(out.add(v * L::COUNT));
                    }
                }
            }
        }
    }
}
