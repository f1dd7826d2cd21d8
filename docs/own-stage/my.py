"""One row per clip: how strong its embedding is, and where it is strongest.

EcoSight calls it as `python3 my.py <folder of manifest> <folder of embed> <file to write>`.
"""

import sys

import numpy as np
import polars as pl

manifest, embed, output = sys.argv[1:]

# Exactly the live rows lie below these folders.
clips = pl.read_parquet(f"{manifest}/**/*.parquet", columns=["clip_id", "uri", "label"])
patches = pl.read_parquet(f"{embed}/**/*.parquet").filter(pl.col("variant") == 0)

strength = np.abs(patches["embedding"].to_numpy()).mean(axis=1, dtype=np.float64)
per_clip = (
    patches.with_columns(strength=pl.Series(strength))
    .group_by("clip_id")
    .agg(
        mean_strength=pl.col("strength").mean(),
        strongest_start_s=pl.col("start_s").get(pl.col("strength").arg_max()),
    )
)

# The same rows in the same order give the same bytes, and then what reads this table has nothing to do.
clips.join(per_clip, on="clip_id").sort("uri").write_parquet(output)
print(f"{clips.height} clips")
