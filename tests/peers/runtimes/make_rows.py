"""Writes rows like pooled embeddings: classes that overlap, columns that go together; x.f32, y.u32, g.u32."""

import argparse
from pathlib import Path

import numpy as np

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rows", type=int, default=21_000)
parser.add_argument("--dim", type=int, default=2048)
parser.add_argument("--classes", type=int, default=10)
parser.add_argument("--out", type=Path, required=True)
a = parser.parse_args()

rng = np.random.default_rng(0)
y = rng.integers(0, a.classes, a.rows)
# A few hundred hidden factors of falling strength, as in embeddings; the classes differ in the first ones.
rank = min(256, a.dim)
strength = 1.0 / np.sqrt(1.0 + np.arange(rank))
hidden = rng.normal(size=(a.rows, rank)) * strength
hidden += 0.35 * (rng.normal(size=(a.classes, rank)) * strength)[y]
x = hidden @ rng.normal(size=(rank, a.dim)) + 0.05 * rng.normal(size=(a.rows, a.dim))
# Embeddings of YAMNet are rectified.
x = np.maximum(x, 0.0)
a.out.mkdir(parents=True, exist_ok=True)
x.astype("<f4").tofile(a.out / "x.f32")
y.astype("<u4").tofile(a.out / "y.u32")
# Six rows of each recording, as of an original and its variants.
np.repeat(np.arange(a.rows // 6 + 1), 6)[: a.rows].astype("<u4").tofile(a.out / "g.u32")
