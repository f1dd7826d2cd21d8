"""OpenVINO's CPU plugin (oneDNN), with the latency hint, in f32 or bf16.

The driver restricts the instructions of a variant through ONEDNN_MAX_CPU_ISA.
"""

import protocol  # isort: skip

from collections import Counter

import openvino as ov
import numpy as np

import yamnet_peer
from yamnet_layout import MEL_BANDS, PATCH_FRAMES


def kernels(compiled: ov.CompiledModel) -> str:
    """The kernels that run most convolutions, such as `brgconv_avx512_1x1_bf16`."""
    kinds = Counter()
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        if "Convolution" in str(info["layerType"].astype(str)):
            kinds[str(info["primitiveType"].astype(str))] += 1
    return ",".join(sorted(kind for kind, _ in kinds.most_common(2))).lower()


def main() -> None:
    a = yamnet_peer.arguments(__doc__)
    core = ov.Core()
    if a.precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        protocol.refuse("this CPU has no bf16 arithmetic")
    properties = {
        "INFERENCE_PRECISION_HINT": a.precision,
        "INFERENCE_NUM_THREADS": a.threads,
        "PERFORMANCE_HINT": "LATENCY",
    }

    def compiled(batch: int) -> ov.CompiledModel:
        model = core.read_model(a.work / "yamnet.onnx")
        model.reshape([batch, 1, PATCH_FRAMES, MEL_BANDS])
        return core.compile_model(model, "CPU", properties)

    def embed(batch: int) -> yamnet_peer.Embed:
        request = compiled(batch).create_infer_request()

        def run(patches: np.ndarray) -> np.ndarray:
            # The patches are shared, not copied; the embeddings are valid until the next call.
            return request.infer({0: patches[:, None]}, share_inputs=True, share_outputs=True)[0]

        return run

    ready = {"version": ov.__version__.split("-")[0], "isa": kernels(compiled(8))}
    yamnet_peer.serve(yamnet_peer.read_patches(a.work), ready, embed)


if __name__ == "__main__":
    main()
