//! The two arithmetics of bfloat16 products, in single precision: what the CPU's own instructions are tested against, and what
//! stands in for them, bit for bit, where they are missing.
//!
//! Both multiply exactly and add in single precision; they differ in the order of the additions, which the instructions
//! prescribe (Intel 64 and IA-32 Architectures Software Developer's Manual, `VDPBF16PS` and `TDPBF16PS`).

use super::element::Bf16;
use super::lanes::Lanes;
use super::product::{Accumulate, Marked};

/// As `VDPBF16PS` adds: the activations that are not zero are taken in pairs, 64 channels at a time, and the second of a
/// pair is added first.
pub(super) struct Pairs;

impl<L: Lanes> Accumulate<L, Bf16> for Pairs {
    const WORDS: usize = 2;

    #[inline(always)]
    unsafe fn accumulate<const V: usize>(
        sums: &mut [L; V],
        bits: u64,
        row: *const Bf16,
        panel: *const Bf16,
        width: usize,
    ) {
        let mut channels = Marked(bits);
        while let Some(first) = channels.next() {
            // SAFETY: both channels are marked, so row and panel have them.
            unsafe {
                if let Some(second) = channels.next() {
                    add(sums, *row.add(second), panel.add(second * width));
                }
                add(sums, *row.add(first), panel.add(first * width));
            }
        }
    }
}

/// As `TDPBF16PS` adds: 32 channels at a time, the even and the odd ones apart, then their sum to what was there.
pub(super) struct Tiles;

impl<L: Lanes> Accumulate<L, Bf16> for Tiles {
    const WORDS: usize = 2;

    #[inline(always)]
    unsafe fn accumulate<const V: usize>(
        sums: &mut [L; V],
        bits: u64,
        row: *const Bf16,
        panel: *const Bf16,
        width: usize,
    ) {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        for half in [bits & 0xffff_ffff, bits & !0xffff_ffff] {
            // SAFETY: marked channels exist, says the caller.
            unsafe {
                let even = sum_of::<L, V>(half & EVEN, row, panel, width);
                let odd = sum_of::<L, V>(half & !EVEN, row, panel, width);
                for ((sum, even), odd) in sums.iter_mut().zip(even).zip(odd) {
                    *sum = sum.plus(even.plus(odd));
                }
            }
        }
    }
}

/// The sum of the marked activations times their rows, one after the other.
#[inline(always)]
unsafe fn sum_of<L: Lanes, const V: usize>(bits: u64, row: *const Bf16, panel: *const Bf16, width: usize) -> [L; V] {
    // SAFETY: marked channels exist, says the caller.
    unsafe {
        let mut sums = [L::splat(0.0); V];
        for channel in Marked(bits) {
            add(&mut sums, *row.add(channel), panel.add(channel * width));
        }
        sums
    }
}

/// Adds `activation` times a row of weights.
#[inline(always)]
unsafe fn add<L: Lanes, const V: usize>(sums: &mut [L; V], activation: Bf16, weights: *const Bf16) {
    // SAFETY: the row has `V` registers, says the caller.
    unsafe {
        let activation = L::splat(activation.to_f32());
        for (v, sum) in sums.iter_mut().enumerate() {
            *sum = activation.mul_add(L::load_bf16(weights.cast::<u16>().add(v * L::COUNT)), *sum);
        }
    }
}
