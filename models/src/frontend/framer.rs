//! Samples to windows, block by block.

use super::log_mel::LogMel;
use super::params::{FRAME_HOP_S, FRAME_HOP_SAMPLES, MEL_BANDS, PATCH_FRAMES, samples_under};
use super::window::{Tail, Window, Windowing};

/// Samples that are buffered at most before their frames are computed, so that one huge block costs no copy of itself.
const BLOCK_SAMPLES: usize = 16_384;

/// Cuts a clip that arrives in blocks into windows. The windows do not depend on the sizes of the blocks. After
/// [`finish`](Self::finish) the same framer, with its plan and buffers, takes the next clip.
#[derive(Debug)]
pub struct Framer {
    windowing: Windowing,
    plan: LogMel,
    /// Samples from the start of the next frame on.
    samples: Vec<f32>,
    /// Samples of the clip so far.
    samples_seen: usize,
    /// Log-mel frames `[…, 64]` from `first_frame` on.
    frames: Vec<f32>,
    /// Index within the clip of the first frame that is still held.
    first_frame: usize,
    /// Index within the clip of the first frame of the next window.
    next_start: usize,
}

impl Framer {
    /// A framer for clips that are cut by `windowing`.
    ///
    /// # Panics
    /// When the window or the hop has no frame.
    pub fn new(windowing: Windowing) -> Self {
        assert!(windowing.frames > 0 && windowing.hop_frames > 0, "a window and its hop have at least one frame");
        Self {
            windowing,
            plan: LogMel::new(),
            samples: Vec::new(),
            samples_seen: 0,
            frames: Vec::new(),
            first_frame: 0,
            next_start: 0,
        }
    }

