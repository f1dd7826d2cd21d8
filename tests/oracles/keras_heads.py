"""Writes fixtures/keras: small classifiers as Keras 3 and tf_keras save them, and what Keras makes of an embedding.

    python tests/oracles/keras_heads.py        (keras 3.15.1, tf_keras 2.21.0, tensorflow-cpu, numpy 2.4.6)

The networks are as random initialisation leaves them, with made-up statistics of the batch normalisation.
"""

import io
import json
import os
from pathlib import Path
from zipfile import ZipFile

os.environ["KERAS_BACKEND"] = "tensorflow"

import h5py
import keras
import numpy as np
import tf_keras

FOLDER = Path(__file__).parent.parent / "fixtures" / "keras"
DIM, CLASSES = 16, 3


def plain(k) -> list:
    """The replaced system's layers, narrower."""
    widths = (12, 8, 6, 4)
    return [k.layers.Dense(n, activation="relu") for n in widths] + [k.layers.Dense(CLASSES, activation="softmax")]


def normalised(k) -> list:
    """A batch normalisation wherever one can stand; names that are not those of the groups in the file."""
    layers = k.layers
    return [
        layers.BatchNormalization(center=False),
        layers.Dense(8, activation="relu", name="first"),
        layers.BatchNormalization(),
        layers.BatchNormalization(scale=False, epsilon=0.01),
        layers.Dropout(0.3),
        layers.Dense(6, use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.Dense(CLASSES, name="last"),
        layers.Activation("softmax"),
    ]


def endless() -> bytes:
    """Two kilobytes that declare a kernel of 48 TiB."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("layers/dense/vars/0", shape=(2**40, 12), dtype="f4", chunks=(1024, 12))
    return content.getvalue()


def main() -> None:
    rng = np.random.default_rng(6)
    embedding = np.maximum(rng.normal(size=DIM), 0).astype(np.float32)
    served = (embedding - embedding.mean()) / embedding.std()
    expected = {}
    for k, library in ((keras, "keras"), (tf_keras, "tf_keras")):
        for make in (plain, normalised):
            name = f"{library}_{make.__name__}"
            k.utils.set_random_seed(len(expected))
            model = k.Sequential([k.Input((DIM,)), *make(k)])
            for layer in model.layers:
                if type(layer).__name__ != "Dropout":
                    values = [w + rng.uniform(0, 0.5, w.shape).astype(np.float32) for w in layer.get_weights()]
                    layer.set_weights(values)
            model.save(FOLDER / f"{name}.keras")
            expected[name] = model.predict(served[None], verbose=0)[0].tolist()
    with ZipFile(FOLDER / "keras_plain.keras") as sound, ZipFile(FOLDER / "huge.keras", "w") as huge:
        huge.writestr("config.json", sound.read("config.json"))
        huge.writestr("model.weights.h5", endless())
    document = {"mean_embedding": embedding.tolist(), "probabilities": expected}
    (FOLDER / "expected.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
