"""The rows of `compare yamnet`: who takes part, and how each is started."""

from dataclasses import dataclass
from pathlib import Path

from . import places
from .contender import Contender
from .places import Unusable

# Patches of the clips that `sounds.py` makes.
CLIP_PATCHES = 10


@dataclass(frozen=True)
class Runtime:
    """A row of the table: a script of `runtimes/`, or our example where there is none, and how it is started."""

    name: str
    precisions: tuple[str, ...]
    script: str | None = None
    mode: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    isa: str = "auto"
    # The kind of model that it runs, where that has to be made first.
    needs: str = ""
    # Batches that it has of itself, whatever is asked for.
    batch: int | None = None
    # Those whose figures its own are divided by, the first for `ratio`.
    bases: tuple[str, ...] = ("onnxruntime", "openvino")
    by_default: bool = True

    def contender(self, inputs: "Inputs", precision: str, threads: int) -> Contender:
        """Its process, not started yet."""
        reason = inputs.missing.get(self.needs)
        if reason is not None:
            return Contender.absent(reason)
        if self.script is None:
            command = [inputs.example, "--weights", inputs.weights, "--patches", inputs.work / "patches.f32"]
            return Contender([*command, "--precision", precision, "--isa", self.isa])
        command = [places.python(), places.RUNTIMES / self.script, "--work", inputs.work, "--weights", inputs.weights]
        command += ["--precision", precision, "--threads", str(threads), "--mode", self.mode]
        return Contender(command, dict(self.environment))


@dataclass(frozen=True)
class Inputs:
    """What all processes are started with."""

    # The folder that `prepare.py` filled.
    work: Path
    weights: Path
    # Our own binary.
    example: Path
    # Why there is no model, for each kind of model.
    missing: dict[str, str | None]


AVX2 = ("openvino-avx2", "onnxruntime", "openvino")
RUNTIMES = (
    Runtime("ecosight", ("f32", "bf16")),
    Runtime("ecosight-avx512", ("f32",), isa="avx512", by_default=False),
    Runtime("ecosight-avx2", ("f32",), isa="avx2", bases=AVX2),
    Runtime("ecosight-portable", ("f32",), isa="portable", by_default=False),
    Runtime("onnxruntime", ("f32", "bf16"), "onnxruntime_rate.py", needs="onnx"),
    Runtime("onnxruntime-parallel", ("f32",), "onnxruntime_rate.py", needs="onnx", mode="parallel"),
    Runtime("openvino", ("f32", "bf16"), "openvino_rate.py", needs="onnx"),
    Runtime(
        "openvino-avx2",
        ("f32",),
        "openvino_rate.py",
        needs="onnx",
        environment=(("ONEDNN_MAX_CPU_ISA", "AVX2"),),
        bases=AVX2,
    ),
    Runtime("litert", ("f32", "bf16"), "litert_rate.py", needs="tflite"),
    Runtime("tensorflow", ("f32",), "tensorflow_rate.py"),
    Runtime("tensorflow-clips", ("f32",), "tensorflow_rate.py", mode="clips", batch=CLIP_PATCHES),
)


def choose(names: str | None) -> list[Runtime]:
    """The runtimes of `--peers`, or those of the default."""
    if names is None:
        return [runtime for runtime in RUNTIMES if runtime.by_default]
    known = {runtime.name: runtime for runtime in RUNTIMES}
    unknown = [name for name in names.split(",") if name not in known]
    if unknown:
        raise Unusable(f"no peer `{unknown[0]}`; there are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names.split(","))]
