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
/// Samples that are analysed at a time: what a streaming vocoder keeps of them, 100 kB, fits into the cache of a core.
pub(super) const BLOCK: usize = 16 * HOP;

thread_local! {
    /// Plan and buffers; every frame sets all of the state that it reads.
    static ANALYSER: RefCell<Analyser> = RefCell::new(Analyser::new());
}

/// The spectra of a waveform, frame t centred on sample t · [`HOP`], as magnitudes and as the phasors by which their
/// phases advance. Silence precedes and follows the waveform.
///
/// The waveform is appended in blocks of any size, and frames that have been read can be dropped, so that the spectra of a
/// stream take bounded memory.
pub(super) struct Spectra {
    /// The frames from number `dropped` on.
    frames: Vec<Frame>,
    dropped: usize,
    first_phase: Bins,
    /// The phases of the last frame.
    phase: Bins,
    /// Samples from the start of the next frame on, fewer than a frame.
    pending: Vec<f32>,
    /// Samples of the waveform.
    len: usize,
    is_complete: bool,
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

/// All frames after the waveform.
static SILENT: Frame = Frame::SILENT;

impl Spectra {
    /// The spectra of a waveform that is to be appended.
    pub(super) fn new() -> Self {
        Self {
            frames: Vec::new(),
            dropped: 0,
            first_phase: Bins::ONE,
            phase: Bins::ONE,
            pending: vec![0.0; FRAME / 2],
            len: 0,
            is_complete: false,
        }
    }

    /// The spectra of the whole waveform `wave`.
    pub(super) fn of(wave: &[f32]) -> Self {
        let mut spectra = Self::new();
        spectra.frames.reserve_exact(frames_of(wave.len()));
        spectra.push(wave);
        spectra.finish();
        spectra
    }

    /// Appends `wave` to the waveform.
    pub(super) fn push(&mut self, wave: &[f32]) {
        self.len += wave.len();
        self.analyse(wave);
    }

    /// Ends the waveform.
    pub(super) fn finish(&mut self) {
        let missing = frames_of(self.len) - self.known();
        let silence = (missing - 1) * HOP + FRAME - self.pending.len();
        self.analyse(&vec![0.0; silence]);
        self.is_complete = true;
    }

    /// Samples of the waveform so far.
    pub(super) fn waveform_len(&self) -> usize {
        self.len
    }

    /// Number of frames that are known, including dropped ones. The advance of the last one is not known before the next
    /// frame is. After the end every frame is known.
    pub(super) fn known(&self) -> usize {
        if self.is_complete { usize::MAX } else { self.dropped + self.frames.len() }
    }

    /// Frame `index`, which must be known and not dropped.
    pub(super) fn frame(&self, index: usize) -> &Frame {
        self.frames.get(index - self.dropped).unwrap_or(&SILENT)
    }

    /// The phases of the first frame, unit phasors `[bins]`.
    pub(super) fn first_phase(&self) -> &Bins {
        &self.first_phase
    }

    /// Drops the frames before `index`, except the last known one.
    pub(super) fn drop_before(&mut self, index: usize) {
        let count = index.saturating_sub(self.dropped).min(self.frames.len().saturating_sub(1));
        self.frames.drain(..count);
        self.dropped += count;
    }

    /// Appends the frames that `samples` complete.
    fn analyse(&mut self, samples: &[f32]) {
        let Self { frames, first_phase, phase, pending, .. } = self;
        ANALYSER.with_borrow_mut(|analyser| {
            for block in samples.chunks(BLOCK) {
                pending.extend_from_slice(block);
                let mut start = 0;
                while let Some(samples) = pending[start..].first_chunk() {
                    let index = frames.len();
                    frames.push(Frame::SILENT);
                    let (before, frame) = frames.split_at_mut(index);
                    let advance = before.last_mut().map_or(&mut *first_phase, |frame| &mut frame.advance);
                    analyser.analyse(samples, phase, advance, &mut frame[0].magnitude);
                    start += HOP;
                }
                pending.drain(..start);
            }
        });
    }

    /// Number of frames in memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.frames.len()
    }
}

/// Frames of `len` samples up to the first that lies wholly after them.
fn frames_of(len: usize) -> usize {
    (len + FRAME / 2).div_ceil(HOP) + 1
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
    bins: Bins,
}

impl Analyser {
    fn new() -> Self {
        Self { arch: Arch::new(), transform: Transform::forward(), window: hann(), bins: Bins::ONE }
    }

    /// Sets `magnitude` to that of the frame `samples`, `advance` to the phasor from `phase` to its phase, and `phase` to its
    /// phase.
    fn analyse(&mut self, samples: &[f32; FRAME], phase: &mut Bins, advance: &mut Bins, magnitude: &mut [f32; BINS]) {
        let Self { arch, transform, window, bins } = self;
        transform.load_samples(samples, window);
        transform.run();
        arch.dispatch(Analyse { transform, bins, phase, advance, magnitude });
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
