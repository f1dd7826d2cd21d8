"""Makes what all runtimes share: clips.f32, patches.f32, yamnet.onnx, and weights where there are none.

Prints one JSON object that says what was made.
"""

import protocol  # isort: skip

import argparse
from pathlib import Path

import numpy as np

import logmel
import sounds
import weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, required=True, help="folder of recordings, which may be missing")
    parser.add_argument("--clips", type=int, required=True, help="how many of them")
    parser.add_argument("--weights", type=Path, help="Keras weights; without, seeded ones are written")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--audio-only", action="store_true", help="clips.f32 and files.txt alone")
    a = parser.parse_args()

    files = sounds.recordings(a.audio, a.clips) if a.audio.is_dir() else []
    clips = sounds.real(files) if files else sounds.made_up(a.clips)
    clips.astype("<f4").tofile(a.out / "clips.f32")
    made: protocol.Answer = {"clips": len(clips), "samples": clips.shape[1], "recordings": len(files)}
    if a.audio_only:
        (a.out / "files.txt").write_text("".join(f"{path}\n" for path in files))
        protocol.say(made)
        return

    patches = np.concatenate([logmel.patches(clip) for clip in clips])
    patches.astype("<f4").tofile(a.out / "patches.f32")
    path = a.weights
    if path is None:
        path = a.out / "seeded.h5"
        weights.write_seeded(path)
    made |= {"patches": len(patches), "weights": str(path)}
    try:
        from export_onnx import export

        export(weights.read(path), a.out / "yamnet.onnx")
    except ImportError as error:
        made["no_onnx"] = str(error)
    protocol.say(made)


if __name__ == "__main__":
    main()
