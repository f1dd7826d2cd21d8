//! What a resampler has to prepare for a pair of rates, shared by all resamplers of a thread.

use std::cell::RefCell;
use std::f64::consts::PI;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Length of the filter in samples of the slower side, which sets its slope: 180 Hz at 16 kHz. Neighbouring blocks overlap by
/// as much or more.
const FILTER_SAMPLES: usize = 640;
/// Blocks are this many times as long as their overlap: what is thrown away is wasted, but short transforms are faster.
const BLOCK_PER_OVERLAP: usize = 4;
/// Attenuation of the filter from the slower side's Nyquist frequency on, dB.
const ATTENUATION_DB: f64 = 110.0;
/// Plans that a thread keeps: the rates of an archive and the pitches of its effects are few.
const KEPT: usize = 16;
/// Samples of the blocks of a plan, in and out, beyond which it is not kept: rates of large units are rare and their plans large.
const KEPT_SAMPLES: usize = 1 << 17;

thread_local! {
    /// The plans used last, the latest at the end.
    static PLANS: RefCell<Vec<Arc<Plan>>> = const { RefCell::new(Vec::new()) };
}

/// Transforms and filter for one ratio of rates.
pub(super) struct Plan {
    units: (usize, usize),
    /// Samples of a block that is transformed.
    pub(super) block_in: usize,
    /// Samples that become of it.
    pub(super) block_out: usize,
    /// Samples that neighbouring blocks share.
    pub(super) overlap_in: usize,
    /// Samples of its output that are thrown away, half at each end.
    pub(super) overlap_out: usize,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// The response of the filter `[bins]`, real because the filter is symmetric about time 0; it ends where it is zero.
    response: Vec<f32>,
}

impl Plan {
    /// The plan from `unit_in` to `unit_out` samples, two numbers without a common divisor.
    pub(super) fn shared(unit_in: usize, unit_out: usize) -> Arc<Self> {
        PLANS.with_borrow_mut(|plans| {
            let known = plans.iter().position(|plan| plan.units == (unit_in, unit_out));
            let plan = known.map_or_else(|| Arc::new(Self::new(unit_in, unit_out)), |at| plans.remove(at));
            if plan.block_in + plan.block_out <= KEPT_SAMPLES {
                if plans.len() == KEPT {
                    plans.remove(0);
                }
                plans.push(Arc::clone(&plan));
            }
            plan
        })
    }

    fn new(unit_in: usize, unit_out: usize) -> Self {
        // An even number of units, so that half an overlap is a whole number of samples on both sides.
        let overlap = FILTER_SAMPLES.div_ceil(unit_in.min(unit_out)).next_multiple_of(2);
        let block = BLOCK_PER_OVERLAP * overlap;
        let (block_in, block_out, overlap_in) = (block * unit_in, block * unit_out, overlap * unit_in);
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(block_in), planner.plan_fft_inverse(block_out));
        let nyquist = (unit_out as f64 / unit_in as f64).min(1.0) / 2.0;
        // Where whole units are long, so is the overlap, but the filter need not be: a steeper slope only rings longer.
        let half = FILTER_SAMPLES * unit_in / (2 * unit_in.min(unit_out));
        let mut response = response(&mut lowpass(nyquist, half, block_in));
        response.truncate(block_in.min(block_out) / 2);
        Self {
            units: (unit_in, unit_out),
            block_in,
            block_out,
            overlap_in,
            overlap_out: overlap * unit_out,
            forward,
            inverse,
            response,
        }
    }

    /// Length of the scratch that [`run`](Self::run) needs.
    pub(super) fn scratch_len(&self) -> usize {
        self.forward.get_scratch_len().max(self.inverse.get_scratch_len())
    }

    /// Turns a block of input into a block of output, of which the ends are not valid. Sets all of `spectrum`.
    pub(super) fn run(&self, samples: &mut Vec<f32>, spectrum: &mut Vec<Complex32>, scratch: &mut [Complex32]) {
        let fits = "the buffers have the length of the plan";
        spectrum.resize(self.block_in / 2 + 1, Complex32::ZERO);
        self.forward.process_with_scratch(samples, spectrum, scratch).expect(fits);
        spectrum.truncate(self.response.len());
        spectrum.iter_mut().zip(&self.response).for_each(|(bin, gain)| *bin *= gain);
        spectrum.resize(self.block_out / 2 + 1, Complex32::ZERO);
        samples.resize(self.block_out, 0.0);
        self.inverse.process_with_scratch(spectrum, samples, scratch).expect(fits);
    }
}

/// A low-pass filter of 2 · `half` − 1 taps with gain 1, centred on index 0 of a circle of `len` samples: a sinc under a
/// Kaiser window whose slope ends at `nyquist`, in cycles per sample (Oppenheim and Schafer, section 7.5.3).
fn lowpass(nyquist: f64, half: usize, len: usize) -> Vec<f64> {
    let slope = (ATTENUATION_DB - 8.0) / (2.285 * 2.0 * PI * (2 * half) as f64);
    let (cutoff, beta) = (nyquist - slope / 2.0, 0.1102 * (ATTENUATION_DB - 8.7));
    let tap = |t: usize| {
        let x = 2.0 * PI * cutoff * t as f64;
        let sinc = if t == 0 { 2.0 * cutoff } else { x.sin() / (PI * t as f64) };
        let edge = t as f64 / half as f64;
        sinc * bessel_i0(beta * (1.0 - edge * edge).sqrt()) / bessel_i0(beta)
    };
    let side: Vec<f64> = (0..half).map(tap).collect();
    let gain = 2.0 * side.iter().sum::<f64>() - side[0];
    let mut taps = vec![0.0; len];
    for (t, tap) in side.iter().enumerate() {
        (taps[t], taps[(len - t) % len]) = (tap / gain, tap / gain);
    }
    taps
}

/// The real spectrum of symmetric `taps`, divided by what a transform there and back multiplies. In double precision: the
/// rounding of long transforms is not small beside the attenuation.
fn response(taps: &mut [f64]) -> Vec<f32> {
    let transform = RealFftPlanner::<f64>::new().plan_fft_forward(taps.len());
    let mut spectrum = transform.make_output_vec();
    transform.process(taps, &mut spectrum).expect("the buffers have the length of the plan");
    spectrum.iter().map(|bin| (bin.re / taps.len() as f64) as f32).collect()
}

/// The modified Bessel function of the first kind of order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..60 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}
