"""The log-mel front end with TensorFlow's signal operations in one graph, as YAMNet's `features.py` has it."""

import protocol  # isort: skip

import numpy as np

import frontend_peer
import tensorflow_network as network
from tensorflow_network import tf


def main() -> None:
    a = frontend_peer.arguments(__doc__)
    network.use_threads(a.threads)
    mel = network.mel_matrix()
    graph = tf.function(lambda wave: network.front_end(mel, wave), input_signature=[tf.TensorSpec([None], tf.float32)])

    def patches(wave: np.ndarray) -> np.ndarray:
        return network.as_f32(graph(wave))

    frontend_peer.serve(tf.__version__, frontend_peer.read_clips(a.work), patches, len, write_all=True)


if __name__ == "__main__":
    main()
