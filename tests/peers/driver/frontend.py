"""`compare frontend`: everything before the network. Log-mel patches, decoded clips, and effects per second."""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import agreement, cpu, options, places, table
from .contender import Contender
from .places import Unusable, log
from .rounds import Measurement, interleave, prepare

CLIPS = 32
PATCH_VALUES = 96 * 64
# Of log-mels: transforms in single precision differ in quiet bands beside loud ones.
MAX_DIFFERENCE = 2e-2
# Of decoded clips, which went through different filters.
MIN_COSINE = 0.98


@dataclass(frozen=True)
class Task:
    """One thing to do: our example for it, the scripts of the others, and the one whose figures all are divided by."""

    name: str
    about: str
    package: str
    example: str
    peers: tuple[tuple[str, str], ...]
    base: str


EFFECT_PEERS = (("librosa", "effect_librosa.py"),)
TASKS = (
    Task(
        "logmel",
        "patches from 16 kHz clips",
        "ecosight-models",
        "frontend_rate",
        (("tensorflow", "frontend_tensorflow.py"), ("librosa", "frontend_librosa.py"), ("numpy", "frontend_numpy.py")),
        "tensorflow",
    ),
    Task(
        "decode",
        "clips decoded and resampled to 16 kHz mono",
        "ecosight-datasets",
        "decode_rate",
        (("librosa", "decode_librosa.py"), ("soundfile+soxr", "decode_soundfile.py")),
        "librosa",
    ),
    Task("time_stretch_fast", "clips at 16 kHz, rate 1.1", "ecosight-datasets", "effect_rate", EFFECT_PEERS, "librosa"),
    Task("pitch_up", "clips at 16 kHz, 2 semitones", "ecosight-datasets", "effect_rate", EFFECT_PEERS, "librosa"),
)
EXAMPLES = """examples:
  tests/peers/compare frontend
  tests/peers/compare frontend --tasks logmel,decode --threads 1,2 --rounds 3 --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this comparison."""
    tasks = ",".join(task.name for task in TASKS)
    parser.add_argument("--tasks", default=tasks, metavar="A,B", help="of %(default)s (default: all)")
    parser.add_argument("--threads", type=options.counts, default="1", help="numbers of threads (default: %(default)s)")
    parser.add_argument("--peers", metavar="A,B", help="runtimes, ours (ecosight) included (default: all)")


def compare(a: argparse.Namespace) -> list[dict]:
    """Measures; the rows."""
    names = a.tasks.split(",")
    unknown = set(names) - {task.name for task in TASKS}
    if unknown:
        raise Unusable(f"no task `{unknown.pop()}`; there are {', '.join(task.name for task in TASKS)}")
    with tempfile.TemporaryDirectory(prefix="ecosight-peers-") as folder:
        work = Path(folder)
        audio = places.test_data() / "audio" / "esc10"
        made = places.run_script("prepare.py", "--audio", audio, "--clips", str(CLIPS), "--out", work, "--audio-only")
        log(f"{made['clips']} {'real' if made['recordings'] else 'MADE-UP'} clips")
        built = places.build("--example", "frontend_rate", "--example", "decode_rate", "--example", "effect_rate")
        groups: list[list[Measurement]] = []
        try:
            for task in (task for task in TASKS if task.name in names):
                for threads in a.threads:
                    groups.append(measurements(task, threads, work, made, built, a))
            everyone = [m for group in groups for m in group]
            prepare({f"{m.labels['task']} {m.runtime}, threads {m.labels['threads']}": m.contender for m in everyone})
            for group in groups:
                agree(group, work)
            interleave(groups, a.rounds, "items")
            return [row for group in groups for row in rows(group)]
        finally:
            for measurement in (m for group in groups for m in group):
                measurement.contender.stop()


def measurements(
    task: Task, threads: int, work: Path, made: dict, built: dict[str, Path], a: argparse.Namespace
) -> list[Measurement]:
    """Ours and the others at one task."""
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    inputs = ["--files", work / "files.txt"]
    if task.name != "decode":
        inputs = ["--clips", work / "clips.f32", "--samples", str(made["samples"]), "--effect", task.name]
    common = ["--work", work, "--threads", str(threads), "--task", task.name]
    commands = {"ecosight": [built[task.example], *inputs]}
    commands |= {name: [places.python(), places.RUNTIMES / script, *common] for name, script in task.peers}
    found = []
    for name, command in commands.items():
        if a.peers is not None and name not in a.peers.split(","):
            continue
        contender = Contender(command, environment)
        if task.name == "decode" and not made["recordings"]:
            contender = Contender.absent(f"no recordings in {places.test_data()}")
        labels = {"task": task.name, "runtime": name, "threads": threads, "base": task.base}
        found.append(Measurement(labels, contender, f"rate {threads} {a.seconds}"))
    return found


def agree(group: list[Measurement], work: Path) -> None:
    """Compares what all made of the same clips with what the first made; an effect only by its length."""
    reference = None
    for measurement in group:
        contender, path = measurement.contender, work / "result.f32"
        if contender.ask(f"write {path}") is None:
            continue
        found, task = agreement.read(path), measurement.labels["task"]
        if reference is None:
            reference, reference_name = found, measurement.runtime
        elif task == "logmel":
            distance = agreement.compare(found, reference, PATCH_VALUES)
            if distance is None or distance.max_abs_diff > MAX_DIFFERENCE:
                contender.skipped = f"WRONG: {distance} from {reference_name}"
            else:
                log(f"{task} {measurement.runtime}: {distance} from {reference_name}")
        elif abs(len(found) - len(reference)) > 2:
            contender.skipped = f"WRONG: {len(found)} samples where {reference_name} has {len(reference)}"
        elif task == "decode":
            length = min(len(found), len(reference))
            distance = agreement.compare(found[:length], reference[:length], length)
            if distance is None or distance.min_cosine < MIN_COSINE:
                contender.skipped = f"WRONG: {distance} from {reference_name}"
            else:
                log(f"{task} {measurement.runtime}: {distance} from {reference_name}")


def rows(group: list[Measurement]) -> list[dict]:
    """The rows of one task and number of threads."""
    processor = cpu.describe()
    base = next((m for m in group if m.runtime == m.labels["base"] and m.contender.skipped is None), None)
    found = []
    for m in group:
        row = {key: m.labels[key] for key in ("task", "runtime", "threads")}
        if m.contender.skipped is not None:
            found.append(row | {"items_per_s": None, "skipped": m.contender.skipped, "cpu": processor})
            continue
        found.append(
            row
            | {
                "items_per_s": round(m.rate, 1),
                "ratio": round(m.ratio_to(base), 3) if base else None,
                "ratio_to": m.labels["base"],
                "lowest": round(min(m.rates), 1),
                "highest": round(max(m.rates), 1),
                "rounds": len(m.rates),
                "version": m.contender.ready.get("version"),
                "cpu": processor,
            }
        )
    return found


def show(found: list[dict]) -> None:
    """The table for people."""
    about = {task.name: task.about for task in TASKS}
    header = ["task", "runtime", "version", "threads", "per second", "lowest", "highest", "×", "of", "what"]
    lines = [
        [row["task"], row["runtime"], row["version"], str(row["threads"])]
        + [table.number(row[key]) for key in ("items_per_s", "lowest", "highest")]
        + [table.number(row["ratio"], 2), row["ratio_to"], about[row["task"]]]
        for row in found
        if "skipped" not in row
    ]
    table.show(header, lines)
    for row in (row for row in found if "skipped" in row):
        print(f"skipped: {row['task']} {row['runtime']}, threads {row['threads']}: {row['skipped']}")
