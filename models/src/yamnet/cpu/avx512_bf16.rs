//! The products of AVX-512 BF16.
//!
//! Any two activations of a row that are not zero make a pair: their rows of the matrix are interleaved on the way to the
//! instruction, which multiplies pairs. So zeros are skipped one by one, as in single precision.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_unpackhi_epi16,
    _mm512_unpacklo_epi16,
};

use super::aligned::Aligned;
use super::avx512::Avx512;
use super::element::{Bf16, Element};
use super::product::{Accumulate, Marked, panel_width};

/// Columns that one interleaving covers.
const GROUP: usize = 32;

/// See the module.
pub(super) struct Native;

impl Accumulate<Avx512, Bf16> for Native {
    const WORDS: usize = 2;

    #[inline(always)]
    unsafe fn accumulate<const V: usize>(
        sums: &mut [Avx512; V],
        bits: u64,
        row: *const Bf16,
        panel: *const Bf16,
        width: usize,
    ) {
        let mut channels = Marked(bits);
        while let Some(first) = channels.next() {
            // SAFETY: both channels are marked, so row and panel have them, the latter in groups of 32 columns; the CPU
            // has AVX-512 BF16, says the caller.
            unsafe {
                let mut pair = u32::from((*row.add(first)).0);
                let mut second = first;
                if let Some(other) = channels.next() {
                    second = other;
                    pair |= u32::from((*row.add(second)).0) << 16;
                }
                let pair = as_bf16(_mm512_set1_epi32(pair.cast_signed()));
                let (upper, lower) = (panel.add(first * width), panel.add(second * width));
                for (group, sums) in sums.chunks_exact_mut(2).enumerate() {
                    let upper = _mm512_loadu_si512(upper.add(group * GROUP).cast::<__m512i>());
                    let lower = _mm512_loadu_si512(lower.add(group * GROUP).cast::<__m512i>());
                    let (low, high) = (_mm512_unpacklo_epi16(upper, lower), _mm512_unpackhi_epi16(upper, lower));
                    sums[0].0 = _mm512_dpbf16_ps(sums[0].0, pair, as_bf16(low));
                    sums[1].0 = _mm512_dpbf16_ps(sums[1].0, pair, as_bf16(high));
                }
            }
        }
    }
}

#[inline(always)]
fn as_bf16(bits: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes of which any are valid.
    unsafe { std::mem::transmute(bits) }
}

/// `matrix` `[inputs, outputs]` in panels whose groups of 32 columns are permuted so that the interleaving, which works
/// within 128 bits, puts the first sixteen columns into the first register.
pub(super) fn pack(matrix: &[f32], inputs: usize, outputs: usize) -> Aligned<Bf16> {
    let width = panel_width(outputs, <Avx512 as super::lanes::Lanes>::COUNT);
    let source = |at: usize| {
        let (panel, input, position) = (at / (inputs * width), at / width % inputs, at % width);
        let (group, lane, place) = (position / GROUP, position % GROUP / 8, position % 8);
        let column = group * GROUP + place / 4 * (GROUP / 2) + lane * 4 + place % 4;
        matrix[input * outputs + panel * width + column]
    };
    let mut packed = Aligned::zeroed(inputs * outputs);
    packed.iter_mut().enumerate().for_each(|(at, slot)| *slot = Bf16::from_f32(source(at)));
    packed
}
