"""`compare pipeline`: a whole retraining, from clips to a saved model, beside the Python pipeline that it replaces."""

import argparse
import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from . import cpu, options, places, table
from .places import Unusable, last_line, log

ESC10_PATTERN = r"(?<fold>\d)-(?<recording>\d+)-"
PEER = "python"
EXAMPLES = """examples:
  tests/peers/compare pipeline
  tests/peers/compare pipeline --rounds 3 --precision f32
  tests/peers/compare pipeline --clips 10000            # ours alone; --peer-too takes the Python pipeline along"""


@dataclass
class Run:
    """What one run cost and gave."""

    wall_s: float
    cpu_s: float
    peak_rss_mb: float
    accuracy: float | None
    output: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this comparison."""
    parser.add_argument("--weights", type=options.file, metavar="FILE", help="Keras yamnet.h5 (default: the reference data's)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of class folders (default: audio/esc10 there)")
    parser.add_argument("--pattern", default=ESC10_PATTERN, help="split.pattern of ours (default: ESC-10's)")
    parser.add_argument(
        "--precision", type=options.precisions, default="f32,bf16", help="of ours (default: %(default)s)"
    )
    parser.add_argument(
        "--clips", type=options.count, metavar="N", help="repeat the clips, with other bytes, until there are N"
    )
    parser.add_argument("--peer-too", action="store_true", help="run the Python pipeline on --clips as well")
    options.ours_only(parser, "the Python pipeline")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="passed to `ecosight retrain`")


def compare(a: argparse.Namespace) -> list[dict]:
    """Measures; the rows."""
    weights = a.weights or places.default_weights()
    data = a.data or places.test_data() / "audio" / "esc10"
    peer = places.test_data() / "peers" / "ecosight_python.py"
    names = [("ecosight", precision) for precision in a.precision]
    if (a.clips is None or a.peer_too) and not a.ours_only:
        names.append((PEER, "f32"))
    if weights is None or not data.is_dir():
        missing = f"no {data}" if not data.is_dir() else "no weights; see --weights"
        return [_skipped(name, missing) for name in names]
    with tempfile.TemporaryDirectory(prefix="ecosight-peers-") as folder:
        work = Path(folder)
        binary = places.ecosight()
        environment = os.environ | {"ECOSIGHT_CACHE_DIR": str(work / "cache")}
        _import(binary, weights.resolve(), work, environment)
        if a.clips is not None:
            log(f"writing {a.clips} clips")
            places.run_script("make_clips.py", "--data", data, "--clips", str(a.clips), "--out", work / "clips")
            data = work / "clips"
        clips = _read_all(data)
        runs: dict[tuple[str, str], list[Run]] = {name: [] for name in names}
        reasons: dict[tuple[str, str], str] = {}
        for turn in range(a.rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                if name in reasons:
                    continue
                log(f"round {turn + 1} of {a.rounds}: {' '.join(name)}")
                try:
                    with tempfile.TemporaryDirectory(dir=work) as out:
                        if name[0] == PEER:
                            run = _python(peer, data.resolve(), weights.resolve(), Path(out))
                        else:
                            run = _ecosight(binary, data.resolve(), name[1], a, Path(out), environment)
                except Unusable as error:
                    reasons[name] = str(error)
                    log(f"skipped: {error}")
                    continue
                log(f"  {run.wall_s:.1f} s")
                runs[name].append(run)
        beside = [] if (PEER, "f32") in reasons else runs.get((PEER, "f32"), [])
        return [
            _skipped(name, reasons[name]) if name in reasons else _row(name, clips, done, beside)
            for name, done in runs.items()
        ]


def _import(binary: Path, weights: Path, work: Path, environment: dict[str, str]) -> None:
    command = [binary, "weights", "import", weights, "--quiet"]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise Unusable(_first_error(done.stderr))


def _read_all(data: Path) -> int:
    """Reads all files once, so that whoever comes first does not wait for the disk; how many there are."""
    files = [path for path in data.glob("*/*") if path.is_file()]
    for path in files:
        path.read_bytes()
    return len(files)


def _ecosight(
    binary: Path, data: Path, precision: str, a: argparse.Namespace, out: Path, environment: dict[str, str]
) -> Run:
    """A cold run of ours in a fresh data root."""
    settings = [f"split.pattern={a.pattern}", *a.set]
    if precision != "f32":
        settings.append(f"embed.precision={precision}")
    command = [binary, "retrain", "--source", data, "--data-root", out / "data", "--json"]
    run = measure([*command, *(word for text in settings for word in ("--set", text))], out, environment)
    test = json.loads(run.output).get("metrics", {}).get("test") or {}
    run.accuracy = test.get("accuracy")
    return run


def _python(peer: Path, data: Path, weights: Path, out: Path) -> Run:
    """A run of the Python pipeline."""
    if not peer.is_file():
        raise Unusable(f"no {peer}")
    command = [places.python(), peer, "--data", data, "--out", out / "data", "--weights", weights]
    run = measure(command, out, dict(os.environ))
    result = json.loads((out / "data" / "peer_result.json").read_text())
    run.accuracy = result.get("reported_test_accuracy_leaky")
    return run


def measure(command: list[str | Path], cwd: Path, environment: dict[str, str]) -> Run:
    """Runs to the end; the operating system says what the process and its children took."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+", errors="replace") as errors:
        start = time.perf_counter()
        words = [str(word) for word in command]
        process = subprocess.Popen(
            words, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            raise Unusable(_first_error(errors.read()))
        output.seek(0)
        # Linux counts kilobytes, others bytes.
        unit = 1024 if os.uname().sysname == "Linux" else 1
        peak_rss_mb = usage.ru_maxrss * unit / 1e6
        return Run(wall_s, usage.ru_utime + usage.ru_stime, peak_rss_mb, None, output.read())


def _first_error(text: str) -> str:
    """The line that says `error:`, with the next one where it announces it; else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    start = next((index for index, line in enumerate(lines) if line.startswith("error")), None)
    if start is None:
        return last_line(text)
    return " ".join(lines[start : start + 2]) if lines[start].endswith(":") else lines[start]


def _skipped(name: tuple[str, str], reason: str) -> dict:
    return {"runtime": name[0], "precision": name[1], "wall_s": None, "skipped": reason, "cpu": cpu.describe()}


def _row(name: tuple[str, str], clips: int, runs: list[Run], peer: list[Run]) -> dict:
    """Medians over the rounds; `ratio` is how many times the Python pipeline's wall time goes into this one's."""
    ratios = [theirs.wall_s / ours.wall_s for ours, theirs in zip(runs, peer, strict=True)] if peer else []
    wall_s = median(run.wall_s for run in runs)
    return {
        "runtime": name[0],
        "precision": name[1],
        "clips": clips,
        "wall_s": round(wall_s, 2),
        "cpu_s": round(median(run.cpu_s for run in runs), 2),
        "peak_rss_mb": round(median(run.peak_rss_mb for run in runs), 1),
        "clips_per_s": round(clips / wall_s, 2),
        "accuracy": runs[-1].accuracy,
        # The Python pipeline augments before it splits, so variants of one clip are on both sides.
        "accuracy_leaks": name[0] == PEER,
        "ratio": round(median(ratios), 3) if ratios else None,
        "ratio_to": PEER,
        "rounds": len(runs),
        "cpu": cpu.describe(),
    }


def show(found: list[dict]) -> None:
    """The table for people."""
    header = [
        "runtime",
        "precision",
        "clips",
        "wall s",
        "CPU s",
        "peak MB",
        "clips/s",
        "accuracy",
        "× faster than python",
    ]
    lines = [
        [row["runtime"], row["precision"], str(row["clips"])]
        + [table.number(row["wall_s"], 1), table.number(row["cpu_s"], 1), table.number(row["peak_rss_mb"])]
        + [table.number(row["clips_per_s"], 1), _accuracy(row), table.number(row["ratio"], 2)]
        for row in found
        if "skipped" not in row
    ]
    table.show(header, lines)
    for row in (row for row in found if "skipped" in row):
        print(f"skipped: {row['runtime']} {row['precision']}: {row['skipped']}")


def _accuracy(row: dict) -> str:
    return table.number(row["accuracy"], 3) + (" (leaks)" if row["accuracy_leaks"] else "")
