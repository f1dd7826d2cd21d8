"""Writes N tiny WAV clips of two classes, each with bytes of its own: 0.1 s of a tone at 8 kHz."""

import argparse
import array
import math
import struct
from pathlib import Path

RATE = 8_000
SAMPLES = 800


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    header = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 36 + 2 * SAMPLES, b"WAVEfmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", 2 * SAMPLES)
    tones = {"high": _tone(2_000.0), "low": _tone(300.0)}
    for number in range(a.clips):
        label = ("high", "low")[number % 2]
        # A folder of 100,000 entries is slow to list for reasons that are nobody's merit.
        folder = a.out / label / f"{number // 2_000:03}"
        if number % 2_000 < 2:
            folder.mkdir(parents=True, exist_ok=True)
        samples = tones[label][:]
        samples[0], samples[1] = number % 30_000, number // 30_000
        (folder / f"{number:06}.wav").write_bytes(header + samples.tobytes())


def _tone(hz: float) -> array.array:
    return array.array("h", (round(9_000 * math.sin(math.tau * hz * sample / RATE)) for sample in range(SAMPLES)))


if __name__ == "__main__":
    main()
