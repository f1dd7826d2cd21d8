//! The number formats of a product's factors.

use super::lanes::Lanes;

/// A factor of the pointwise products: `f32`, or [`Bf16`] where products are in half the width. Everything else of the
/// network is computed in single precision either way.
pub(super) trait Element: Copy + Default + PartialEq + Send + Sync + 'static {
    /// The nearest value of this format; what is too small for it becomes zero.
    fn from_f32(value: f32) -> Self;

    /// Writes what the rectifier leaves of `lanes`; a bit for each value that is not zero.
    ///
    /// # Safety
    /// As for all methods of [`Lanes`]; `to` is valid for `L::COUNT` values.
    unsafe fn store_rectified<L: Lanes>(lanes: L, to: *mut Self) -> u16;
}

impl Element for f32 {
    fn from_f32(value: f32) -> Self {
        value
    }

    #[inline(always)]
    unsafe fn store_rectified<L: Lanes>(lanes: L, to: *mut Self) -> u16 {
        // SAFETY: as the caller says.
        unsafe {
            let rectified = lanes.rectify();
            rectified.store(to);
            rectified.nonzero()
        }
    }
}

/// The upper half of a single-precision value: eight bits of precision at the same range (bfloat16).
///
/// Magnitudes below 2⁻⁴⁰ are zero. Sums of products of such numbers are never subnormal, so it does not matter that the
/// instructions for them flush subnormal numbers to zero and others do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Bf16(pub(super) u16);

impl Bf16 {
    /// 2⁻⁴⁰, the smallest magnitude that is not zero.
    pub(super) const SMALLEST: f32 = 1.0 / (1u64 << 40) as f32;

    /// The nearest value, to even where two are equally near.
    pub(super) fn round(value: f32) -> Self {
        if value.abs() < Self::SMALLEST {
            return Self(0);
        }
        let bits = value.to_bits();
        Self((bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16)
    }

    /// [`round`](Self::round) of what is not negative, zero for what is, and for what is not a number.
    #[inline(always)]
    pub(super) fn rectified(value: f32) -> Self {
        if value >= Self::SMALLEST { Self::round(value) } else { Self(0) }
    }

    /// The same value in single precision.
    #[inline(always)]
    pub(super) fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

impl Element for Bf16 {
    fn from_f32(value: f32) -> Self {
        Self::round(value)
    }

    #[inline(always)]
    unsafe fn store_rectified<L: Lanes>(lanes: L, to: *mut Self) -> u16 {
        // SAFETY: as the caller says; `Bf16` is its bits.
        unsafe { lanes.store_bf16(to.cast::<u16>()) }
    }
}
