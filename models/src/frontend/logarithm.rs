//! The natural logarithm, without a branch and without a call, so that a loop over it compiles to vector instructions.

/// 1/√2, to the bit, where the range of the reduced argument begins.
const SQRT_HALF_BITS: u32 = 0x3f35_04f3;

/// ln 2 in two parts; the product of the first and an exponent is exact.
const LN_2: [f32; 2] = [0.693_138_1, 9.058_001e-6];

/// (ln(1 + s) − ln(1 − s)) / s − 2 as a polynomial in s², for |s| < 0.1716 (FreeBSD `e_logf.c`).
const SERIES: [f32; 4] = [0.666_666_6, 0.400_009_72, 0.284_987_87, 0.242_790_79];

/// The natural logarithm of `x`, a normal positive number, within one unit in the last place; infinity and NaN stay
/// themselves. It has the same bits on every processor, unlike that of the standard library.
#[inline(always)]
pub(super) fn ln(x: f32) -> f32 {
    let bits = x.to_bits().wrapping_add(1.0f32.to_bits() - SQRT_HALF_BITS);
    let exponent = ((bits >> 23) as i32 - 127) as f32;
    let f = f32::from_bits((bits & 0x007f_ffff) + SQRT_HALF_BITS) - 1.0;
    let s = f / (2.0 + f);
    let (z, w) = (s * s, s * s * s * s);
    let series = z * (SERIES[0] + w * SERIES[2]) + w * (SERIES[1] + w * SERIES[3]);
    let half = 0.5 * f * f;
    let value = s * (half + series) + exponent * LN_2[1] - half + f + exponent * LN_2[0];
    if x < f32::INFINITY { value } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_within_one_unit_in_the_last_place() {
        let mut worst = 0.0f64;
        for bits in (f32::MIN_POSITIVE.to_bits()..f32::INFINITY.to_bits()).step_by(509) {
            let x = f32::from_bits(bits);
            let exact = f64::from(x).ln();
            let unit = f64::from((exact.abs() as f32).next_up() - exact.abs() as f32);
            worst = worst.max((f64::from(ln(x)) - exact).abs() / unit);
        }
        assert!(worst < 1.0, "{worst}");
        assert_eq!(ln(1.0).to_bits(), 0.0f32.to_bits());
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        assert!(ln(f32::NAN).is_nan());
        assert_eq!(ln(f32::INFINITY).to_bits(), f32::INFINITY.to_bits());
    }
}
