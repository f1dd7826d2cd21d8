//! Plain Rust: the definition that every other kernel is tested against, and what runs where none of them can. Compilers
//! turn its loops into the vector instructions that every CPU of the target has (NEON on ARM).

use super::element::Bf16;
use super::lanes::Lanes;

/// Eight values in an array.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; 8]);

impl Lanes for Portable {
    const COUNT: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: valid for eight values, says the caller.
        Self(unsafe { from.cast::<[f32; 8]>().read() })
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        // SAFETY: valid for eight values, says the caller.
        let halves = unsafe { from.cast::<[u16; 8]>().read() };
        Self(halves.map(|bits| Bf16(bits).to_f32()))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: valid for eight values, says the caller.
        unsafe { to.cast::<[f32; 8]>().write(self.0) };
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].mul_add(factor.0[i], addend.0[i])))
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    unsafe fn rectify(self) -> Self {
        Self(self.0.map(|x| if x > 0.0 { x } else { 0.0 }))
    }

    #[inline(always)]
    unsafe fn nonzero(self) -> u16 {
        self.0.iter().rev().fold(0, |bits, x| bits << 1 | u16::from(*x != 0.0))
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) -> u16 {
        let halves = self.0.map(|x| Bf16::rectified(x).0);
        // SAFETY: valid for eight values, says the caller.
        unsafe { to.cast::<[u16; 8]>().write(halves) };
        halves.iter().rev().fold(0, |bits, x| bits << 1 | u16::from(*x != 0))
    }
}
