"""The log-mel front end with librosa's short-time transform and YAMNet's mel matrix. librosa cannot make that: its
triangles are linear in Hz, YAMNet's in mel.
"""

import protocol  # isort: skip

import librosa
import numpy as np

import frontend_peer
import logmel

# librosa centres the window of 400 samples in the 512 of the transform.
MARGIN = (logmel.FFT - logmel.FRAME) // 2
MEL = np.ascontiguousarray(logmel.MEL.T)


def patches(wave: np.ndarray) -> np.ndarray:
    spectrum = librosa.stft(
        np.pad(logmel.padded(wave), MARGIN),
        n_fft=logmel.FFT,
        hop_length=logmel.FRAME_HOP,
        win_length=logmel.FRAME,
        window="hann",
        center=False,
    )
    frames = np.log(MEL @ np.abs(spectrum) + np.float32(logmel.LOG_OFFSET))
    return logmel.cut(frames.T)


def main() -> None:
    a = frontend_peer.arguments(__doc__)
    frontend_peer.serve(librosa.__version__, frontend_peer.read_clips(a.work), patches, len, write_all=True)


if __name__ == "__main__":
    main()
