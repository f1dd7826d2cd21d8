//! How a recording is cut into windows, and what a window carries.

use serde::{Deserialize, Serialize};

use super::params::{FRAME_HOP_S, PATCH_FRAMES, PATCH_HOP_FRAMES};

/// How an embedder wants the log-mel frames of a clip cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windowing {
    /// Log-mel frames of a window, of 10 ms each; not zero.
    pub frames: usize,
    /// Frames between the starts of neighbouring windows; not zero.
    pub hop_frames: usize,
    /// What becomes of the end of a clip.
    pub tail: Tail,
}

/// What becomes of the end of a clip that does not fill a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tail {
    /// The samples are padded with zeros to one window and then to whole hops (YAMNet `features.py`, `pad_waveform`),
    /// so every window is full.
    Pad,
    /// The last window may be shorter. A clip under 0.975 s is padded to that; a remainder under 0.96 s after a full
    /// window is covered by a last window that starts early enough to hold 96 frames.
    Keep,
}

impl Windowing {
    /// The patches of YAMNet: 0.96 s every 0.48 s, padded as published.
    pub const YAMNET: Self = Self { frames: PATCH_FRAMES, hop_frames: PATCH_HOP_FRAMES, tail: Tail::Pad };

    /// The windows of `logmel`: 10 s, so that an ordinary clip is one window, and the rest.
    pub const LOGMEL: Self = Self { frames: 1000, hop_frames: 1000, tail: Tail::Keep };

    /// Length of a full window, seconds.
    pub fn length_s(&self) -> f64 {
        self.frames as f64 * FRAME_HOP_S
    }
}

/// Consecutive log-mel frames of a clip.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Start within the clip, seconds.
    pub start_s: f64,
    /// Number of frames.
    pub frames: usize,
    /// Natural logarithms of mel magnitudes, `[frames, 64]`, row-major.
    pub logmel: Vec<f32>,
}
