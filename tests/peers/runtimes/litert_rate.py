"""LiteRT (formerly TensorFlow Lite) with its XNNPACK delegate, the default on CPUs."""

import protocol  # isort: skip

from importlib.metadata import version

import numpy as np
from ai_edge_litert.interpreter import Interpreter

import yamnet_peer


def main() -> None:
    a = yamnet_peer.arguments(__doc__)
    if a.precision != "f32":
        protocol.refuse("XNNPACK has no bf16 convolutions")

    def embed(batch: int) -> yamnet_peer.Embed:
        interpreter = Interpreter(str(a.work / f"yamnet-{batch}.tflite"), num_threads=a.threads)
        interpreter.allocate_tensors()
        source = interpreter.get_input_details()[0]["index"]
        result = interpreter.get_output_details()[0]["index"]

        def run(patches: np.ndarray) -> np.ndarray:
            interpreter.set_tensor(source, patches)
            interpreter.invoke()
            return interpreter.get_tensor(result)

        return run

    ready = {"version": version("ai-edge-litert"), "isa": "xnnpack"}
    yamnet_peer.serve(yamnet_peer.read_patches(a.work), ready, embed, write_batch=1)


if __name__ == "__main__":
    main()
