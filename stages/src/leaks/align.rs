//! Whether one clip is a copy of another, or of a part.

use std::cmp::Ordering;
use std::ops::Range;

use ecosight_models::frontend::params::FRAME_HOP_S;
use pulp::{Arch, Simd, WithSimd};

use super::fingerprint::{Fingerprint, Frame};

/// Frames that are compared at each offset in the first pass.
const SCAN_FRAMES: usize = 64;

/// Offsets that the first pass leaves to the second.
const FINALISTS: usize = 8;

/// Cells that both clips must have at an offset: a third of a second that is heard in all bands, longer where it is
/// heard in some.
const MIN_CELLS: u32 = 2000;

/// Similarity from which two clips are copies. A longer overlap makes chance less likely, but not what two clips may share:
/// a hum with the same flutter, a codec.
const MIN_SIMILARITY: f64 = 0.2;

/// Similarity in standard deviations of chance from which two clips are copies. A short overlap has to be more alike.
const MIN_DEVIATIONS: f64 = 14.0;

/// How two clips that are copies lie to each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Match {
    /// Where in the first clip the second one starts, seconds; negative where it starts earlier.
    pub(crate) offset_s: f64,
    /// How long both last together, seconds.
    pub(crate) overlap_s: f64,
    /// Share of the cells heard in both that agree less the share that do not: 1 for equal clips, about 0 for different
    /// ones.
    pub(crate) similarity: f64,
}

/// Slides `b` along `a`: the best match where they are copies, wholly or in part.
///
/// Measured on 238 clips of ESC-10: of 28,089 pairs of different recordings the highest similarity is 0.25 at 11 standard
/// deviations of chance, and 0.15 where more than 4,000 cells are heard. Three more pairs do share audio (0.22 to 0.71, at 25
/// and more). Copies (trimmed to 2 s of 5, shifted by 0.37 s, at a tenth of the volume, as MP3 with 16 kbit/s, and all of it
/// together) have 0.32 or more, at 17 or more. A clip that is heard for less than a third of a second matches nothing, and
/// neither do two clips of one recording that do not overlap.
pub(crate) fn align(a: &Fingerprint, b: &Fingerprint) -> Option<Match> {
    let best = best(a, b)?;
    let is_copy = best.similarity() >= MIN_SIMILARITY && best.deviations() >= MIN_DEVIATIONS;
    is_copy.then(|| Match {
        offset_s: best.offset as f64 * FRAME_HOP_S,
        overlap_s: overlap(a, b, best.offset).len() as f64 * FRAME_HOP_S,
        similarity: best.similarity(),
    })
}

/// What agrees at an offset.
#[derive(Clone, Copy, Debug)]
struct Score {
    /// Frame of the first clip at which the second one starts.
    offset: isize,
    /// Cells heard in both.
    cells: u32,
    /// Cells of these that differ.
    differ: u32,
}

impl Score {
    fn similarity(&self) -> f64 {
        1.0 - 2.0 * f64::from(self.differ) / f64::from(self.cells.max(1))
    }

    /// The similarity in standard deviations of as many coins.
    fn deviations(&self) -> f64 {
        self.similarity() * f64::from(self.cells).sqrt()
    }

    /// Best first; of equally good ones, the one with the lower offset.
    fn compare(&self, other: &Self) -> Ordering {
        other.deviations().total_cmp(&self.deviations()).then(self.offset.cmp(&other.offset))
    }
}

/// The best offset, if there is one with enough cells.
fn best(a: &Fingerprint, b: &Fingerprint) -> Option<Score> {
    Arch::new().dispatch(Scan { a, b })
}

/// The frames of the second clip that lie within the first.
fn overlap(a: &Fingerprint, b: &Fingerprint, offset: isize) -> Range<usize> {
    let (first, last) = (-offset, a.frames.len() as isize - offset);
    let within = |at: isize| at.clamp(0, b.frames.len() as isize) as usize;
    within(first)..within(last)
}

/// Compares two clips at all offsets, compiled for processors that count bits in one instruction.
struct Scan<'a> {
    a: &'a Fingerprint,
    b: &'a Fingerprint,
}

impl WithSimd for Scan<'_> {
    type Output = Option<Score>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let Self { a, b } = self;
        let mut finalists: Vec<Score> = Vec::with_capacity(FINALISTS + 1);
        for offset in 1 - b.frames.len() as isize..a.frames.len() as isize {
            let within = overlap(a, b, offset);
            let bound = |end: usize| b.heard.partition_point(|&frame| (frame as usize) < end);
            let heard = &b.heard[bound(within.start)..bound(within.end)];
            let step = heard.len().div_ceil(SCAN_FRAMES).max(1);
            let score = score(a, b, offset, heard, step);
            // Clearly too few cells, as far as this pass tells; a place among the finalists is not for them.
            if score.cells * (step as u32) < MIN_CELLS / 2 {
                continue;
            }
            let at = finalists.partition_point(|other| other.compare(&score).is_lt());
            if at < FINALISTS {
                finalists.insert(at, score);
                finalists.truncate(FINALISTS);
            }
        }
        let scores = finalists.iter().map(|finalist| score(a, b, finalist.offset, &b.heard, 1));
        scores.filter(|score| score.cells >= MIN_CELLS).min_by(Score::compare)
    }
}

/// Compares every `step`th of the `heard` frames of `b` with the frame of `a` that they lie on.
#[inline(always)]
fn score(a: &Fingerprint, b: &Fingerprint, offset: isize, heard: &[u32], step: usize) -> Score {
    let (mut cells, mut differ) = (0, 0);
    for &at in heard.iter().step_by(step) {
        let other = a.frames.get((at as isize + offset) as usize).copied().unwrap_or_default();
        let Frame { rises, heard } = b.frames[at as usize];
        let both = heard & other.heard;
        cells += both.count_ones();
        differ += ((rises ^ other.rises) & both).count_ones();
    }
    Score { offset, cells, differ }
}

#[cfg(test)]
mod tests;
