"""What the peers of `compare yamnet` have in common: the command line, the patches, and the two requests."""

import protocol  # isort: skip

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from yamnet_layout import MEL_BANDS, PATCH_FRAMES

Embed = Callable[[np.ndarray], np.ndarray]
WRITE_BATCH = 64


def arguments(doc: str | None) -> argparse.Namespace:
    """The command line of every peer; `work` is the folder that `prepare.py` filled."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--mode", default="", help="a variant, where the peer has any")
    return parser.parse_args()


def read_patches(work: Path) -> np.ndarray:
    """`[n, 96, 64]`."""
    return np.fromfile(work / "patches.f32", "<f4").reshape(-1, PATCH_FRAMES, MEL_BANDS)


class Turn:
    """Batches of the patches, on and on, so that from one measurement to the next all take their turn."""

    def __init__(self, patches: np.ndarray) -> None:
        self._patches, self._next = patches, 0

    def batch(self, size: int) -> np.ndarray:
        """The next `size` patches."""
        start = self._next % (len(self._patches) // size) * size
        self._next += 1
        return self._patches[start : start + size]


def serve(
    patches: np.ndarray, ready: protocol.Answer, embed: Callable[[int], Embed], write_batch: int = WRITE_BATCH
) -> None:
    """Answers requests for a runtime that computes with all threads in one call. `embed(batch)` makes what embeds
    batches of that size; it is made once for each size."""
    turn, made = Turn(patches), {}

    def at(batch: int) -> Embed:
        if batch not in made:
            made[batch] = embed(batch)
        return made[batch]

    def rate(_threads: str, batch: str, seconds: str) -> protocol.Answer:
        run, size = at(int(batch)), int(batch)
        return protocol.rate(lambda: len(run(turn.batch(size))), float(seconds), "patches")

    def write(path: str) -> protocol.Answer:
        starts = range(0, len(patches), write_batch)
        batches = [patches[start : start + write_batch] for start in starts]
        rows = np.concatenate([np.array(at(len(batch))(batch)) for batch in batches])
        rows.astype("<f4").tofile(path)
        return {"patches": len(rows)}

    protocol.serve(ready, rate=rate, write=write)
