"""Opens every table of a finished demo with Polars, DuckDB and pandas and compares what they see. Usage: read_tables.py DATA_ROOT"""

import json
import os
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl

root = Path(sys.argv[1])
rows = {}
for table in ("manifest", "split", "augment", "embed", "quarantine"):
    glob = f"{root}/tables/{table}/**/*.parquet"
    by_polars = pl.read_parquet(glob)
    by_duckdb = duckdb.sql(f"select * from '{glob}'")
    by_pandas = pd.read_parquet(root / "tables" / table)
    assert by_polars.height == len(by_duckdb) == len(by_pandas), table
    # The folder `embedder=…` is a column for readers that look at the names of folders.
    seen = [set(columns) - {"embedder"} for columns in (by_polars.columns, by_duckdb.columns, by_pandas.columns)]
    assert seen[0] == seen[1] == seen[2], (table, seen)
    rows[table] = by_polars

manifest, split, augment, embed = (rows[t] for t in ("manifest", "split", "augment", "embed"))
assert manifest.height == 120 and manifest["label"].n_unique() == 5
assert manifest.schema["size_bytes"] == pl.UInt64 and manifest.schema["start_s"] == pl.Float64
assert set(split["split"]) == {"train", "val", "test"}
assert isinstance(embed.schema["embedding"], pl.Array) and embed.schema["embedding"].size == 897
assert embed.schema["embedding"].inner == pl.Float32
assert embed.columns == ["clip_id", "variant", "patch", "start_s", "embedding"]
assert duckdb.sql(f"select distinct embedder from '{root}/tables/embed/**/*.parquet'").fetchall() == [("logmel-v1-f32",)]

# Variants exist for train clips only, five each, all with another effect.
variants = augment.join(split, on="clip_id").filter(pl.col("variant") > 0)
assert set(variants["split"]) == {"train"}
assert variants.group_by("clip_id").agg(pl.col("effect").n_unique())["effect"].unique().to_list() == [5]
assert embed.select("clip_id", "variant").unique().height == augment.height

# The same numbers through each reader.
matrix = embed["embedding"].to_numpy()
again = np.stack(pd.read_parquet(root / "tables" / "embed")["embedding"].to_numpy())
assert matrix.dtype == np.float32 and np.isfinite(matrix).all() and np.array_equal(matrix, again)
summed = duckdb.sql(f"select sum(list_sum(embedding::float[])) from '{root}/tables/embed/**/*.parquet'").fetchone()[0]
assert abs(summed - matrix.sum(dtype=np.float64)) < 1e-3 * abs(matrix).sum(dtype=np.float64)

# The snapshots that name the files of the tables, each in the way that its reader is documented with.
model = json.loads((root / "models/production.json").read_text())["version"]
latest = "snapshots/latest.json"
[run] = [path.parent for path in root.glob("runs/*/run.json")]
assert json.loads((run / "run.json").read_text())["snapshot"] == json.loads((run / "snapshot.json").read_text())["version"]
for snapshot in (latest, f"models/{model}/snapshot.json", run.relative_to(root) / "snapshot.json"):
    tables = pl.scan_ndjson(f"{root}/{snapshot}").collect()["tables"][0]
    for table in ("manifest", "split", "embed"):
        named = pl.scan_parquet([f"{root}/{part['path']}" for part in tables[table]]).collect()
        assert named.drop("embedder", strict=False).equals(rows[table]), (snapshot, table)
duckdb.sql(f"set variable parts = (select list_transform(tables.embed, part -> '{root}/' || part.path) from '{root}/{latest}')")
assert len(duckdb.sql("from read_parquet(getvariable('parts'))")) == embed.height
tables = pd.read_json(root / latest, lines=True)["tables"][0]
assert len(pd.concat([pd.read_parquet(f"{root}/{part['path']}") for part in tables["embed"]])) == embed.height

history = pl.read_parquet(f"{root}/models/*/training_history.parquet")
assert history["loss"].is_finite().all() and history["loss"][-1] < history["loss"][0]
print("all tables agree", flush=True)
# Without taking the interpreter down, during which threads of the C++ libraries now and then abort the process.
os._exit(0)
