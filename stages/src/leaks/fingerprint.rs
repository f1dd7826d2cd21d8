//! When and where energy rises and falls in a clip, as bits.

use ecosight_models::frontend::MEL_BANDS;
use ecosight_models::frontend::params::LOG_OFFSET;

/// Bands that a difference spans. Neighbouring bands share half of their bins.
const BAND_STEP: usize = 2;

/// Differences of bands in a frame.
const DIFFERENCES: usize = MEL_BANDS - BAND_STEP;

/// Frames of the moving average that stands for now (30 ms): two copies lie up to half a hop apart.
const NEAR_FRAMES: usize = 3;

/// Frames of the moving average that now is compared with (150 ms).
const FAR_FRAMES: usize = 15;

/// Mel magnitude below which a cell is not heard: the rounding noise of 16-bit audio.
const SILENCE: f32 = LOG_OFFSET;

/// Offset of the logarithm, as a share of the mean magnitude of the cells that are heard.
const RELATIVE_OFFSET: f32 = 0.01;

/// Share of the mean magnitude below which a cell is not heard: what a codec at a low bitrate drops.
const RELATIVE_SILENCE: f32 = 0.003;

/// Change (of a natural logarithm) below which there is nothing to tell rising from falling.
const CHANGE: f32 = 1e-3;

/// What is left of a clip after gain, equalisation and coding.
///
/// A frame has a bit for each pair of bands two apart: whether the lower one gains on the upper one, by their log-mels now
/// against 150 ms around. So whatever is constant in time (gain, the response of a microphone, a hum) or across bands (an
/// onset) drops out, and a loud moment counts no more than a quiet one. The signs are those of Haitsma and Kalker, "A
/// Highly Robust Audio Fingerprinting System" (ISMIR 2002), whose frames are longer.
///
/// Cells without sound are masked: silence is like nothing. 16 bytes a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(super) frames: Vec<Frame>,
    /// The frames in which anything is heard, in ascending order.
    pub(super) heard: Vec<u32>,
}

/// The bits of one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// Whether each difference rises.
    pub(super) rises: u64,
    /// Whether each difference is heard and changes.
    pub(super) heard: u64,
}

impl Fingerprint {
    /// The fingerprint of a log-mel `[frames, 64]` of the front end, row-major. Values that are not finite are silence.
    ///
    /// # Panics
    /// When the last frame is not whole.
    pub(crate) fn new(logmel: &[f32]) -> Self {
        assert_eq!(logmel.len() % MEL_BANDS, 0, "frames are whole");
        let mut cells: Vec<f32> =
            logmel.iter().map(|&x| if x.is_finite() { x.exp() - LOG_OFFSET } else { 0.0 }).collect();
        let heard = cells.iter().filter(|&&mel| mel > SILENCE);
        let (sum, count) = heard.fold((0.0, 0), |(sum, count), &mel| (sum + f64::from(mel), count + 1));
        let level = (sum / f64::from(count.max(1))) as f32;
        let floor = SILENCE.max(RELATIVE_SILENCE * level);
        let masks: Vec<u64> = cells
            .chunks(MEL_BANDS)
            .map(|row| bits(|band| row[band] > floor && row[band + BAND_STEP] > floor))
            .collect();
        let offset = (RELATIVE_OFFSET * level).max(f32::MIN_POSITIVE);
        for mel in &mut cells {
            *mel = (mel.max(0.0) + offset).ln();
        }
        let (near, far) = (average(&cells, NEAR_FRAMES), average(&cells, FAR_FRAMES));
        let changes = near.iter().zip(&far).map(|(near, far)| near - far).collect::<Vec<f32>>();
        let frame = |(row, mask): (&[f32], &u64)| {
            let change = |band: usize| row[band] - row[band + BAND_STEP];
            let heard = mask & bits(|band| change(band).abs() > CHANGE);
            Frame { rises: heard & bits(|band| change(band) > 0.0), heard }
        };
        Self::of(changes.chunks(MEL_BANDS).zip(&masks).map(frame).collect())
    }

