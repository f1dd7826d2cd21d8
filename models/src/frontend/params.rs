//! The constants of the front end, all from YAMNet's `params.py`.

/// Sample rate of the input, Hz.
pub const SAMPLE_RATE_HZ: u32 = 16_000;

/// Length of a short-time frame, samples (25 ms).
pub const FRAME_SAMPLES: usize = 400;

/// Distance between the starts of neighbouring short-time frames, samples (10 ms).
pub const FRAME_HOP_SAMPLES: usize = 160;

/// Distance between the starts of neighbouring short-time frames, seconds.
pub const FRAME_HOP_S: f64 = FRAME_HOP_SAMPLES as f64 / SAMPLE_RATE_HZ as f64;

/// Length of the Fourier transform: the next power of two above [`FRAME_SAMPLES`].
pub const FFT_SIZE: usize = 512;

/// Bins of the one-sided spectrum.
pub const SPECTRUM_BINS: usize = FFT_SIZE / 2 + 1;

/// Mel bands of a frame.
pub const MEL_BANDS: usize = 64;

/// Lower edge of the lowest mel band, Hz.
pub const MEL_MIN_HZ: f64 = 125.0;

/// Upper edge of the highest mel band, Hz.
pub const MEL_MAX_HZ: f64 = 7_500.0;

/// Added to each mel magnitude before the logarithm, so that digital silence is ln 0.001.
pub const LOG_OFFSET: f32 = 0.001;

/// Frames of a YAMNet patch (0.96 s).
pub const PATCH_FRAMES: usize = 96;

/// Frames between the starts of neighbouring YAMNet patches (0.48 s).
pub const PATCH_HOP_FRAMES: usize = 48;

/// Samples under `frames` overlapping short-time frames; 15,600 for the 96 frames of a patch.
///
/// # Panics
/// When `frames` is zero.
pub const fn samples_under(frames: usize) -> usize {
    FRAME_SAMPLES + (frames - 1) * FRAME_HOP_SAMPLES
}
