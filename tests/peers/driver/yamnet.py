"""`compare yamnet`: patches embedded per second."""

import argparse
import tempfile
from pathlib import Path

from . import agreement, cpu, options, places, table
from .contender import Contender
from .places import Unusable, log
from .rounds import Measurement, interleave, prepare
from .runtimes import CLIP_PATCHES, RUNTIMES, Inputs, Runtime, choose

CLIPS = 64
EMBEDDING_DIM = 1024
# f32: the largest difference, relative to the largest value where that is above 1. bf16: the smallest cosine of a row.
MAX_DIFFERENCE, MIN_COSINE = 1e-3, 0.99


EXAMPLES = """examples:
  tests/peers/compare yamnet
  tests/peers/compare yamnet --threads 1 --batch 64 --rounds 3 --peers ecosight,onnxruntime
  tests/peers/compare yamnet --precision bf16 --json > rows.jsonl"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this comparison."""
    names = ", ".join(runtime.name for runtime in RUNTIMES)
    parser.add_argument(
        "--weights", type=options.file, metavar="FILE", help="Keras yamnet.h5 (default: the reference data's, else seeded)"
    )
    parser.add_argument("--precision", type=options.precisions, default="f32,bf16", help="(default: %(default)s)")
    parser.add_argument(
        "--threads", type=options.counts, default="1,2", help="numbers of threads (default: %(default)s)"
    )
    parser.add_argument(
        "--batch", type=options.counts, default="1,8,64", help="patches per call (default: %(default)s)"
    )
    parser.add_argument("--peers", metavar="A,B", help=f"runtimes, ours included, of {names}")


def compare(a: argparse.Namespace) -> list[dict]:
    """Measures; the rows."""
    threads, batches = a.threads, a.batch
    chosen = choose(a.peers)
    if max(batches) > CLIPS * CLIP_PATCHES:
        raise Unusable(f"a batch has at most {CLIPS * CLIP_PATCHES} patches")
    with tempfile.TemporaryDirectory(prefix="ecosight-peers-") as folder:
        work = Path(folder)
        weights, no_onnx = make_inputs(work, a.weights or places.default_weights())
        no_tflite = convert(work, weights, batches) if any(r.needs == "tflite" for r in chosen) else None
        missing = {"onnx": no_onnx, "tflite": no_tflite}
        example = places.build("--example", "yamnet_rate")["yamnet_rate"]
        inputs = Inputs(work, weights, example, missing)
        contenders = {
            (runtime.name, precision, count): runtime.contender(inputs, precision, count)
            for runtime in chosen
            for precision in runtime.precisions
            if precision in a.precision
            for count in threads
        }
        try:
            prepare({f"{name} {precision}, threads {t}": c for (name, precision, t), c in contenders.items()})
            agree(contenders, work)
            groups = measurements(chosen, contenders, threads, batches, a.seconds)
            interleave(groups, a.rounds, "patches")
            return rows([m for group in groups for m in group], {r.name: r for r in chosen})
        finally:
            for contender in contenders.values():
                contender.stop()


def make_inputs(work: Path, weights: Path | None) -> tuple[Path, str | None]:
    """Makes patches, clips and the ONNX graph. The weights, and why there is no graph, if so."""
    if weights is None:
        log("NO WEIGHTS: seeded random ones of the right shapes are used; see --weights")
    audio = places.test_data() / "audio" / "esc10"
    given = ["--weights", weights.resolve()] if weights else []
    made = places.run_script("prepare.py", "--audio", audio, "--clips", str(CLIPS), "--out", work, *given)
    source = "real clips" if made["recordings"] else "MADE-UP CLIPS, as there are no recordings"
    log(f"{made['patches']} patches of {made['clips']} {source}")
    return Path(made["weights"]), made.get("no_onnx")


def convert(work: Path, weights: Path, batches: list[int]) -> str | None:
    """Makes the LiteRT models; why not, if so."""
    log("converting the weights for LiteRT")
    sizes = [str(batch) for batch in sorted({1, *batches})]
    try:
        places.run_script("export_tflite.py", "--weights", weights, "--out", work, "--batches", *sizes)
    except Unusable as error:
        return f"the conversion failed: {error}"
    return None


