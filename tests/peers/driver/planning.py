"""`compare planning`: finding out that there is nothing to do, beside DVC on the same files."""

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from . import cpu, options, places, table
from .pipeline import Run, measure
from .places import Unusable, last_line, log

CLIPS = (3_500, 100_000)
OURS = {"ecosight retrain": "retrain", "ecosight status": "status"}
THEIRS = {"dvc repro": "repro", "dvc status": "status"}
BESIDE = {"ecosight retrain": "dvc repro", "ecosight status": "dvc status"}
EXAMPLES = """examples:
  tests/peers/compare planning
  tests/peers/compare planning --clips 20000 --rounds 5 --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this comparison."""
    parser.add_argument(
        "--clips", type=options.count, action="append", metavar="N", help="number of clips (default: 3500, then 100000)"
    )
    options.ours_only(parser, "DVC")


def compare(a: argparse.Namespace) -> list[dict]:
    """Measures; the rows."""
    binary = places.ecosight()
    return [row for clips in a.clips or CLIPS for row in _compare(binary, clips, a)]


def _compare(binary: Path, clips: int, a: argparse.Namespace) -> list[dict]:
    with tempfile.TemporaryDirectory(prefix="ecosight-peers-") as folder:
        work = Path(folder)
        log(f"writing {clips} clips")
        _run(["python3", places.RUNTIMES / "tiny_clips.py", "--clips", str(clips), "--out", work / "clips"], work)
        # Another build in the same target folder must not change what is measured.
        ours = Path(shutil.copy2(binary, work / "ecosight"))
        settings = ["--data-root", "data", "--set", "embed.embedder=logmel", "--set", "augment.variants=0"]
        environment = os.environ | {"ECOSIGHT_CACHE_DIR": str(work / "cache"), "DVC_NO_ANALYTICS": "1"}
        environment["DVC_SITE_CACHE_DIR"] = str(work / "dvc-cache")
        log("the first run of ours")
        _run([ours, "retrain", "--source", "clips", *settings], work, environment)
        commands = {name: [ours, verb, *settings] for name, verb in OURS.items()}
        reason = None
        try:
            commands |= {} if a.ours_only else _dvc(work, environment)
        except (Unusable, OSError, subprocess.CalledProcessError) as error:
            reason = str(error)
            log(f"skipped: {reason}")
        names = list(commands)
        runs: dict[str, list[Run]] = {name: [] for name in names}
        for turn in range(a.rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                run = measure(commands[name], work, environment)
                log(f"round {turn + 1} of {a.rounds}: {name}: {run.wall_s:.2f} s")
                runs[name].append(run)
        skipped = [{"runtime": name, "clips": clips, "skipped": reason} for name in THEIRS if reason]
        return [_row(name, clips, runs) for name in names] + skipped


def _dvc(work: Path, environment: dict[str, str]) -> dict[str, list[str | Path]]:
    """A stage that depends on the folder of clips, brought up to date."""
    dvc = places.dvc()
    log("the first run of DVC")
    for words in (["init", "--no-scm", "-q"], ["config", "core.check_update", "false"], ["add", "-q", "clips"]):
        _run([dvc, *words], work, environment)
    stage = ["stage", "add", "-q", "-n", "count", "-d", "clips", "-o", "count.txt", "ls clips | wc -l > count.txt"]
    _run([dvc, *stage], work, environment)
    _run([dvc, "repro", "-q"], work, environment)
    return {name: [dvc, verb] for name, verb in THEIRS.items()}


def _run(command: list[str | Path], cwd: Path, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise Unusable(f"{Path(command[0]).name} {command[1]}: {last_line(done.stderr)}")


def _row(name: str, clips: int, runs: dict[str, list[Run]]) -> dict:
    """Medians over the rounds; `ratio` is how many times our wall time goes into DVC's."""
    beside = runs.get(BESIDE.get(name, ""), [])
    ratios = [theirs.wall_s / ours.wall_s for ours, theirs in zip(runs[name], beside, strict=True)] if beside else []
    return {
        "runtime": name,
        "clips": clips,
        "wall_s": round(median(run.wall_s for run in runs[name]), 3),
        "cpu_s": round(median(run.cpu_s for run in runs[name]), 3),
        "peak_rss_mb": round(median(run.peak_rss_mb for run in runs[name]), 1),
        "ratio": round(median(ratios), 2) if ratios else None,
        "ratio_to": BESIDE.get(name),
        "rounds": len(runs[name]),
        "cpu": cpu.describe(),
    }


def show(found: list[dict]) -> None:
    """The table for people."""
    lines = [
        [row["runtime"], str(row["clips"]), table.number(row["wall_s"], 2), table.number(row["cpu_s"], 2)]
        + [table.number(row["peak_rss_mb"]), table.number(row["ratio"], 1)]
        for row in found
        if "skipped" not in row
    ]
    table.show(["command", "clips", "wall s", "CPU s", "peak MB", "× faster than DVC"], lines)
    for row in (row for row in found if "skipped" in row):
        print(f"skipped: {row['runtime']} on {row['clips']} clips: {row['skipped']}")
