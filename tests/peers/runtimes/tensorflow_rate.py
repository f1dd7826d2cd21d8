"""TensorFlow, one `tf.function` over the Keras model. `--mode clips`: as the replaced system calls it, one graph call
per clip from the raw waveform, front end included; the batch is then the patches of a clip.
"""

import protocol  # isort: skip

from itertools import count

import numpy as np

import sounds
import tensorflow_network as network
import weights
import yamnet_peer
from tensorflow_network import tf
from yamnet_layout import MEL_BANDS, PATCH_FRAMES


def main() -> None:
    a = yamnet_peer.arguments(__doc__)
    if a.precision != "f32":
        protocol.refuse("the replaced system computes in f32 only")
    network.use_threads(a.threads)
    model = network.network(weights.read(a.weights))
    ready = {"version": tf.__version__, "isa": "onednn"}
    if a.mode == "clips":
        serve_clips(a, model, ready)
        return
    signature = [tf.TensorSpec([None, PATCH_FRAMES, MEL_BANDS], tf.float32)]
    graph = tf.function(lambda patches: model(patches, training=False), input_signature=signature)
    patches = yamnet_peer.read_patches(a.work)
    yamnet_peer.serve(patches, ready, lambda _: lambda batch: network.as_f32(graph(tf.constant(batch))))


def serve_clips(a, model, ready: protocol.Answer) -> None:
    clips = np.fromfile(a.work / "clips.f32", "<f4").reshape(-1, sounds.CLIP_SAMPLES)
    mel = network.mel_matrix()
    graph = tf.function(
        lambda wave: model(network.front_end(mel, wave), training=False),
        input_signature=[tf.TensorSpec([None], tf.float32)],
    )
    turn = count()

    def rate(_threads: str, _batch: str, seconds: str) -> protocol.Answer:
        step = lambda: len(network.as_f32(graph(clips[next(turn) % len(clips)])))  # noqa: E731
        return protocol.rate(step, float(seconds), "patches")

    def write(path: str) -> protocol.Answer:
        rows = np.concatenate([network.as_f32(graph(clip)) for clip in clips])
        rows.astype("<f4").tofile(path)
        return {"patches": len(rows)}

    protocol.serve(ready, rate=rate, write=write)


if __name__ == "__main__":
    main()
