"""`compare bucket`: listing a bucket, and fetching clips from it beside `aws s3 sync`, from one S3 server on this machine."""

import argparse
import json
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from . import cpu, options, places, table
from .pipeline import Run, measure
from .places import Unusable, log

BUCKET = "recordings"
LISTED = 100_000
FETCHED = 3_500
CLIP_BYTES = 160_000
AWS = "aws s3 sync"
EXAMPLES = """examples:
  tests/peers/compare bucket
  tests/peers/compare bucket --listed 20000 --fetched 500 --rounds 1 --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this comparison."""
    text = "objects that are listed, fetched or not (default: %(default)s)"
    parser.add_argument("--listed", type=options.count, default=LISTED, metavar="N", help=text)
    text = f"clips of {CLIP_BYTES} bytes that are fetched (default: %(default)s)"
    parser.add_argument("--fetched", type=options.count, default=FETCHED, metavar="N", help=text)
    options.ours_only(parser, f"`{AWS}`")


def compare(a: argparse.Namespace) -> list[dict]:
    """Measures; the rows."""
    binary, server = places.ecosight(), places.build("--bench", "s3_server")["s3_server"]
    with tempfile.TemporaryDirectory(prefix="ecosight-peers-") as folder:
        work = Path(folder)
        # Another build in the same target folder must not change what is measured.
        ours, server = (Path(shutil.copy2(path, work / name)) for path, name in ((binary, "ecosight"), (server, "server")))
        return _listing(ours, server, work / "listing", a) + _fetching(ours, server, work / "fetching", a)


def _listing(ours: Path, server: Path, work: Path, a: argparse.Namespace) -> list[dict]:
    """A first look at many objects, which reads each, and further ones, which read none."""
    log(f"writing {a.listed} objects")
    clips = work / BUCKET / "clips"
    tiny = places.RUNTIMES / "tiny_clips.py"
    subprocess.run(["python3", tiny, "--clips", str(a.listed), "--out", clips], check=True)
    with _serve(server, work) as variables:
        environment = os.environ | variables | {"ECOSIGHT_CACHE_DIR": str(work / "cache")}
        source = ["--source", f"s3://{BUCKET}/clips", "--set", "embed.embedder=logmel"]
        # The server reads each object once to know its entity tag; that is not what is measured.
        measure([ours, "retrain", "--dry-run", *source, "--data-root", "before"], work, environment)
        command = [ours, "retrain", "--to", "manifest", *source, "--data-root", "data"]
        first = [_measured("all read", command, work, environment)]
        again = [_measured("none read", command, work, environment) for _ in range(a.rounds)]
    return [_row("retrain --to manifest, all read", a.listed, first), _row("the same again, none read", a.listed, again)]


def _fetching(ours: Path, server: Path, work: Path, a: argparse.Namespace) -> list[dict]:
    """The same clips from the same server by both, in turns, into an empty folder each time."""
    log(f"writing {a.fetched} clips")
    _write_clips(work / BUCKET / "clips", a.fetched)
    names = ["ecosight"]
    try:
        aws = None if a.ours_only else places.aws()
        names += [AWS] if aws else []
    except (Unusable, OSError, subprocess.CalledProcessError) as error:
        log(f"skipped: {error}")
    runs: dict[str, list[Run]] = {name: [] for name in names}
    with _serve(server, work) as variables:
        environment = os.environ | variables | {"ECOSIGHT_CACHE_DIR": str(work / "cache"), "ECOSIGHT_CACHE_MB": "100000"}
        source = ["--source", f"s3://{BUCKET}/clips", "--set", "embed.embedder=logmel"]
        measure([ours, "retrain", "--dry-run", *source, "--data-root", "before"], work, environment)
        for turn in range(a.rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                for folder in ("data", "cache", "synced"):
                    shutil.rmtree(work / folder, ignore_errors=True)
                if name == AWS:
                    end = ["--endpoint-url", variables["S3_ENDPOINT_URL"], "--quiet"]
                    command = [aws, "s3", "sync", f"s3://{BUCKET}/clips", "synced", *end]
                else:
                    command = [ours, "retrain", "--to", "manifest", *source, "--data-root", "data"]
                runs[name].append(_measured(f"round {turn + 1} of {a.rounds}: {name}", command, work, environment))
    return [_row(name, a.fetched, runs[name], runs.get(AWS) if name != AWS else None) for name in names]


def _measured(what: str, command: list[str | Path], work: Path, environment: dict[str, str]) -> Run:
    run = measure(command, work, environment)
    log(f"{what}: {run.wall_s:.2f} s")
    return run


def _write_clips(folder: Path, count: int) -> None:
    """WAV files of noise in ten folders, each with bytes of its own."""
    samples = CLIP_BYTES - 44
    header = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 36 + samples, b"WAVEfmt ", 16, 1, 1, 16_000, 32_000, 2, 16, b"data", samples)
    for number in range(count):
        path = folder / f"class_{number % 10}" / f"{number:06}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(header + os.urandom(samples))


@contextmanager
def _serve(server: Path, folder: Path) -> Iterator[dict[str, str]]:
    """The server over the buckets in `folder`; the variables with which it is reached."""
    process = subprocess.Popen([server, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if not line:
            raise Unusable("the server does not start")
        yield json.loads(line)
    finally:
        process.stdin.close()
        process.wait(timeout=30)


def _row(name: str, objects: int, runs: list[Run], beside: list[Run] | None = None) -> dict:
    """Medians over the rounds; `ratio` is how many times our wall time goes into that of `aws s3 sync`."""
    ratios = [theirs.wall_s / ours.wall_s for ours, theirs in zip(runs, beside, strict=True)] if beside else []
    wall_s = median(run.wall_s for run in runs)
    return {
        "runtime": name,
        "objects": objects,
        "wall_s": round(wall_s, 3),
        "cpu_s": round(median(run.cpu_s for run in runs), 3),
        "peak_rss_mb": round(median(run.peak_rss_mb for run in runs), 1),
        "objects_per_s": round(objects / wall_s, 1),
        "ratio": round(median(ratios), 2) if ratios else None,
        "ratio_to": AWS if ratios else None,
        "rounds": len(runs),
        "cpu": cpu.describe(),
    }


def show(found: list[dict]) -> None:
    """The table for people."""
    lines = [
        [row["runtime"], str(row["objects"]), table.number(row["wall_s"], 2), table.number(row["cpu_s"], 2)]
        + [table.number(row["peak_rss_mb"]), table.number(row["objects_per_s"]), table.number(row["ratio"], 2)]
        for row in found
    ]
    table.show(["command", "objects", "wall s", "CPU s", "peak MB", "objects/s", f"× faster than {AWS}"], lines)
