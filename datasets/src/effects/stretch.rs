//! Time stretching with a phase vocoder.
//!
//! Short-time spectra are read at a different speed than they are written. Magnitudes are interpolated between the two
//! frames around the reading position; phases advance by what the signal's phase advances between those two (Flanagan and
//! Golden 1966). Neighbouring bins are locked together as Puckette does it (1995): each takes its phase from the sum of
//! itself and its neighbours, which keeps the bins of one partial from drifting apart and cancelling. Phases are unit
//! phasors throughout: a step is complex multiplications and no trigonometry.

use std::cell::RefCell;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Samples per frame: 64 ms at 16 kHz, between the resolution of tones and the smearing of calls and clicks.
const FRAME: usize = 1024;
/// Samples from frame to frame. With a squared Hann window the overlap of four adds up to a constant.
const HOP: usize = FRAME / 4;
const BINS: usize = FRAME / 2 + 1;
/// The sum of the squared Hann windows that overlap at any sample.
const OVERLAP_GAIN: f32 = 1.5;

thread_local! {
    /// Plans and buffers; every call sets all of the state that it reads.
    static VOCODER: RefCell<Vocoder> = RefCell::new(Vocoder::new());
}

/// The waveform played `rate` times faster at the same pitch, `len` samples long.
pub(super) fn stretch(wave: &[f32], rate: f64, len: usize) -> Vec<f32> {
    VOCODER.with_borrow_mut(|vocoder| vocoder.stretch(wave, rate, len))
}

/// One frame of the input as magnitudes and unit phasors.
struct Spectrum {
    frame: Option<usize>,
    magnitude: Vec<f32>,
    phasor: Vec<Complex32>,
}

struct Vocoder {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    scratch: Vec<Complex32>,
    window: Vec<f32>,
    samples: Vec<f32>,
    /// The spectrum being read or written, between two zeros that are the neighbours of its ends.
    bins: Vec<Complex32>,
    /// The frames before and after the reading position.
    around: [Spectrum; 2],
    /// The phases of the next frame to be written.
    phase: Vec<Complex32>,
}

impl Spectrum {
    fn new() -> Self {
        Self { frame: None, magnitude: vec![0.0; BINS], phasor: vec![Complex32::ONE; BINS] }
    }
}

impl Vocoder {
    fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(FRAME), planner.plan_fft_inverse(FRAME));
        let step = std::f64::consts::TAU / FRAME as f64;
        Self {
            scratch: vec![Complex32::ZERO; forward.get_scratch_len().max(inverse.get_scratch_len())],
            forward,
            inverse,
            window: (0..FRAME).map(|i| (0.5 - 0.5 * (step * i as f64).cos()) as f32).collect(),
            samples: vec![0.0; FRAME],
            bins: vec![Complex32::ZERO; BINS + 2],
            around: [Spectrum::new(), Spectrum::new()],
            phase: vec![Complex32::ONE; BINS],
        }
    }

    fn stretch(&mut self, wave: &[f32], rate: f64, len: usize) -> Vec<f32> {
        if wave.is_empty() || len == 0 {
            return vec![0.0; len];
        }
        if rate.to_bits() == 1.0_f64.to_bits() && len == wave.len() {
            return wave.to_vec();
        }
        // Frame t is centred on sample t·HOP, so the output has half a frame of lead-in that is cut off.
        let frames = len.div_ceil(HOP) + 2;
        let mut sum = vec![0.0; frames * HOP + FRAME];
        self.around.iter_mut().for_each(|spectrum| spectrum.frame = None);
        for t in 0..frames {
            let position = t as f64 * rate;
            let before = position as usize;
            self.read_around(wave, before);
            if t == 0 {
                self.phase.copy_from_slice(&self.around[0].phasor);
            }
            self.write((position - before as f64) as f32, &mut sum[t * HOP..t * HOP + FRAME]);
        }
        self.level_the_start(&mut sum);
        sum.drain(..FRAME / 2);
        sum.truncate(len);
        sum
    }

    /// Makes frames `before` and `before + 1` of the input the ones around the reading position.
    fn read_around(&mut self, wave: &[f32], before: usize) {
        if self.around[1].frame == Some(before) {
            self.around.swap(0, 1);
        }
        for side in 0..2 {
            if self.around[side].frame != Some(before + side) {
                self.analyse(wave, before + side, side);
            }
        }
    }

    fn analyse(&mut self, wave: &[f32], frame: usize, side: usize) {
        let start = frame * HOP;
        let lead = (FRAME / 2).saturating_sub(start).min(FRAME);
        let from = (start + lead).saturating_sub(FRAME / 2).min(wave.len());
        let present = &wave[from..(from + FRAME - lead).min(wave.len())];
        self.samples.fill(0.0);
        let windowed = self.samples[lead..].iter_mut().zip(&self.window[lead..]);
        windowed.zip(present).for_each(|((out, w), x)| *out = w * x);
        self.forward
            .process_with_scratch(&mut self.samples, &mut self.bins[1..=BINS], &mut self.scratch)
            .expect("the buffers have the length of the plan");
        let spectrum = &mut self.around[side];
        spectrum.frame = Some(frame);
        for ((bin, magnitude), phasor) in
            self.bins[1..=BINS].iter().zip(&mut spectrum.magnitude).zip(&mut spectrum.phasor)
        {
            *magnitude = (bin.re * bin.re + bin.im * bin.im).sqrt();
            *phasor = unit(*bin);
        }
    }

    /// Adds one frame to `sum`, `fraction` of the way from the frame before to the one after, and advances the phases.
    fn write(&mut self, fraction: f32, sum: &mut [f32]) {
        let [before, after] = &self.around;
        for i in 0..BINS {
            let magnitude = before.magnitude[i] + fraction * (after.magnitude[i] - before.magnitude[i]);
            self.bins[i + 1] = self.phase[i].scale(magnitude);
        }
        for i in 0..BINS {
            // A partial at the centre of the frame has opposite signs in neighbouring bins.
            let locked = self.bins[i + 1] - self.bins[i] - self.bins[i + 2];
            self.phase[i] = unit(locked) * after.phasor[i] * before.phasor[i].conj();
        }
        // The spectrum of a real signal is real at both ends.
        let bins = &mut self.bins[1..=BINS];
        bins[0].im = 0.0;
        bins[BINS - 1].im = 0.0;
        self.inverse
            .process_with_scratch(bins, &mut self.samples, &mut self.scratch)
            .expect("the buffers have the length of the plan");
        let scale = 1.0 / (FRAME as f32 * OVERLAP_GAIN);
        sum.iter_mut().zip(&self.samples).zip(&self.window).for_each(|((sum, x), w)| *sum += x * w * scale);
    }

    /// The first half frame of the output lacks the frames before the first: divides by the windows that are there.
    fn level_the_start(&self, sum: &mut [f32]) {
        for (i, sum) in sum.iter_mut().enumerate().take(FRAME - HOP).skip(FRAME / 2) {
            let windows: f32 = (0..=i / HOP).map(|t| self.window[i - t * HOP].powi(2)).sum();
            *sum *= OVERLAP_GAIN / windows;
        }
    }
}

