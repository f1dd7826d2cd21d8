"""`compare head`: training the classifier on rows like pooled embeddings, beside scikit-learn and the head of the replaced system in Keras."""

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from statistics import median

from . import cpu, options, places, table
from .pipeline import Run, measure
from .places import Unusable, log

EXAMPLES = """examples:
  tests/peers/compare head
  tests/peers/compare head --rows 5000 --peers ecosight,scikit-learn --json"""

# What is run, and beside which the ratio stands.
CONTENDERS = {
    "ecosight": ("ours", "1.0"),
    "scikit-learn": ("head_sklearn.py", "1.0"),
    "ecosight auto": ("ours", "auto"),
    "scikit-learn auto": ("head_sklearn.py", "auto"),
    "keras": ("head_keras.py", ""),
}
BESIDE = {"ecosight": "scikit-learn", "ecosight auto": "scikit-learn auto"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this comparison."""
    parser.add_argument("--rows", type=options.count, default=21_000, metavar="N", help="rows (default: %(default)s)")
    parser.add_argument(
        "--peers", default=",".join(CONTENDERS), metavar="A,B", help="which of them (default: %(default)s)"
    )


def compare(a: argparse.Namespace) -> list[dict]:
    """Measures; the rows."""
    names = a.peers.split(",")
    unknown = [name for name in names if name not in CONTENDERS]
    if unknown:
        raise Unusable(f"there is no `{unknown[0]}`; there are {', '.join(CONTENDERS)}")
    binary = places.build("--bench", "head")["head"]
    with tempfile.TemporaryDirectory(prefix="ecosight-peers-") as folder:
        work = Path(folder)
        ours = Path(shutil.copy2(binary, work / "head"))
        log(f"writing {a.rows} rows")
        measure([places.python(), places.RUNTIMES / "make_rows.py", "--rows", str(a.rows), "--out", work], work, dict(os.environ))
        commands = {name: _command(name, ours, work) for name in names}
        runs: dict[str, list[Run]] = {name: [] for name in names}
        for turn in range(a.rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                run = measure(commands[name], work, dict(os.environ))
                log(f"round {turn + 1} of {a.rounds}: {name}: {run.wall_s:.1f} s")
                runs[name].append(run)
        return [_row(name, a.rows, runs) for name in names]


def _command(name: str, ours: Path, work: Path) -> list[str | Path]:
    program, l2 = CONTENDERS[name]
    command = [ours] if program == "ours" else [places.python(), places.RUNTIMES / program]
    return [*command, work, *([l2] if l2 else [])]


def _row(name: str, rows: int, runs: dict[str, list[Run]]) -> dict:
    """Medians over the rounds; `ratio` is how many times the time of our training goes into the peer's."""
    beside = runs.get(BESIDE.get(name, ""), [])
    pairs = zip(runs[name], beside, strict=True) if beside else []
    ratios = [_trained(theirs)["seconds"] / _trained(ours)["seconds"] for ours, theirs in pairs]
    told = _trained(runs[name][-1])
    return {
        "runtime": name,
        "rows": rows,
        "seconds": round(median(_trained(run)["seconds"] for run in runs[name]), 2),
        "fits": told["fits"],
        "l2": told["l2"],
        "accuracy": told["accuracy"],
        "cpu_s": round(median(run.cpu_s for run in runs[name]), 2),
        "peak_rss_mb": round(median(run.peak_rss_mb for run in runs[name]), 1),
        "ratio": round(median(ratios), 2) if ratios else None,
        "ratio_to": BESIDE.get(name) if ratios else None,
        "rounds": len(runs[name]),
        "cpu": cpu.describe(),
    }


def _trained(run: Run) -> dict:
    """What the program says of its training, which leaves out starting Python and reading the rows."""
    return json.loads(run.output.strip().splitlines()[-1])


def show(found: list[dict]) -> None:
    """The table for people."""
    lines = [
        [row["runtime"], str(row["rows"]), str(row["fits"]), table.number(row["seconds"], 1), table.number(row["cpu_s"], 1)]
        + [table.number(row["peak_rss_mb"]), table.number(row["ratio"], 1)]
        for row in found
    ]
    table.show(["head", "rows", "fits", "seconds", "CPU s", "peak MB", "× faster than its peer"], lines)
