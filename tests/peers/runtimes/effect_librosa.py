"""librosa's effects with the parameters of our catalogue."""

import protocol  # isort: skip

import librosa

import frontend_peer
from yamnet_layout import SAMPLE_RATE_HZ

EFFECTS = {
    "time_stretch_fast": lambda wave: librosa.effects.time_stretch(wave, rate=1.1),
    "pitch_up": lambda wave: librosa.effects.pitch_shift(wave, sr=SAMPLE_RATE_HZ, n_steps=2),
}


def main() -> None:
    a = frontend_peer.arguments(__doc__)
    if a.task not in EFFECTS:
        protocol.refuse(f"librosa has no {a.task}")
    frontend_peer.serve(librosa.__version__, frontend_peer.read_clips(a.work), EFFECTS[a.task])


if __name__ == "__main__":
    main()
