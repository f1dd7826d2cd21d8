//! Any rate to any other, in blocks, aligned in time, by the FFT resampler of `rubato`.
//!
//! The filter is a sinc under a squared Blackman-Harris window of 1280 samples of the slower side or more: at an output rate of 16 kHz it is flat to 7.8 kHz
//! and more than 100 dB down from 8.05 kHz on, as tested below. Rates whose ratio has large terms get a filter that is as long as these: at 47,999 Hz it rings
//! for a second, 70 dB below a sudden start. It delays the output by half of its length, which is left out here, so that sample `i` of
//! the output is at the time `i / rate_out` of the input.

use std::cell::RefCell;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _, Sample, WindowFunction};

/// Length of the filter in samples of the slower side, which sets its slope; rounded up to what the ratio of the rates allows.
const FILTER_SAMPLES: usize = 1280;
/// Samples of a block of input up to which single precision is enough.
const SINGLE_SAMPLES: usize = 1 << 14;
/// Transforms that a thread keeps: the rates of an archive and the pitches of its effects are few, and a new one takes as long as a second of audio.
const KEPT: usize = 16;
/// Samples of a block, in and out, beyond which its transforms are not kept: rates of large units are rare.
const KEPT_SAMPLES: usize = 1 << 16;

thread_local! {
    /// The transforms used last, the latest at the end.
    static TRANSFORMS: RefCell<Vec<Transform>> = const { RefCell::new(Vec::new()) };
}

/// A streaming resampler of one channel.
pub(crate) struct Resampler {
    /// `None` where both rates are the same.
    transform: Option<Transform>,
    rate_in: u64,
    rate_out: u64,
    /// Input of the next block.
    pending: Vec<f32>,
    /// The block of output.
    block: Vec<f32>,
    /// Samples of output that are still to be left out.
    delay: usize,
    count_in: u64,
    count_out: u64,
}

/// The transforms of one ratio of rates, and what they keep of the block before.
struct Transform {
    units: (usize, usize),
    fft: Precise,
}

/// The filter is computed in the precision of the samples, which has to be double where it is long.
enum Precise {
    Single(Box<Fft<f32>>),
    Double(Box<Fft<f64>>),
}

impl Precise {
    fn new((unit_in, unit_out): (usize, usize)) -> Self {
        // An even number of units, so that the delay is a whole number of samples on both sides.
        let block_in = FILTER_SAMPLES.div_ceil(unit_in.min(unit_out)).next_multiple_of(2) * unit_in;
        if block_in <= SINGLE_SAMPLES {
            Self::Single(Box::new(fft(unit_in, unit_out, block_in)))
        } else {
            Self::Double(Box::new(fft(unit_in, unit_out, block_in)))
        }
    }

    /// Samples of a block of input, and of what becomes of it.
    fn lens(&self) -> (usize, usize) {
        match self {
            Self::Single(fft) => (fft.fft_size_in(), fft.fft_size_out()),
            Self::Double(fft) => (fft.fft_size_in(), fft.fft_size_out()),
        }
    }

    /// Makes a block of output of one of input.
    fn run(&mut self, input: &[f32], output: &mut [f32]) {
        match self {
            Self::Single(fft) => run(&mut **fft, input, output),
            Self::Double(fft) => {
                let input: Vec<f64> = input.iter().map(|x| f64::from(*x)).collect();
                let mut doubles = vec![0.0; output.len()];
                run(&mut **fft, &input, &mut doubles);
                output.iter_mut().zip(doubles).for_each(|(out, x)| *out = x as f32);
            }
        }
    }

    fn reset(&mut self) {
        match self {
            Self::Single(fft) => fft.reset(),
            Self::Double(fft) => fft.reset(),
        }
    }
}

fn fft<T: Sample>(unit_in: usize, unit_out: usize, block_in: usize) -> Fft<T> {
    let window = WindowFunction::BlackmanHarris2;
    Fft::new_custom(unit_in, unit_out, block_in, 1, 1, window, FixedSync::Both)
        .expect("rates and length of a block are at least 1")
}

