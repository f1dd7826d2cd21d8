//! The first convolution: 3×3 with stride 2 from one channel.

use std::ops::Range;

use super::aligned::Aligned;
use super::lanes::Lanes;
use crate::frontend::MEL_BANDS;
use crate::frontend::params::PATCH_FRAMES;
use crate::yamnet::architecture::STEM_CHANNELS;

/// Rows and columns of the output.
pub(super) const HEIGHT: usize = PATCH_FRAMES / 2;
pub(super) const WIDTH: usize = MEL_BANDS / 2;

/// Its weights.
pub(super) struct Stem {
    /// `[9, 32]`.
    pub(super) kernel: Aligned<f32>,
    /// `[32]`.
    pub(super) bias: Aligned<f32>,
}

/// Below the last row of a patch TensorFlow pads with zeros.
static ZERO_ROW: [f32; MEL_BANDS] = [0.0; MEL_BANDS];

/// The rows `lines` of `out` `[48, 32, 32]` from `patch` `[96, 64]`, rectified.
///
/// # Safety
/// As for all methods of [`Lanes`]; lengths are as said.
#[inline(always)]
pub(super) unsafe fn stem<L: Lanes>(weights: &Stem, patch: &[f32], lines: Range<usize>, out: &mut [f32]) {
    for y in lines {
        let rows: [&[f32]; 3] = std::array::from_fn(|dy| {
            let start = (2 * y + dy) * MEL_BANDS;
            patch.get(start..start + MEL_BANDS).unwrap_or(&ZERO_ROW)
        });
        for channel in (0..STEM_CHANNELS).step_by(L::COUNT) {
            // SAFETY: `channel` plus a register lies within the 32 channels; each row has 64 values, of which the last
            // column skips the one beyond; `out` has a pixel for each `x` and `y`.
            unsafe {
                let bias = L::load(weights.bias.as_ptr().add(channel));
                let taps: [L; 9] =
                    std::array::from_fn(|tap| L::load(weights.kernel.as_ptr().add(tap * STEM_CHANNELS + channel)));
                for x in 0..WIDTH {
                    let columns = if x + 1 == WIDTH { 2 } else { 3 };
                    let mut sum = bias;
                    for (dy, row) in rows.iter().enumerate() {
                        for dx in 0..columns {
                            sum = L::splat(*row.get_unchecked(2 * x + dx)).mul_add(taps[dy * 3 + dx], sum);
                        }
                    }
                    sum.rectify().store(out.as_mut_ptr().add((y * WIDTH + x) * STEM_CHANNELS + channel));
                }
            }
        }
    }
}
