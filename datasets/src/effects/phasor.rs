//! Arithmetic on all bins of a spectrum, with real and imaginary parts apart so that it compiles to vector instructions.
//!
//! Every function is plain multiplications, additions, square roots and divisions, which all processors round alike:
//! compiled for wider vectors it gives the same bits.

use super::spectra::BINS;

/// Complex numbers `[bins]`.
#[derive(Clone)]
pub(super) struct Bins {
    pub(super) re: [f32; BINS],
    pub(super) im: [f32; BINS],
}

impl Bins {
    /// The phasor 1 everywhere.
    pub(super) const ONE: Self = Self { re: [1.0; BINS], im: [0.0; BINS] };

    /// Sets `out` to the same numbers, last to first.
    #[inline(always)]
    pub(super) fn reverse_into(&self, out: &mut Self) {
        out.re.iter_mut().zip(self.re.iter().rev()).for_each(|(out, x)| *out = *x);
        out.im.iter_mut().zip(self.im.iter().rev()).for_each(|(out, x)| *out = *x);
    }
}

/// From one frame to the next: sets `magnitude` to that of `bins`, `advance` to the phasor from `phase` to the phase of
/// `bins`, and `phase` to the phase of `bins`.
#[expect(clippy::needless_range_loop, reason = "six arrays side by side read best by their index")]
#[inline(always)]
pub(super) fn advance(bins: &Bins, phase: &mut Bins, advance: &mut Bins, magnitude: &mut [f32; BINS]) {
    for i in 0..BINS {
        let power = bins.re[i] * bins.re[i] + bins.im[i] * bins.im[i];
        let length = power.sqrt();
        let (re, im) = unit(bins.re[i], bins.im[i], power, length);
        advance.re[i] = re * phase.re[i] + im * phase.im[i];
        advance.im[i] = im * phase.re[i] - re * phase.im[i];
        (phase.re[i], phase.im[i], magnitude[i]) = (re, im, length);
    }
}

/// Sets `out` to phasors with magnitudes `fraction` of the way from `before` to `after`.
#[inline(always)]
pub(super) fn scale(phase: &Bins, before: &[f32; BINS], after: &[f32; BINS], fraction: f32, out: &mut Bins) {
    for i in 0..BINS {
        let magnitude = before[i] + fraction * (after[i] - before[i]);
        out.re[i] = phase.re[i] * magnitude;
        out.im[i] = phase.im[i] * magnitude;
    }
}

/// Locks each of `bins` to its neighbours and sets `phase` to the result, turned by `advance`. A partial at the centre of
/// the frame has opposite signs in neighbouring bins.
#[inline(always)]
pub(super) fn lock(bins: &Bins, advance: &Bins, phase: &mut Bins) {
    let mut locked = |i: usize, re: f32, im: f32| {
        let power = re * re + im * im;
        let (re, im) = unit(re, im, power, power.sqrt());
        phase.re[i] = re * advance.re[i] - im * advance.im[i];
        phase.im[i] = re * advance.im[i] + im * advance.re[i];
    };
    let last = BINS - 1;
    locked(0, bins.re[0] - bins.re[1], bins.im[0] - bins.im[1]);
    for i in 1..last {
        locked(i, bins.re[i] - bins.re[i - 1] - bins.re[i + 1], bins.im[i] - bins.im[i - 1] - bins.im[i + 1]);
    }
    locked(last, bins.re[last] - bins.re[last - 1], bins.im[last] - bins.im[last - 1]);
}

/// `re + i im` of the given power and length, with length 1; 1 where it is too small to have a direction.
#[inline(always)]
fn unit(re: f32, im: f32, power: f32, length: f32) -> (f32, f32) {
    let scale = 1.0 / length;
    if power > 1e-30 { (re * scale, im * scale) } else { (1.0, 0.0) }
}
