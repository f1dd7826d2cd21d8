"""Trains scikit-learn's LogisticRegression on the rows of `make_rows.py`; prints what came of it as JSON.

`head_sklearn.py FOLDER L2`; with `auto`, cross-validation over recordings, on the penalties that ours tries.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

folder, l2 = Path(sys.argv[1]), sys.argv[2]
y = np.fromfile(folder / "y.u32", "<u4")
g = np.fromfile(folder / "g.u32", "<u4")
x = np.fromfile(folder / "x.f32", "<f4").reshape(len(y), -1)
start = time.perf_counter()
x = StandardScaler().fit_transform(x)
if l2 == "auto":
    grid = [10.0 ** (-half / 2) for half in range(-6, 11)]
    model = LogisticRegressionCV(
        Cs=grid, cv=list(GroupKFold(5).split(x, y, g)), scoring="neg_log_loss", max_iter=1000, use_legacy_attributes=False
    )
else:
    model = LogisticRegression(C=1 / float(l2), max_iter=1000)
model.fit(x, y)
seconds = time.perf_counter() - start
chosen = 1 / float(np.mean(model.C_)) if l2 == "auto" else float(l2)
fits = 5 * len(grid) + 1 if l2 == "auto" else 1
print(json.dumps({"seconds": round(seconds, 3), "fits": fits, "l2": chosen, "accuracy": round(model.score(x, y), 4)}))
