"""YAMNet in TensorFlow and Keras, as the replaced system runs it: batch normalisation as a layer, and `tf.signal`."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf
import tf_keras as keras

import logmel
from weights import Tensors
from yamnet_layout import BATCH_NORM_EPSILON, MEL_BANDS, PATCH_FRAMES, SAMPLE_RATE_HZ, convolutions


def network(weights: Tensors) -> keras.Model:
    """Patches `[n, 96, 64]` to embeddings `[n, 1024]`."""
    layers = keras.layers
    patches = layers.Input((PATCH_FRAMES, MEL_BANDS))
    x = layers.Reshape((PATCH_FRAMES, MEL_BANDS, 1))(patches)
    for conv in convolutions():
        size = conv.kernel_shape[0]
        options = {"strides": conv.stride, "padding": "same", "use_bias": False, "name": conv.layer}
        if conv.is_depthwise:
            x = layers.DepthwiseConv2D(size, **options)(x)
        else:
            x = layers.Conv2D(conv.channels, size, **options)(x)
        x = layers.BatchNormalization(scale=False, epsilon=BATCH_NORM_EPSILON, name=f"{conv.layer}/bn")(x)
        x = layers.ReLU()(x)
    model = keras.Model(patches, layers.GlobalAveragePooling2D()(x))
    for conv in convolutions():
        model.get_layer(conv.layer).set_weights([weights[f"{conv.layer}/{conv.variable}"]])
        normalisation = [weights[f"{conv.layer}/bn/{name}"] for name in ("beta", "moving_mean", "moving_variance")]
        model.get_layer(f"{conv.layer}/bn").set_weights(normalisation)
    return model


def front_end(mel: tf.Tensor, wave: tf.Tensor) -> tf.Tensor:
    """16 kHz samples `[n]` to patches `[k, 96, 64]` (YAMNet's `features.py`)."""
    hop = logmel.PATCH_HOP_FRAMES * logmel.FRAME_HOP
    count = tf.shape(wave)[0]
    beyond = tf.cast(tf.maximum(count - logmel.SHORTEST, 0), tf.float32)
    total = logmel.SHORTEST + tf.cast(tf.math.ceil(beyond / hop), tf.int32) * hop
    wave = tf.pad(wave, [[0, total - count]])
    magnitude = tf.abs(tf.signal.stft(wave, logmel.FRAME, logmel.FRAME_HOP, logmel.FFT))
    frames = tf.math.log(tf.matmul(magnitude, mel) + logmel.LOG_OFFSET)
    return tf.signal.frame(frames, PATCH_FRAMES, logmel.PATCH_HOP_FRAMES, axis=0)


def mel_matrix() -> tf.Tensor:
    """`[257, 64]`."""
    return tf.signal.linear_to_mel_weight_matrix(MEL_BANDS, logmel.FFT // 2 + 1, SAMPLE_RATE_HZ, 125.0, 7_500.0)


def use_threads(threads: int) -> None:
    """Bounds TensorFlow's pools; once per process, before anything runs."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def as_f32(tensor: tf.Tensor) -> np.ndarray:
    """The values, which waits until they are there."""
    return np.asarray(tensor.numpy(), np.float32)
