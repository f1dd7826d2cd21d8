//! Time stretching with a phase vocoder.
//!
//! Short-time spectra are read at a different speed than they are written. Magnitudes are interpolated between the two
//! frames around the reading position; phases advance by what the signal's phase advances between those two (Flanagan and
//! Golden 1966). Neighbouring bins are locked together as Puckette does it (1995): each takes its phase from the sum of
//! itself and its neighbours, which keeps the bins of one partial from drifting apart and cancelling. Phases are unit
//! phasors throughout: a step is complex multiplications and no trigonometry.

use std::cell::RefCell;

use pulp::{Arch, Simd, WithSimd};

use super::phasor::{self, Bins};
use super::source::Source;
use super::spectra::{BLOCK, FRAME, Frame, HOP, Spectra, hann};
use super::transform::Transform;

/// The sum of the squared Hann windows that overlap at any sample.
const OVERLAP_GAIN: f32 = 1.5;
/// Frames that start half a frame and more before the output does: frame t is centred on sample t · [`HOP`].
const LEAD_IN: usize = FRAME / 2 / HOP;

thread_local! {
    /// Plan and buffers; every frame sets all of the state that it reads.
    static WRITER: RefCell<Writer> = RefCell::new(Writer::new());
}

/// The waveform of `source` played `rate` times faster at the same pitch, [`stretched_len`] samples long.
pub(super) fn stretch(source: &Source<'_>, rate: f64) -> Vec<f32> {
    if is_identity(rate) {
        return source.wave().to_vec();
    }
    let len = stretched_len(source.wave().len(), rate);
    let mut out = Vec::with_capacity(len.next_multiple_of(HOP));
    if len > 0 {
        Synthesis::new(rate).write(source.spectra(), frames_of(len), &mut out);
        out.truncate(len);
    }
    out
}

/// Samples that `len` samples become when they are played `rate` times faster.
pub(super) fn stretched_len(len: usize, rate: f64) -> usize {
    (len as f64 / rate).round() as usize
}

/// Whether `rate` changes nothing.
pub(super) fn is_identity(rate: f64) -> bool {
    rate.to_bits() == 1.0_f64.to_bits()
}

/// Frames that overlap with `len` samples of output, which start half a frame after the start of the first.
fn frames_of(len: usize) -> usize {
    len.div_ceil(HOP) + LEAD_IN
}

/// What [`stretch`] does, to the bit, for a waveform that comes in blocks of any size. The rate must not be 1.
pub(super) struct StretchStream {
    rate: f64,
    spectra: Spectra,
    synthesis: Synthesis,
}

impl StretchStream {
    pub(super) fn new(rate: f64) -> Self {
        Self { rate, spectra: Spectra::new(), synthesis: Synthesis::new(rate) }
    }

    /// Appends what `wave`, the next samples, suffices for to `out`.
    pub(super) fn push(&mut self, wave: &[f32], out: &mut Vec<f32>) {
        for block in wave.chunks(BLOCK) {
            self.spectra.push(block);
            self.synthesis.write(&self.spectra, usize::MAX, out);
            self.spectra.drop_before(self.synthesis.position().0);
        }
    }

    /// Appends the rest of the output to `out`; the stream is at its end.
    pub(super) fn finish(&mut self, out: &mut Vec<f32>) {
        let len = stretched_len(self.spectra.waveform_len(), self.rate);
        if len > 0 {
            self.spectra.finish();
            self.synthesis.write(&self.spectra, frames_of(len), out);
            let surplus = self.synthesis.written() - len;
            out.truncate(out.len() - surplus);
        }
    }
}

/// The output as a sum of overlapping frames.
struct Synthesis {
    rate: f64,
    /// Number of the next frame.
    next: usize,
    /// Its phases.
    phase: Bins,
    /// The samples from its start on as far as earlier frames go.
    sum: [f32; FRAME],
}

impl Synthesis {
    fn new(rate: f64) -> Self {
        Self { rate, next: 0, phase: Bins::ONE, sum: [0.0; FRAME] }
    }

    /// Where the next frame is read: a frame of the input, and the fraction of the way to the one after it.
    fn position(&self) -> (usize, f32) {
        let position = self.next as f64 * self.rate;
        let before = position as usize;
        (before, (position - before as f64) as f32)
    }

    /// Samples of output so far.
    fn written(&self) -> usize {
        self.next.saturating_sub(LEAD_IN) * HOP
    }

    /// Adds the frames before frame `end` for which `spectra` suffices, and appends the finished samples to `out`.
    fn write(&mut self, spectra: &Spectra, end: usize, out: &mut Vec<f32>) {
        WRITER.with_borrow_mut(|writer| {
            while self.next < end && self.position().0 + 1 < spectra.known() {
                self.write_frame(writer, spectra, out);
            }
        });
    }

