"""Reads tables lazily, straight from a bucket, as a data scientist does: scan_from_s3.py s3://bucket/root; the keys are in the environment."""

import os
import sys

import polars as pl

root = sys.argv[1]
options = {
    "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
    "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
    "aws_region": os.environ["AWS_REGION"],
    "aws_endpoint_url": os.environ["S3_ENDPOINT_URL"],
    "aws_allow_http": "true",
}


tables = pl.scan_ndjson(f"{root}/snapshots/latest.json", storage_options=options).collect()["tables"][0]


def scan(table: str) -> pl.LazyFrame:
    return pl.scan_parquet([f"{root}/{part['path']}" for part in tables[table]], storage_options=options)


manifest, split = scan("manifest"), scan("split")
assert {"clip_id", "uri", "label", "site", "etag"} <= set(manifest.collect_schema().names())
counts = manifest.group_by("label").agg(pl.len().alias("clips")).sort("label").collect()
sides = manifest.join(split, on="clip_id").filter(pl.col("split") == "train").select(pl.len()).collect().item()
assert counts["clips"].sum() > sides > 0
print(" ".join(f"{label}={clips}" for label, clips in counts.iter_rows()))
