"""Trains the head of the replaced system (Keras, 512/256/128/64) on the rows of `make_rows.py`; prints what came of it as JSON."""

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np  # noqa: E402
import tf_keras as keras  # noqa: E402

folder = Path(sys.argv[1])
y = np.fromfile(folder / "y.u32", "<u4")
x = np.fromfile(folder / "x.f32", "<f4").reshape(len(y), -1)
start = time.perf_counter()
layers = [keras.layers.Input((x.shape[1],))]
for width, drop in ((512, 0.5), (256, 0.4), (128, 0.3), (64, 0.2)):
    layers += [keras.layers.Dense(width, "relu"), keras.layers.BatchNormalization(), keras.layers.Dropout(drop)]
model = keras.Sequential([*layers, keras.layers.Dense(int(y.max()) + 1, "softmax")])
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", ["accuracy"])
stop = keras.callbacks.EarlyStopping(patience=15, restore_best_weights=True)
history = model.fit(x, y, validation_split=0.15, epochs=100, batch_size=64, callbacks=[stop], verbose=0)
seconds = time.perf_counter() - start
accuracy = round(history.history["accuracy"][-1], 4)
print(json.dumps({"seconds": round(seconds, 3), "fits": 1, "l2": None, "accuracy": accuracy}))