fn run<T: Sample>(fft: &mut Fft<T>, input: &[T], output: &mut [T]) {
    let fits = "the buffers have the length of a block";
    let (len_in, len_out) = (input.len(), output.len());
    let input = InterleavedSlice::new(input, 1, len_in).expect(fits);
    let mut output = InterleavedSlice::new_mut(output, 1, len_out).expect(fits);
    fft.process_into_buffer(&input, &mut output, None).expect(fits);
}

impl Transform {
    /// From `unit_in` to `unit_out` samples, two numbers without a common divisor.
    fn take(units: (usize, usize)) -> Self {
        let kept = TRANSFORMS.with_borrow_mut(|kept| {
            kept.iter().position(|transform| transform.units == units).map(|at| kept.remove(at))
        });
        kept.unwrap_or_else(|| Self { units, fft: Precise::new(units) })
    }

    /// Keeps it for the next resampler of this thread.
    fn give_back(mut self) {
        let (block_in, block_out) = self.fft.lens();
        if block_in + block_out > KEPT_SAMPLES {
            return;
        }
        self.fft.reset();
        // A thread that ends has nothing to keep it in.
        let _ = TRANSFORMS.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() == KEPT {
                kept.remove(0);
            }
            kept.push(self);
        });
    }
}

impl Resampler {
    /// From `rate_in` to `rate_out`, both at least 1; only their ratio matters.
    pub(crate) fn new(rate_in: u32, rate_out: u32) -> Self {
        let divisor = gcd(rate_in, rate_out);
        let units = ((rate_in / divisor) as usize, (rate_out / divisor) as usize);
        let transform = (units.0 != units.1).then(|| Transform::take(units));
        let block_out = transform.as_ref().map_or(0, |transform| transform.fft.lens().1);
        Self {
            // Half of the filter.
            delay: block_out / 2,
            block: vec![0.0; block_out],
            transform,
            rate_in: rate_in.into(),
            rate_out: rate_out.into(),
            pending: Vec::new(),
            count_in: 0,
            count_out: 0,
        }
    }

    /// Takes more input and appends what can be computed to `out`.
    pub(crate) fn push(&mut self, mut wave: &[f32], out: &mut Vec<f32>) {
        self.count_in += wave.len() as u64;
        let Some(block_in) = self.block_in() else {
            self.count_out += wave.len() as u64;
            return out.extend_from_slice(wave);
        };
        while !wave.is_empty() {
            let taken = wave.len().min(block_in - self.pending.len());
            self.pending.extend_from_slice(&wave[..taken]);
            wave = &wave[taken..];
            if self.pending.len() == block_in {
                self.process(out);
            }
        }
    }

    /// Appends the rest, so that all output together has `round(n · rate_out / rate_in)` samples for `n` of input.
    pub(crate) fn finish(&mut self, out: &mut Vec<f32>) {
        let Some(block_in) = self.block_in() else { return };
        let total = (self.count_in * self.rate_out + self.rate_in / 2) / self.rate_in;
        while self.count_out < total {
            self.pending.resize(block_in, 0.0);
            self.process(out);
        }
        let surplus = (self.count_out - total) as usize;
        out.truncate(out.len() - surplus);
        self.count_out = total;
    }

    fn block_in(&self) -> Option<usize> {
        self.transform.as_ref().map(|transform| transform.fft.lens().0)
    }

    /// Resamples the full block in `pending`.
    fn process(&mut self, out: &mut Vec<f32>) {
        let Some(Transform { fft, .. }) = &mut self.transform else { return };
        fft.run(&self.pending, &mut self.block);
        self.pending.clear();
        let left_out = self.delay.min(self.block.len());
        self.delay -= left_out;
        self.count_out += (self.block.len() - left_out) as u64;
        out.extend_from_slice(&self.block[left_out..]);
    }
}

