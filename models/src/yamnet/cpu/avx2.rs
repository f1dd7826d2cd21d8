//! Eight values in a register of AVX2, with its fused multiply-add.

use std::arch::x86_64::{
    __m128i, __m256, __m256i, _CMP_GE_OQ, _CMP_NEQ_UQ, _mm_loadu_si128, _mm_packus_epi32, _mm_storeu_si128,
    _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps, _mm256_and_si256, _mm256_castps_si256, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cmp_ps, _mm256_cvtepu16_epi32, _mm256_extracti128_si256, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_max_ps, _mm256_movemask_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_ps,
};

use super::element::Bf16;
use super::lanes::Lanes;

/// A register of AVX2.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256);

// SAFETY of all blocks below: the CPU has AVX2 and FMA, and pointers are valid for eight values, says the caller.
impl Lanes for Avx2 {
    const COUNT: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm256_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        unsafe {
            let halves = _mm_loadu_si128(from.cast::<__m128i>());
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves))))
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) };
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn rectify(self) -> Self {
        // The second operand wins where both are zeros, and where the first is not a number.
        Self(unsafe { _mm256_max_ps(self.0, _mm256_setzero_ps()) })
    }

    #[inline(always)]
    unsafe fn nonzero(self) -> u16 {
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(self.0, _mm256_setzero_ps())) as u16 }
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) -> u16 {
        unsafe {
            let kept = _mm256_cmp_ps::<_CMP_GE_OQ>(self.0, _mm256_set1_ps(Bf16::SMALLEST));
            let bits: __m256i = _mm256_castps_si256(_mm256_and_ps(self.0, kept));
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            // Zero stays zero: it gains less than a unit of the upper half.
            let rounded = _mm256_add_epi32(_mm256_add_epi32(bits, odd), _mm256_set1_epi32(0x7fff));
            let upper = _mm256_srli_epi32::<16>(rounded);
            let halves = _mm_packus_epi32(_mm256_castsi256_si128(upper), _mm256_extracti128_si256::<1>(upper));
            _mm_storeu_si128(to.cast::<__m128i>(), halves);
            _mm256_movemask_ps(kept) as u16
        }
    }
}
