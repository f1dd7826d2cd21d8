"""YAMNet's log-mel front end in NumPy (`features.py`, `params.py`); it makes the patches that all runtimes get."""

import numpy as np

from yamnet_layout import MEL_BANDS, PATCH_FRAMES, SAMPLE_RATE_HZ

FRAME, FRAME_HOP, FFT = 400, 160, 512
PATCH_HOP_FRAMES = 48
SHORTEST = FRAME + (PATCH_FRAMES - 1) * FRAME_HOP
LOG_OFFSET = 0.001


def mel_matrix() -> np.ndarray:
    """`[257, 64]`: triangles on the HTK mel scale from 125 to 7,500 Hz, not normalised, without the DC bin."""

    def mel(hz: np.ndarray | float) -> np.ndarray:
        return 1127.0 * np.log1p(np.asarray(hz) / 700.0)

    bins = mel(np.linspace(0.0, SAMPLE_RATE_HZ / 2, FFT // 2 + 1))[:, None]
    edges = np.linspace(mel(125.0), mel(7_500.0), MEL_BANDS + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - lower) / (centre - lower), (upper - bins) / (upper - centre)
    matrix = np.maximum(0.0, np.minimum(rising, falling))
    matrix[0] = 0.0
    return matrix.astype(np.float32)


MEL = mel_matrix()
HANN = (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)


def padded(wave: np.ndarray) -> np.ndarray:
    """The clip with zeros up to one patch and then to whole hops."""
    hop = PATCH_HOP_FRAMES * FRAME_HOP
    hops = max(0, -(-(len(wave) - SHORTEST) // hop))
    return np.pad(wave, (0, SHORTEST + hops * hop - len(wave)))


def cut(frames: np.ndarray) -> np.ndarray:
    """Frames `[n, 64]` to patches `[k, 96, 64]`."""
    starts = range(0, len(frames) - PATCH_FRAMES + 1, PATCH_HOP_FRAMES)
    return np.stack([frames[start : start + PATCH_FRAMES] for start in starts])


def patches(wave: np.ndarray) -> np.ndarray:
    """16 kHz samples `[n]` to patches `[k, 96, 64]`."""
    frames = np.lib.stride_tricks.sliding_window_view(padded(wave), FRAME)[::FRAME_HOP]
    magnitude = np.abs(np.fft.rfft(frames * HANN, FFT)).astype(np.float32)
    return cut(np.log(magnitude @ MEL + np.float32(LOG_OFFSET)))
