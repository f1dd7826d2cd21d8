//! Short-time spectra of a waveform: what the phase vocoder reads.

use std::cell::RefCell;

use pulp::{Arch, Simd, WithSimd};

use super::phasor::{self, Bins};
use super::transform::Transform;

/// Samples per frame: 64 ms at 16 kHz, between the resolution of tones and the smearing of calls and clicks.
pub(super) const FRAME: usize = 1024;
/// Samples from frame to frame. With a squared Hann window the overlap of four adds up to a constant.
pub(super) const HOP: usize = FRAME / 4;
/// Bins of the one-sided spectrum.
pub(super) const BINS: usize = FRAME / 2 + 1;

thread_local! {
    /// Plan and buffers; every analysis sets all of the state that it reads.
    static ANALYSER: RefCell<Analyser> = RefCell::new(Analyser::new());
}

/// The spectra of a waveform, frame t centred on sample t · [`HOP`], as magnitudes and as the phasors by which their
/// phases advance. Behind the waveform there is silence without end.
pub(super) struct Spectra {
    frames: Vec<Frame>,
    first_phase: Bins,
}

/// One frame.
#[derive(Clone)]
pub(super) struct Frame {
    /// Magnitudes `[bins]`.
    pub(super) magnitude: [f32; BINS],
    /// From the phases of this frame to those of the next, unit phasors `[bins]`.
    pub(super) advance: Bins,
}

impl Frame {
    const SILENT: Self = Self { magnitude: [0.0; BINS], advance: Bins::ONE };
}

impl Spectra {
    /// The spectra of `wave`.
    pub(super) fn of(wave: &[f32]) -> Self {
        ANALYSER.with_borrow_mut(|analyser| analyser.analyse(wave))
    }

    /// Frame `index`; silence behind the end.
    pub(super) fn frame(&self, index: usize) -> &Frame {
        &self.frames[index.min(self.frames.len() - 1)]
    }

    /// The phases of the first frame, unit phasors `[bins]`.
    pub(super) fn first_phase(&self) -> &Bins {
        &self.first_phase
    }
}

/// The periodic Hann window of a frame.
pub(super) fn hann() -> [f32; FRAME] {
    let step = std::f64::consts::TAU / FRAME as f64;
    std::array::from_fn(|i| (0.5 - 0.5 * (step * i as f64).cos()) as f32)
}

struct Analyser {
    arch: Arch,
    transform: Transform,
    window: [f32; FRAME],
    samples: [f32; FRAME],
    bins: Bins,
    phase: Bins,
}

impl Analyser {
    fn new() -> Self {
        Self {
            arch: Arch::new(),
            transform: Transform::forward(),
            window: hann(),
            samples: [0.0; FRAME],
            bins: Bins::ONE,
            phase: Bins::ONE,
        }
    }

    fn analyse(&mut self, wave: &[f32]) -> Spectra {
        let sounding = (wave.len() + FRAME / 2).div_ceil(HOP);
        let mut frames = vec![Frame::SILENT; sounding + 1];
        let mut first_phase = Bins::ONE;
        for index in 0..=sounding {
            self.transform(wave, index);
            let (before, from) = frames.split_at_mut(index);
            let advance = before.last_mut().map_or(&mut first_phase, |frame| &mut frame.advance);
            let (transform, bins, phase) = (&mut self.transform, &mut self.bins, &mut self.phase);
            if index == 0 {
                phase.clone_from(&Bins::ONE);
            }
            self.arch.dispatch(Analyse { transform, bins, phase, advance, magnitude: &mut from[0].magnitude });
        }
        Spectra { frames, first_phase }
    }

    /// Transforms frame `index`.
    fn transform(&mut self, wave: &[f32], index: usize) {
        let start = index * HOP;
        let lead = (FRAME / 2).saturating_sub(start).min(FRAME);
        let from = (start + lead).saturating_sub(FRAME / 2).min(wave.len());
        let present = &wave[from..(from + FRAME - lead).min(wave.len())];
        let end = lead + present.len();
        self.samples[..lead].fill(0.0);
        self.samples[lead..end].copy_from_slice(present);
        self.samples[end..].fill(0.0);
        self.transform.load_samples(&self.samples, &self.window);
        self.transform.run();
    }
}

/// What is done with the bins of one frame.
struct Analyse<'a> {
    transform: &'a mut Transform,
    bins: &'a mut Bins,
    phase: &'a mut Bins,
    advance: &'a mut Bins,
    magnitude: &'a mut [f32; BINS],
}

impl WithSimd for Analyse<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.transform.bins(self.bins);
        phasor::advance(self.bins, self.phase, self.advance, self.magnitude);
    }
}
