"""`librosa.load` at 16 kHz, with the resampler that it chooses itself."""

import protocol  # isort: skip

from io import BytesIO

import librosa

import frontend_peer
from yamnet_layout import SAMPLE_RATE_HZ


def main() -> None:
    a = frontend_peer.arguments(__doc__)
    files = frontend_peer.read_files(a.work)
    frontend_peer.serve(
        librosa.__version__, files, lambda recording: librosa.load(BytesIO(recording), sr=SAMPLE_RATE_HZ)[0]
    )


if __name__ == "__main__":
    main()