    /// Takes the next samples of the clip (16 kHz mono) and appends the windows that they complete to `out`.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<Window>) {
        for block in samples.chunks(BLOCK_SAMPLES) {
            self.samples.extend_from_slice(block);
            self.samples_seen += block.len();
            self.analyse();
            self.emit(out);
        }
    }

    /// Ends the clip: appends the windows of its tail and makes the framer ready for the next clip. A clip without any
    /// sample is treated as silence of the shortest length.
    pub fn finish(&mut self, out: &mut Vec<Window>) {
        let zeros = vec![0.0; self.missing_samples()];
        self.push(&zeros, out);
        if self.windowing.tail == Tail::Keep {
            self.emit_tail(out);
        }
        self.samples.clear();
        self.frames.clear();
        (self.samples_seen, self.first_frame, self.next_start) = (0, 0, 0);
    }

    /// Zeros that the tail policy appends to the clip.
    fn missing_samples(&self) -> usize {
        let seen = self.samples_seen;
        match self.windowing.tail {
            Tail::Keep => samples_under(PATCH_FRAMES).saturating_sub(seen),
            Tail::Pad => {
                let (shortest, hop) =
                    (samples_under(self.windowing.frames), self.windowing.hop_frames * FRAME_HOP_SAMPLES);
                shortest + seen.saturating_sub(shortest).next_multiple_of(hop) - seen
            }
        }
    }

    /// Turns the buffered samples into frames.
    fn analyse(&mut self) {
        let rows = self.plan.rows(&self.samples, &mut self.frames);
        self.samples.drain(..rows * FRAME_HOP_SAMPLES);
    }

    /// Index within the clip behind the last frame.
    fn end_frame(&self) -> usize {
        self.first_frame + self.frames.len() / MEL_BANDS
    }

    /// Emits the full windows, then forgets the frames that no later window can reach.
    fn emit(&mut self, out: &mut Vec<Window>) {
        while self.next_start + self.windowing.frames <= self.end_frame() {
            out.push(self.window(self.next_start, self.windowing.frames));
            self.next_start += self.windowing.hop_frames;
        }
        // A kept tail may reach back by the length of a patch.
        let reachable = self.next_start.min(self.end_frame()).saturating_sub(PATCH_FRAMES);
        if reachable > self.first_frame {
            self.frames.drain(..(reachable - self.first_frame) * MEL_BANDS);
            self.first_frame = reachable;
        }
    }

    /// Emits the frames behind the last full window, if any.
    fn emit_tail(&mut self, out: &mut Vec<Window>) {
        let end = self.end_frame();
        let covered = match self.next_start.checked_sub(self.windowing.hop_frames) {
            Some(last_start) => last_start + self.windowing.frames,
            None => 0,
        };
        if covered < end {
            let shortest = PATCH_FRAMES.min(self.windowing.frames);
            let start = self.next_start.min(end.saturating_sub(shortest));
            out.push(self.window(start, end - start));
        }
    }

    fn window(&self, start: usize, frames: usize) -> Window {
        let offset = (start - self.first_frame) * MEL_BANDS;
        Window {
            start_s: start as f64 * FRAME_HOP_S,
            frames,
            logmel: self.frames[offset..offset + frames * MEL_BANDS].to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEN_SECONDS: Windowing = Windowing { frames: 1000, hop_frames: 1000, tail: Tail::Keep };

    fn signal(samples: usize) -> Vec<f32> {
        (0..samples).map(|i| (i as f32 * 0.05).sin() * (i as f32 * 0.000_7).cos()).collect()
    }

    fn windows(windowing: Windowing, samples: &[f32]) -> Vec<Window> {
        let (mut framer, mut out) = (Framer::new(windowing), Vec::new());
        framer.push(samples, &mut out);
        framer.finish(&mut out);
        out
    }

    #[test]
    fn yamnet_pads_to_whole_hops_as_published() {
        for (samples, patches) in [(0, 1), (8_000, 1), (15_600, 1), (15_601, 2), (23_280, 2), (80_016, 10)] {
            let out = windows(Windowing::YAMNET, &signal(samples));
            assert_eq!(out.len(), patches, "{samples} samples");
            assert!(out.iter().all(|w| w.frames == 96 && w.logmel.len() == 96 * 64));
        }
    }

    #[test]
    fn a_kept_tail_is_never_shorter_than_a_patch() {
        let starts = |samples| -> Vec<(f64, usize)> {
            windows(TEN_SECONDS, &signal(samples)).iter().map(|w| (w.start_s, w.frames)).collect()
        };
        assert_eq!(starts(100), [(0.0, 96)]);
        assert_eq!(starts(80_000), [(0.0, 498)]);
        assert_eq!(starts(160_240), [(0.0, 1000)]);
        assert_eq!(starts(160_400), [(0.0, 1000), (9.05, 96)]);
        assert_eq!(starts(192_000), [(0.0, 1000), (10.0, 198)]);
    }

    #[test]
    fn memory_does_not_grow_with_the_recording() {
        let (mut framer, mut out) = (Framer::new(Windowing::YAMNET), Vec::new());
        let minute = signal(960_000);
        for _ in 0..5 {
            framer.push(&minute, &mut out);
            out.clear();
            assert!(framer.frames.capacity() < 1_000 * MEL_BANDS && framer.samples.capacity() < 4 * BLOCK_SAMPLES);
        }
    }

    #[test]
    fn a_finished_framer_starts_afresh() {
        let (mut framer, mut first, mut again) = (Framer::new(TEN_SECONDS), Vec::new(), Vec::new());
        framer.push(&signal(170_000), &mut first);
        framer.finish(&mut first);
        framer.push(&signal(170_000), &mut again);
        framer.finish(&mut again);
        assert_eq!(first, again);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn windows_do_not_depend_on_the_blocks(
            samples in 0usize..60_000,
            blocks in prop::collection::vec(1usize..9_000, 1..12),
            frames in 1usize..150,
            hop_frames in 1usize..200,
            keep in any::<bool>(),
        ) {
            let tail = if keep { Tail::Keep } else { Tail::Pad };
            let windowing = Windowing { frames, hop_frames, tail };
            let clip = signal(samples);
            let (mut framer, mut out, mut rest) = (Framer::new(windowing), Vec::new(), clip.as_slice());
            for block in blocks.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (head, tail) = rest.split_at((*block).min(rest.len()));
                framer.push(head, &mut out);
                rest = tail;
            }
            framer.finish(&mut out);
            prop_assert_eq!(out, windows(windowing, &clip));
        }
    }
}