def agree(contenders: dict[tuple[str, str, int], Contender], work: Path) -> None:
    """Compares all embeddings with those of the first f32 runtime that has any: ONNX Runtime if it can, ours last."""
    order = sorted(contenders, key=lambda k: (k[1] != "f32", k[0] != "onnxruntime", k[0].startswith("ecosight")))
    reference, reference_name = None, ""
    for key in order:
        contender, path = contenders[key], work / "embeddings.f32"
        if contender.ask(f"write {path}") is None:
            continue
        found = agreement.read(path)
        if reference is None:
            reference, reference_name = found, key[0]
            continue
        distance = agreement.compare(found, reference, EMBEDDING_DIM)
        if distance is None:
            contender.skipped = f"WRONG: its embeddings are not comparable with those of {reference_name}"
            continue
        far = distance.max_abs_diff > MAX_DIFFERENCE * max(1.0, distance.max_abs)
        if (key[1] == "f32" and far) or distance.min_cosine < MIN_COSINE:
            contender.skipped = f"WRONG: {distance} from {reference_name}"
        log(f"{key[0]} {key[1]}, threads {key[2]}: {distance} from {reference_name}")


def measurements(
    chosen: list[Runtime],
    contenders: dict[tuple[str, str, int], Contender],
    threads: list[int],
    batches: list[int],
    seconds: float,
) -> list[list[Measurement]]:
    """What is measured; a group has the same threads and batch in all precisions, and is measured together."""
    groups = []
    for count in threads:
        # A runtime with a batch of its own goes with the nearest.
        own = {r.name: min(batches, key=lambda b: abs(b - r.batch)) for r in chosen if r.batch is not None}
        for batch in batches:
            group = []
            for (name, precision, its_count), contender in contenders.items():
                if its_count != count or own.get(name, batch) != batch:
                    continue
                its_batch = next(r.batch for r in chosen if r.name == name) or batch
                labels = {"runtime": name, "precision": precision, "threads": count, "batch": its_batch, "group": batch}
                group.append(Measurement(labels, contender, f"rate {count} {its_batch} {seconds}"))
            groups.append(group)
    return [group for group in groups if group]


def rows(measured: list[Measurement], runtimes: dict[str, Runtime]) -> list[dict]:
    """The rows in the order of precision, threads and batch; skipped runtimes last, once each."""
    processor, found, skipped = cpu.describe(), [], {}
    done = {(m.runtime, m.labels["precision"], m.labels["threads"], m.labels["group"]): m for m in measured}
    order = sorted(measured, key=lambda m: [m.labels[key] for key in ("threads", "group")])
    for m in sorted(order, key=lambda m: m.labels["precision"], reverse=True):
        name, precision, threads, group = (m.labels[key] for key in ("runtime", "precision", "threads", "group"))
        row = {key: m.labels[key] for key in ("runtime", "precision", "threads", "batch")}
        if m.contender.skipped is not None:
            reason = {"patches_per_s": None, "skipped": m.contender.skipped, "cpu": processor}
            skipped.setdefault((name, precision, m.contender.skipped), row | {"threads": None, "batch": None} | reason)
            continue
        bases = [(base, "f32") for base in runtimes[name].bases]
        if precision == "bf16":
            bases = [("openvino", "bf16"), ("onnxruntime", "f32")]
        ratios = {}
        for base, its_precision in bases:
            other = done.get((base, its_precision, threads, group))
            if other is not None and other.contender.skipped is None:
                ratios[f"{base} {its_precision}"] = round(m.ratio_to(other), 3)
        first = f"{bases[0][0]} {bases[0][1]}"
        row |= {
            "patches_per_s": round(m.rate, 1),
            "ratio": ratios.get(first),
            "ratio_to": first,
            "ratios": ratios,
            "lowest": round(min(m.rates), 1),
            "highest": round(max(m.rates), 1),
            "rounds": len(m.rates),
            "version": m.contender.ready.get("version"),
            "isa": m.contender.ready.get("isa"),
            "cpu": processor,
        }
        found.append(row)
    return found + list(skipped.values())


def show(found: list[dict]) -> None:
    """The table for people."""
    header = ["runtime", "version", "precision", "threads", "batch", "patches/s", "lowest", "highest"]
    header += ["× onnxruntime f32", "× openvino same precision", "× openvino-avx2", "kernels"]
    lines = []
    for row in (row for row in found if "skipped" not in row):
        ratios = row["ratios"]
        keys = ("onnxruntime f32", f"openvino {row['precision']}", "openvino-avx2 f32")
        lines.append(
            [row["runtime"], row["version"], row["precision"], str(row["threads"]), str(row["batch"])]
            + [table.number(row[key]) for key in ("patches_per_s", "lowest", "highest")]
            + [table.number(ratios.get(key), 2) for key in keys]
            + [row["isa"] or ""]
        )
    table.show(header, lines)
    for row in (row for row in found if "skipped" in row):
        print(f"skipped: {row['runtime']} {row['precision']}: {row['skipped']}")
