"""Repeats labelled recordings, decoded, with a small seeded gain and encoded again as OGG, until there are enough.
Where fewer are wanted than there are, takes some of each class.

File names keep the first one's stem, so that a pattern that finds the recording in it still does.
"""

import protocol  # isort: skip

import argparse
from pathlib import Path

import numpy as np
import soundfile

from sounds import AUDIO

# libsndfile's Vorbis encoder takes its scratch from the stack, so it gets little at a time.
BLOCK_FRAMES = 65_536


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of class folders")
    parser.add_argument("--clips", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    files = sorted(path for path in a.data.glob("*/*") if path.suffix.lower() in AUDIO)
    random = np.random.default_rng(a.seed)
    for index in range(a.clips):
        turn, source = divmod(index, len(files))
        path = files[source if a.clips >= len(files) else index * len(files) // a.clips]
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        gain = np.float32(random.uniform(0.9, 1.0))
        target = a.out / path.parent.name / f"{path.stem}.r{turn}.ogg"
        target.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(target, "w", rate_hz, samples.shape[1], format="OGG", subtype="VORBIS") as out:
            for start in range(0, len(samples), BLOCK_FRAMES):
                out.write(samples[start : start + BLOCK_FRAMES] * gain)
    protocol.say({"clips": a.clips, "sources": len(files)})


if __name__ == "__main__":
    main()
