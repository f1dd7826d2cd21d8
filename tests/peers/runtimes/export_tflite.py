"""Converts YAMNet to TensorFlow Lite, f32, in a process of its own: TensorFlow is not beside what is measured.

Writes yamnet-B.tflite for each batch B: neither an unknown batch nor a resized one gets through the XNNPACK delegate.
"""

import protocol  # isort: skip

import argparse
from pathlib import Path

import tensorflow_network as network
import weights
from tensorflow_network import tf
from yamnet_layout import MEL_BANDS, PATCH_FRAMES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--batches", type=int, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    model = network.network(weights.read(a.weights))
    for batch in a.batches:
        signature = [tf.TensorSpec([batch, PATCH_FRAMES, MEL_BANDS], tf.float32)]
        function = tf.function(lambda patches: model(patches, training=False), input_signature=signature)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], model)
        (a.out / f"yamnet-{batch}.tflite").write_bytes(converter.convert())
    protocol.say({"batches": a.batches})


if __name__ == "__main__":
    main()