/// `z` with length 1; 1 where `z` is too small to have a direction.
fn unit(z: Complex32) -> Complex32 {
    let power = z.re * z.re + z.im * z.im;
    if power > 1e-30 { z.scale(power.sqrt().recip()) } else { Complex32::ONE }
}

#[cfg(test)]
pub(super) mod tests {
    use std::f64::consts::TAU;

    use super::*;

    pub(in crate::effects) fn sine(hz: f64, n: usize) -> Vec<f32> {
        (0..n).map(|i| 0.5 * (TAU * hz * i as f64 / 16_000.0).sin() as f32).collect()
    }

    /// RMS of the middle four fifths, dB relative to 1.
    pub(in crate::effects) fn level_db(wave: &[f32]) -> f64 {
        let middle = &wave[wave.len() / 10..wave.len() * 9 / 10];
        10.0 * (middle.iter().map(|x| f64::from(x * x)).sum::<f64>() / middle.len() as f64).log10()
    }

    /// The frequency of the strongest bin, by a parabola through its logarithmic neighbours.
    pub(in crate::effects) fn frequency_hz(wave: &[f32]) -> f64 {
        let n = 8192;
        let start = (wave.len() - n) / 2;
        let window = |i: usize| 0.5 - 0.5 * (TAU * i as f64 / n as f64).cos();
        let mut samples: Vec<f32> = (0..n).map(|i| wave[start + i] * window(i) as f32).collect();
        let plan = RealFftPlanner::new().plan_fft_forward(n);
        let mut bins = plan.make_output_vec();
        plan.process(&mut samples, &mut bins).unwrap();
        let log = |k: usize| f64::from(bins[k].norm()).max(1e-12).ln();
        let k = (1..n / 2).max_by(|&a, &b| log(a).total_cmp(&log(b))).unwrap();
        let offset = 0.5 * (log(k - 1) - log(k + 1)) / (log(k - 1) - 2.0 * log(k) + log(k + 1));
        (k as f64 + offset) * 16_000.0 / n as f64
    }

    #[test]
    fn a_stretched_sine_keeps_its_frequency_and_its_level() {
        for rate in [0.25, 0.5, 0.8, 0.9, 1.0, 1.05, 1.1, 1.5, 2.0, 3.3, 4.0] {
            for hz in [100.0, 440.0, 1234.5, 7000.0] {
                let wave = sine(hz, 64_000);
                let out = stretch(&wave, rate, (64_000.0 / rate) as usize);
                assert!((frequency_hz(&out) / hz - 1.0).abs() < 0.002, "{hz} Hz at {rate}: {}", frequency_hz(&out));
                assert!((level_db(&out) - level_db(&wave)).abs() < 1.0, "{hz} Hz at {rate}: {}", level_db(&out));
            }
        }
    }

    #[test]
    fn a_rate_of_one_changes_nothing() {
        let wave: Vec<f32> = sine(440.0, 20_000).iter().zip(sine(3100.0, 20_000)).map(|(a, b)| a * b + 0.1).collect();
        let out = stretch(&wave, 1.0, wave.len());
        assert_eq!(out, wave);
    }

    #[test]
    fn a_click_moves_in_proportion() {
        for rate in [0.9, 1.1, 2.0] {
            let mut wave = vec![0.0; 32_000];
            wave[20_000] = 1.0;
            let out = stretch(&wave, rate, (32_000.0 / rate) as usize);
            let power: f64 = out.iter().map(|x| f64::from(x * x)).sum();
            let centre = out.iter().enumerate().map(|(i, x)| i as f64 * f64::from(x * x)).sum::<f64>() / power;
            assert!((centre * rate - 20_000.0).abs() < 600.0, "{rate}: {centre}");
        }
    }
}
