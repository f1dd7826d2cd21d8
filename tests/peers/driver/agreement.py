"""Whether two runtimes compute the same thing: a wrong peer is not a peer."""

from array import array
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
import sys


@dataclass
class Agreement:
    """How far two lists of rows are apart."""

    max_abs_diff: float
    max_abs: float
    min_cosine: float

    def __str__(self) -> str:
        return f"max abs diff {self.max_abs_diff:.1e}, min cosine {self.min_cosine:.6f}"


def read(path: Path) -> array:
    """Raw little-endian f32."""
    values = array("f")
    values.frombytes(path.read_bytes())
    if sys.byteorder == "big":
        values.byteswap()
    return values


def compare(ours: array, reference: array, width: int) -> Agreement | None:
    """The distance of rows of `width` values; `None` where the sizes differ or a value is not a number."""
    if len(ours) != len(reference) or not len(ours) or any(x != x for x in ours):
        return None
    differences = (abs(a - b) for a, b in zip(ours, reference, strict=True))
    starts = range(0, len(ours), width)
    cosines = (_cosine(ours[start : start + width], reference[start : start + width]) for start in starts)
    return Agreement(max(differences), max(map(abs, reference)), min(cosines))


def _cosine(a: array, b: array) -> float:
    norms = sqrt(sum(x * x for x in a)) * sqrt(sum(x * x for x in b))
    if norms == 0.0:
        return 1.0 if a == b else 0.0
    return sum(x * y for x, y in zip(a, b, strict=True)) / norms
