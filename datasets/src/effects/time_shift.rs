//! Shifting in time: the start of a waveform moves to its end, or the end to its start.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::audio::SAMPLE_RATE_HZ;

/// Samples of the longest waveform that is rolled in either direction, and of which the fraction is taken at most: 30 s.
const LONGEST: usize = 30 * SAMPLE_RATE_HZ as usize;

/// Rolls the waveform in a circle by up to `max_fraction` of its length in either direction, uniformly drawn.
///
/// A waveform of more than 30 s is rolled to the left only, by up to `max_fraction` of 30 s. Its start depends neither on its
/// end nor on its length, so that it can be streamed.
pub(super) fn roll(wave: &mut [f32], max_fraction: f64, rng: &mut ChaCha8Rng) {
    roll_by(wave, draw(max_fraction, rng));
}

/// The fraction of its length by which a waveform is rolled to the right.
fn draw(max_fraction: f64, rng: &mut ChaCha8Rng) -> f64 {
    max_fraction * rng.random_range(-1.0..=1.0)
}

fn roll_by(wave: &mut [f32], fraction: f64) {
    if wave.len() > LONGEST {
        wave.rotate_left(shift_of_long(fraction));
    } else if !wave.is_empty() {
        let shift = (fraction * wave.len() as f64) as i64;
        wave.rotate_right(shift.rem_euclid(wave.len() as i64) as usize);
    }
}

/// Samples by which a waveform of more than 30 s is rolled to the left.
fn shift_of_long(fraction: f64) -> usize {
    (fraction.abs() * LONGEST as f64) as usize
}

/// What [`roll`] does, to the bit, for a waveform that comes in blocks of any size. Holds 30 s of it at most.
pub(super) struct ShiftStream {
    fraction: f64,
    /// All samples until there are more than 30 s of them, then those that come at the end.
    held: Vec<f32>,
    is_long: bool,
}

impl ShiftStream {
    pub(super) fn new(max_fraction: f64, rng: &mut ChaCha8Rng) -> Self {
        Self { fraction: draw(max_fraction, rng), held: Vec::new(), is_long: false }
    }

    /// Appends what `wave`, the next samples, suffices for to `out`.
    pub(super) fn push(&mut self, wave: &[f32], out: &mut Vec<f32>) {
        let room = if self.is_long { 0 } else { LONGEST - self.held.len() };
        let (held, rest) = wave.split_at(room.min(wave.len()));
        self.held.extend_from_slice(held);
        if !self.is_long && !rest.is_empty() {
            self.is_long = true;
            let shift = shift_of_long(self.fraction);
            out.extend_from_slice(&self.held[shift..]);
            self.held.truncate(shift);
            self.held.shrink_to_fit();
        }
        out.extend_from_slice(rest);
    }

    /// Appends the rest of the output to `out`; the stream is at its end.
    pub(super) fn finish(&mut self, out: &mut Vec<f32>) {
        if !self.is_long {
            roll_by(&mut self.held, self.fraction);
        }
        out.append(&mut self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::noise::random;

    #[test]
    fn a_roll_stays_within_its_fraction_and_loses_nothing() {
        let wave: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let shifts: Vec<i64> = (0..500)
            .map(|seed| {
                let mut rolled = wave.clone();
                roll(&mut rolled, 0.15, &mut random(seed, 0));
                let first = rolled[0] as i64;
                assert!((0..1000).all(|i| rolled[i] as i64 == (first + i as i64) % 1000));
                if first > 500 { 1000 - first } else { -first }
            })
            .collect();
        assert!(shifts.iter().all(|shift| shift.abs() <= 150));
        assert!(shifts.iter().any(|shift| *shift > 120) && shifts.iter().any(|shift| *shift < -120));
    }

    #[test]
    fn more_than_30_s_are_rolled_to_the_left_by_a_fraction_of_30_s() {
        // All numbers are below 2^24, so that they are exact.
        let wave: Vec<f32> = (0..3 * LONGEST).map(|i| i as f32).collect();
        let shifts: Vec<usize> = (0..40)
            .map(|seed| {
                let mut rolled = wave.clone();
                roll(&mut rolled, 0.15, &mut random(seed, 0));
                let shift = rolled[0] as usize;
                assert!(rolled[..wave.len() - shift] == wave[shift..] && rolled[wave.len() - shift..] == wave[..shift]);
                shift
            })
            .collect();
        assert!(shifts.iter().all(|shift| *shift <= LONGEST * 15 / 100), "{shifts:?}");
        assert!(shifts.iter().any(|shift| *shift > LONGEST / 10), "{shifts:?}");
    }

    #[test]
    fn the_stream_holds_no_more_than_it_rolls() {
        let mut stream = ShiftStream::new(0.15, &mut random(1, 0));
        let mut out = Vec::new();
        stream.push(&vec![1.0; 10 * LONGEST], &mut out);
        assert!(stream.held.capacity() <= LONGEST * 15 / 100, "{}", stream.held.capacity());
        stream.finish(&mut out);
        assert_eq!(out.len(), 10 * LONGEST);
    }
}
