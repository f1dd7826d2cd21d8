#!/usr/bin/env python3
"""Makes golden/yamnet_seeded.json: published YAMNet in TensorFlow with weights from a portable generator.

The architecture (YAMNet's yamnet.py), the front end (tf.signal, YAMNet's features.py) and the layer names are the published
ones; only the numbers are made up, so nothing has to be downloaded. The Rust test makes the same weights and waveform.

    pip install tensorflow tf-keras h5py
    python yamnet_seeded.py
"""

import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf
import tf_keras as keras

STRIDES = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
CHANNELS = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
SAMPLES = 30_000


def uniform(stream, count):
    """SplitMix64 of stream * 2**32 + index, its upper 24 bits as float32 in [0, 1)."""
    mask = (1 << 64) - 1
    with np.errstate(over="ignore"):
        z = np.arange(count, dtype=np.uint64) + np.uint64(((stream << 32) + 1) & mask)
        z = z * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)


def stream(number, count, low, width):
    return np.float32(low) + np.float32(width) * uniform(number, count)


def seeded(number, name, shape):
    count = int(np.prod(shape))
    if name.endswith("moving_variance"):
        values = stream(number, count, 0.5, 1.0)
    elif name.rsplit("/", 1)[-1] in ("beta", "moving_mean", "bias"):
        values = stream(number, count, -0.1, 0.2)
    else:
        fan_in = np.prod(shape[:2] if name.endswith("depthwise_kernel") else shape[:-1])
        bound = np.float32(np.sqrt(6.0 / fan_in))
        values = stream(number, count, -bound, np.float32(2) * bound)
    return values.reshape(shape)


def network():
    layers = keras.layers

    def normalised(x, name):
        return layers.ReLU()(layers.BatchNormalization(name=name, scale=False, center=True, epsilon=1e-4)(x))

    patches = layers.Input((96, 64))
    x = layers.Reshape((96, 64, 1))(patches)
    x = normalised(layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="layer1/conv")(x), "layer1/conv/bn")
    for i, (stride, channels) in enumerate(zip(STRIDES, CHANNELS), start=2):
        name = f"layer{i}/depthwise_conv"
        x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=name)(x)
        x = normalised(x, f"{name}/bn")
        name = f"layer{i}/pointwise_conv"
        x = layers.Conv2D(channels, 1, padding="same", use_bias=False, name=name)(x)
        x = normalised(x, f"{name}/bn")
    embeddings = layers.GlobalAveragePooling2D()(x)
    scores = layers.Activation("sigmoid")(layers.Dense(521, name="logits")(embeddings))
    return keras.Model(patches, [embeddings, scores])


def log_mel(wave):
    magnitude = tf.abs(tf.signal.stft(wave, 400, 160, 512))
    mel = tf.signal.linear_to_mel_weight_matrix(64, 257, 16000, 125.0, 7500.0)
    return tf.math.log(tf.matmul(magnitude, mel) + 0.001)


def main():
    model = network()
    number = 0
    for layer in model.layers:
        values = []
        for weight in layer.weights:
            values.append(seeded(number, weight.name.split(":")[0], tuple(weight.shape)))
            number += 1
        layer.set_weights(values)
    i = np.arange(SAMPLES)
    wave = stream(1000, SAMPLES, -0.5, 1.0) * ((i % 8000).astype(np.float32) / np.float32(8000))
    hops = -(-(SAMPLES - 15600) // 7680)
    frames = log_mel(np.pad(wave, (0, 15600 + hops * 7680 - SAMPLES)))
    patches = tf.signal.frame(frames, 96, 48, axis=0)
    embeddings, scores = (x.numpy() for x in model(patches))
    rounded = lambda values: [float(f"{v:.7g}") for v in np.ravel(values)]
    golden = {
        "samples": SAMPLES,
        "tensors": number,
        "patches": int(patches.shape[0]),
        "wave_every_1000th": rounded(wave[::1000]),
        "logmel_every_61st": rounded(patches.numpy().ravel()[::61]),
        "embeddings_every_3rd": rounded(embeddings[:, ::3]),
        "scores_every_5th": rounded(scores[:, ::5]),
    }
    path = Path(__file__).parent / "golden" / "yamnet_seeded.json"
    path.write_text(json.dumps(golden) + "\n")
    print(f"{path.name}: {path.stat().st_size} bytes, embeddings {embeddings.min():.3f} to {embeddings.max():.3f}, "
          f"non-zero {np.mean(embeddings > 0):.2f}, scores {scores.min():.3f} to {scores.max():.3f}")


if __name__ == "__main__":
    main()
