"""What the peers of `compare frontend` have in common: the command line and the two requests.

Work is done on as many threads as asked for, a clip at a time on each; the driver keeps OpenBLAS and OpenMP at one.
"""

import protocol  # isort: skip

import argparse
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TypeVar

import numpy as np

from sounds import CLIP_SAMPLES

Source = TypeVar("Source")


def arguments(doc: str | None) -> argparse.Namespace:
    """The command line of every peer; `work` is the folder that `prepare.py` filled."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--task", required=True)
    return parser.parse_args()


def read_clips(work: Path) -> np.ndarray:
    """`[n, CLIP_SAMPLES]` at 16 kHz."""
    return np.fromfile(work / "clips.f32", "<f4").reshape(-1, CLIP_SAMPLES)


def read_files(work: Path) -> list[bytes]:
    """The bytes of the recordings, so that no disk is measured."""
    return [Path(line).read_bytes() for line in (work / "files.txt").read_text().splitlines()]


def serve(
    version: str,
    sources: list[Source] | np.ndarray,
    work: Callable[[Source], np.ndarray],
    items: Callable[[np.ndarray], int] = lambda _: 1,
    write_all: bool = False,
) -> None:
    """Answers requests: `work` turns a source into an array that counts as so many `items`. `write` puts the result of
    the first source into a file, or of all."""
    turn = count()

    def step() -> int:
        return items(work(sources[next(turn) % len(sources)]))

    def rate(threads: str, seconds: str) -> protocol.Answer:
        return protocol.rate_side_by_side([step] * int(threads), float(seconds))

    def write(path: str) -> protocol.Answer:
        done = [work(source) for source in (sources if write_all else sources[:1])]
        np.concatenate(done).astype("<f4").tofile(path)
        return {"clips": len(done)}

    protocol.serve({"version": version}, rate=rate, write=write)