    fn write_frame(&mut self, writer: &mut Writer, spectra: &Spectra, out: &mut Vec<f32>) {
        if self.next == 0 {
            self.phase.clone_from(spectra.first_phase());
        }
        let (before, fraction) = self.position();
        writer.add([spectra.frame(before), spectra.frame(before + 1)], fraction, &mut self.phase, &mut self.sum);
        if self.next == LEAD_IN {
            writer.level_the_start(&mut self.sum);
        }
        if self.next >= LEAD_IN {
            out.extend_from_slice(&self.sum[..HOP]);
        }
        self.sum.copy_within(HOP.., 0);
        self.sum[FRAME - HOP..].fill(0.0);
        self.next += 1;
    }
}

struct Writer {
    arch: Arch,
    transform: Transform,
    window: [f32; FRAME],
    /// The window divided by all that the transform and the overlap multiply.
    scaled_window: [f32; FRAME],
    bins: Bins,
}

impl Writer {
    fn new() -> Self {
        let window = hann();
        Self {
            arch: Arch::new(),
            transform: Transform::inverse(),
            window,
            scaled_window: window.map(|w| w / (FRAME as f32 * OVERLAP_GAIN)),
            bins: Bins::ONE,
        }
    }

    /// Adds one frame to `sum`, `fraction` of the way from the first to the second of `frames`, and advances the phases.
    fn add(&mut self, frames: [&Frame; 2], fraction: f32, phase: &mut Bins, sum: &mut [f32; FRAME]) {
        let Self { transform, bins, .. } = self;
        self.arch.dispatch(Write { transform, frames, fraction, bins, phase });
        self.transform.run();
        self.transform.add(&self.scaled_window, sum);
    }

    /// The first hop of the output lacks the frames before the first: divides by the windows that are there.
    fn level_the_start(&self, sum: &mut [f32; FRAME]) {
        for (i, sum) in sum.iter_mut().enumerate().take(HOP) {
            let windows: f32 = (0..=LEAD_IN).rev().map(|hops| self.window[i + hops * HOP].powi(2)).sum();
            *sum *= OVERLAP_GAIN / windows;
        }
    }
}

/// What is done with the bins of one frame.
struct Write<'a> {
    transform: &'a mut Transform,
    frames: [&'a Frame; 2],
    fraction: f32,
    bins: &'a mut Bins,
    phase: &'a mut Bins,
}

impl WithSimd for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { transform, frames: [before, after], fraction, bins, phase } = self;
        phasor::scale(phase, &before.magnitude, &after.magnitude, fraction, bins);
        phasor::lock(bins, &before.advance, phase);
        // The spectrum of a real signal is real at both ends.
        (bins.im[0], bins.im[FRAME / 2]) = (0.0, 0.0);
        transform.load_bins(bins);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::f64::consts::TAU;

    use rustfft::FftPlanner;
    use rustfft::num_complex::Complex32;

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
        let mut bins: Vec<Complex32> =
            (0..n).map(|i| Complex32::new(wave[start + i] * window(i) as f32, 0.0)).collect();
        FftPlanner::new().plan_fft_forward(n).process(&mut bins);
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
                let out = stretch(&Source::new(&wave), rate);
                assert!((frequency_hz(&out) / hz - 1.0).abs() < 0.002, "{hz} Hz at {rate}: {}", frequency_hz(&out));
                assert!((level_db(&out) - level_db(&wave)).abs() < 1.0, "{hz} Hz at {rate}: {}", level_db(&out));
            }
        }
    }

    #[test]
    fn a_rate_of_one_changes_nothing() {
        let wave: Vec<f32> = sine(440.0, 20_000).iter().zip(sine(3100.0, 20_000)).map(|(a, b)| a * b + 0.1).collect();
        let out = stretch(&Source::new(&wave), 1.0);
        assert_eq!(out, wave);
    }

    #[test]
    fn a_stream_holds_no_more_frames_than_a_block_has() {
        for rate in [0.25, 1.1, 4.0] {
            let (mut stream, mut out) = (StretchStream::new(rate), Vec::new());
            for block in sine(440.0, 200_000).chunks(7919) {
                stream.push(block, &mut out);
                assert!(stream.spectra.held() <= 3, "{}", stream.spectra.held());
            }
            stream.spectra.push(&[0.1; BLOCK]);
            assert!(stream.spectra.held() <= 3 + BLOCK / HOP, "{}", stream.spectra.held());
        }
    }

    #[test]
    fn a_click_moves_in_proportion() {
        for rate in [0.9, 1.1, 2.0] {
            let mut wave = vec![0.0; 32_000];
            wave[20_000] = 1.0;
            let out = stretch(&Source::new(&wave), rate);
            let power: f64 = out.iter().map(|x| f64::from(x * x)).sum();
            let centre = out.iter().enumerate().map(|(i, x)| i as f64 * f64::from(x * x)).sum::<f64>() / power;
            assert!((centre * rate - 20_000.0).abs() < 600.0, "{rate}: {centre}");
        }
    }
}
