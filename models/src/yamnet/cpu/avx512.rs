//! Sixteen values in a register of AVX-512.

use std::arch::x86_64::{
    __m256bh, __m256i, __m512, _CMP_GE_OQ, _CMP_NEQ_UQ, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_add_epi32,
    _mm512_add_ps, _mm512_and_epi32, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask,
    _mm512_cvtepi32_epi16, _mm512_cvtepu16_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_maskz_cvtneps_pbh,
    _mm512_maskz_mov_ps, _mm512_max_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi32,
    _mm512_srli_epi32, _mm512_storeu_ps,
};

use super::element::Bf16;
use super::lanes::Lanes;

/// A register of AVX-512, on a CPU that also has AVX-512 BF16 if `BF16`.
#[derive(Clone, Copy)]
pub(super) struct Avx512<const BF16: bool = false>(pub(super) __m512);

// SAFETY of all blocks below: the CPU has the instructions, and pointers are valid for sixteen values, says the caller.
impl<const BF16: bool> Lanes for Avx512<BF16> {
    const COUNT: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        unsafe {
            let halves = _mm256_loadu_si256(from.cast::<__m256i>());
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves))))
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) };
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn rectify(self) -> Self {
        // The second operand wins where both are zeros, and where the first is not a number.
        Self(unsafe { _mm512_max_ps(self.0, _mm512_setzero_ps()) })
    }

    #[inline(always)]
    unsafe fn nonzero(self) -> u16 {
        unsafe { _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(self.0, _mm512_setzero_ps()) }
    }

    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u16) -> u16 {
        unsafe {
            let kept = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(self.0, _mm512_set1_ps(Bf16::SMALLEST));
            if BF16 {
                let halves: __m256bh = _mm512_maskz_cvtneps_pbh(kept, self.0);
                to.cast::<__m256bh>().write_unaligned(halves);
                return kept;
            }
            let bits = _mm512_castps_si512(_mm512_maskz_mov_ps(kept, self.0));
            let odd = _mm512_and_epi32(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            // Zero stays zero: it gains less than a unit of the upper half.
            let rounded = _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff));
            let halves = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded));
            _mm256_storeu_si256(to.cast::<__m256i>(), halves);
            kept
        }
    }
}
