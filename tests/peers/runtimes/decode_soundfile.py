"""Decoding with libsndfile and resampling with soxr (`HQ`) to 16 kHz mono."""

import protocol  # isort: skip

from io import BytesIO

import numpy as np
import soundfile
import soxr

import frontend_peer
from yamnet_layout import SAMPLE_RATE_HZ


def decode(recording: bytes) -> np.ndarray:
    samples, rate_hz = soundfile.read(BytesIO(recording), dtype="float32", always_2d=True)
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    return soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ)


def main() -> None:
    a = frontend_peer.arguments(__doc__)
    frontend_peer.serve(f"{soundfile.__version__}+soxr {soxr.__version__}", frontend_peer.read_files(a.work), decode)


if __name__ == "__main__":
    main()