impl Drop for Resampler {
    fn drop(&mut self) {
        self.transform.take().into_iter().for_each(Transform::give_back);
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    const RATES: [u32; 15] = [
        4000, 8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 47_999, 48_000, 96_000, 192_000, 250_000, 256_000,
        384_000,
    ];

    fn resample(wave: &[f32], rate_hz: u32, block: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(rate_hz, 16_000);
        let mut out = Vec::new();
        wave.chunks(block).for_each(|chunk| resampler.push(chunk, &mut out));
        resampler.finish(&mut out);
        out
    }

    fn sine(frequency_hz: f64, rate_hz: u32, n: usize) -> Vec<f32> {
        (0..n).map(|i| (TAU * frequency_hz * i as f64 / f64::from(rate_hz)).sin() as f32).collect()
    }

    /// RMS of the middle half, dB relative to a full-scale sine.
    fn level_db(wave: &[f32]) -> f64 {
        let middle = &wave[wave.len() / 4..wave.len() * 3 / 4];
        let power = middle.iter().map(|x| f64::from(x * x)).sum::<f64>() / middle.len() as f64;
        10.0 * (2.0 * power).log10()
    }

    #[test]
    fn length_is_exact_at_every_rate() {
        for rate_hz in RATES {
            for n in [0, 1, 2, 17, 1000, 12_345] {
                let expected = (n as f64 * 16_000.0 / f64::from(rate_hz)).round() as usize;
                assert_eq!(resample(&vec![0.5; n], rate_hz, 700).len(), expected, "{n} at {rate_hz}");
            }
        }
    }

    #[test]
    fn a_sine_stays_itself_in_level_and_time() {
        for rate_hz in RATES {
            let n = rate_hz as usize;
            let out = resample(&sine(1000.0, rate_hz, n), rate_hz, 1152);
            let expected = sine(1000.0, 16_000, 16_000);
            let worst = (2000..14_000).map(|i| (out[i] - expected[i]).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{worst} at {rate_hz} Hz");
        }
    }

    #[test]
    fn an_impulse_stays_where_it_was() {
        for rate_hz in RATES {
            let mut wave = vec![0.0; rate_hz as usize];
            wave[rate_hz as usize / 2] = 1.0;
            let out = resample(&wave, rate_hz, 999);
            let peak = (0..out.len()).max_by(|&a, &b| out[a].abs().total_cmp(&out[b].abs())).unwrap();
            assert!(peak.abs_diff(8000) <= 1, "{peak} at {rate_hz} Hz");
        }
    }

    #[test]
    fn the_band_of_the_embedder_is_flat_and_free_of_aliases() {
        for rate_hz in RATES.into_iter().filter(|rate| *rate > 16_000) {
            // Beyond the ringing of the longest filter.
            let n = if rate_hz == 47_999 { 8 * rate_hz as usize } else { rate_hz as usize };
            for frequency_hz in [125.0, 4000.0, 7400.0, 7500.0, 7600.0, 7700.0, 7800.0] {
                let level = level_db(&resample(&sine(frequency_hz, rate_hz, n), rate_hz, 4096));
                assert!(level.abs() < 0.05, "{frequency_hz} Hz at {rate_hz} Hz: {level} dB");
            }
            for frequency_hz in [8050.0, 8100.0, 8500.0, 10_000.0] {
                let level = level_db(&resample(&sine(frequency_hz, rate_hz, n), rate_hz, 4096));
                assert!(level < -100.0, "{frequency_hz} Hz at {rate_hz} Hz: {level} dB");
            }
        }
    }

    #[test]
    fn blocks_of_any_size_give_the_same_bits() {
        let wave = sine(440.0, 44_100, 20_000);
        let whole = resample(&wave, 44_100, 20_000);
        assert!([1, 7, 441, 5000].into_iter().all(|block| resample(&wave, 44_100, block) == whole));
    }
}