    fn of(frames: Vec<Frame>) -> Self {
        let heard = (0..frames.len() as u32).filter(|&frame| frames[frame as usize].heard != 0).collect();
        Self { frames, heard }
    }

    /// The bits of each frame, little-endian.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.frames.iter().flat_map(|frame| [frame.rises.to_le_bytes(), frame.heard.to_le_bytes()].concat()).collect()
    }

    /// The fingerprint with these [bytes](Self::to_bytes); none where a frame is not whole.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (frames, rest) = bytes.as_chunks::<16>();
        let frame = |bytes: &[u8; 16]| {
            let bits = u128::from_le_bytes(*bytes);
            Frame { rises: bits as u64, heard: (bits >> 64) as u64 }
        };
        rest.is_empty().then(|| Self::of(frames.iter().map(frame).collect()))
    }

    /// Whether nothing is heard: such a clip cannot be told from any other.
    pub(crate) fn is_blank(&self) -> bool {
        self.heard.is_empty()
    }
}

/// A bit for each difference of bands.
fn bits(is_set: impl Fn(usize) -> bool) -> u64 {
    (0..DIFFERENCES).fold(0, |bits, band| bits | u64::from(is_set(band)) << band)
}

/// The moving average over `width` frames (odd) around each, `[frames, 64]`. Beyond the ends, the frames there go on.
fn average(cells: &[f32], width: usize) -> Vec<f32> {
    let rows: Vec<&[f32]> = cells.chunks(MEL_BANDS).collect();
    let Some(last) = rows.len().checked_sub(1) else { return Vec::new() };
    let row = |at: usize| rows[at.saturating_sub(width / 2).min(last)];
    let mut sums = [0.0f64; MEL_BANDS];
    let mut out = Vec::with_capacity(cells.len());
    for at in 0..width - 1 {
        sums.iter_mut().zip(row(at)).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    for at in 0..=last {
        sums.iter_mut().zip(row(at + width - 1)).for_each(|(sum, x)| *sum += f64::from(*x));
        out.extend(sums.iter().map(|sum| (sum / width as f64) as f32));
        sums.iter_mut().zip(row(at)).for_each(|(sum, x)| *sum -= f64::from(*x));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_go_on_beyond_the_ends() {
        let cells: Vec<f32> = [1.0, 4.0, 7.0, 1.0].iter().flat_map(|&x| [x; MEL_BANDS]).collect();
        let bands = |out: Vec<f32>| -> Vec<f32> { out.chunks(MEL_BANDS).map(|row| row[MEL_BANDS - 1]).collect() };
        assert_eq!(bands(average(&cells, 3)), [2.0, 4.0, 4.0, 3.0]);
        assert_eq!(bands(average(&cells, 1)), [1.0, 4.0, 7.0, 1.0]);
        assert!(average(&[], 3).is_empty());
    }

    #[test]
    fn silence_a_steady_hum_and_no_frame_are_blank() {
        assert!(Fingerprint::new(&[]).is_blank());
        assert!(Fingerprint::new(&vec![LOG_OFFSET.ln(); 100 * MEL_BANDS]).is_blank());
        assert!(Fingerprint::new(&vec![f32::NAN; 100 * MEL_BANDS]).is_blank());
        let hum: Vec<f32> = (0..100 * MEL_BANDS).map(|i| ((i % MEL_BANDS) as f32 * 0.7).sin()).collect();
        assert!(Fingerprint::new(&hum).is_blank());
    }

    #[test]
    fn a_bit_says_which_of_two_bands_gains() {
        let mut logmel = vec![0.0f32; 40 * MEL_BANDS];
        logmel[20 * MEL_BANDS + 10] = 2.0;
        let frame = Fingerprint::new(&logmel).frames[20];
        assert_eq!(frame.heard, 1 << 8 | 1 << 10);
        assert_eq!(frame.rises, 1 << 10);
        let bytes = Fingerprint::new(&logmel).to_bytes();
        assert_eq!(Fingerprint::from_bytes(&bytes), Some(Fingerprint::new(&logmel)));
        assert_eq!(Fingerprint::from_bytes(&bytes[1..]), None);
    }
}
