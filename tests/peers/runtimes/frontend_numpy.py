"""The log-mel front end in NumPy and SciPy: a view of the frames, one Fourier transform, one matrix product."""

import protocol  # isort: skip

import numpy as np
import scipy.fft

import frontend_peer
import logmel


def patches(wave: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(logmel.padded(wave), logmel.FRAME)[:: logmel.FRAME_HOP]
    magnitude = np.abs(scipy.fft.rfft(frames * logmel.HANN, logmel.FFT, overwrite_x=True))
    return logmel.cut(np.log(magnitude @ logmel.MEL + np.float32(logmel.LOG_OFFSET)))


def main() -> None:
    a = frontend_peer.arguments(__doc__)
    frontend_peer.serve(np.__version__, frontend_peer.read_clips(a.work), patches, len, write_all=True)


if __name__ == "__main__":
    main()
