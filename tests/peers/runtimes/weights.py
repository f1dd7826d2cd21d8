"""YAMNet's weights: from a Keras file, made up where there is none, and folded for inference."""

from pathlib import Path

import h5py
import numpy as np

from yamnet_layout import BATCH_NORM_EPSILON, convolutions, tensors

Tensors = dict[str, np.ndarray]


def read(path: Path) -> Tensors:
    """All tensors of the network but the classifier's, which embeddings do not need. A dataset is called
    `<layer>/<layer>/<variable>:0`; a file of the whole model keeps all that under `model_weights/`."""
    with h5py.File(path) as file:
        root = file.get("model_weights", file)
        names = [name for name, _ in tensors() if not name.startswith("logits/")]
        return {name: np.asarray(root[_dataset(name)], np.float32) for name in names}


def write_seeded(path: Path, seed: int = 20) -> None:
    """Writes made-up weights of the right shapes, scaled so that activations keep their size through the network."""
    random = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        for name, shape in tensors():
            file[_dataset(name)] = _made_up(random, name, shape).astype(np.float32)


def fold(weights: Tensors) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernel (TensorFlow's order) and bias of each convolution with its batch normalisation folded in:
    `(conv(x, k) - mean) * s + beta = conv(x, k * s) + (beta - mean * s)` with `s = 1 / sqrt(variance + epsilon)`."""
    folded = []
    for conv in convolutions():
        beta, mean, variance = (
            weights[f"{conv.layer}/bn/{variable}"].astype(np.float64)
            for variable in ("beta", "moving_mean", "moving_variance")
        )
        scale = 1.0 / np.sqrt(variance + BATCH_NORM_EPSILON)
        # A depthwise kernel is [h, w, channels, 1], any other [h, w, in, channels].
        along = scale[:, None] if conv.is_depthwise else scale
        kernel = weights[f"{conv.layer}/{conv.variable}"] * along
        folded.append((kernel.astype(np.float32), (beta - mean * scale).astype(np.float32)))
    return folded


def _dataset(name: str) -> str:
    layer, variable = name.rsplit("/", 1)
    return f"{layer}/{layer}/{variable}:0"


def _made_up(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    variable = name.rsplit("/", 1)[1]
    if variable == "moving_variance":
        return random.uniform(0.5, 1.5, shape)
    if variable in ("beta", "moving_mean", "bias"):
        return random.uniform(-0.1, 0.1, shape)
    fan_in = np.prod(shape[:2]) if variable == "depthwise_kernel" else np.prod(shape[:-1])
    return random.normal(0.0, np.sqrt(2.0 / fan_in), shape)
