"""Writes golden/calibration.json: temperature and Platt scaling of small sets of logits.

    python tests/oracles/calibration_scipy.py       (scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6)

The temperature minimises the loss by Brent's method; Platt's sigmoid is an unpenalised logistic regression with each row
twice, once as positive and once as negative, weighted with its smoothed target.
"""

import json
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression


def temperature(logits: np.ndarray, y: np.ndarray) -> dict:
    logits = logits.astype(np.float32)

    def loss(log_t: float) -> float:
        return -log_softmax(logits.astype(np.float64) / np.exp(log_t), axis=1)[np.arange(len(y)), y].mean()

    found = minimize_scalar(loss, bracket=(-1.0, 1.0), method="brent", options={"xtol": 1e-12})
    return {
        "classes": logits.shape[1],
        "logits": [float(v) for v in logits.ravel()],
        "truth": y.tolist(),
        "temperature": float(np.exp(found.x)),
        "loss": float(found.fun),
    }


def platt(scores: np.ndarray, y: np.ndarray) -> dict:
    scores = scores.astype(np.float32)
    positives, negatives = int(y.sum()), int((~y).sum())
    target = np.where(y, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x = np.concatenate([scores, scores]).astype(np.float64)[:, None]
    labels = np.repeat([1, 0], len(y))
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12, max_iter=1000)
    model.fit(x, labels, sample_weight=np.concatenate([target, 1 - target]))
    return {
        "scores": [float(v) for v in scores],
        "truth": y.tolist(),
        "a": -float(model.coef_[0, 0]),
        "b": -float(model.intercept_[0]),
    }


def main() -> None:
    rng = np.random.default_rng(5)
    y = rng.integers(0, 4, 120)
    logits = rng.normal(0.0, 1.0, (120, 4)) + 1.2 * np.eye(4)[y]
    kinds = rng.random(60) < 0.3
    scores = rng.normal(np.where(kinds, 1.0, -1.0), 1.5)
    golden = {
        "temperature": [temperature(logits * scale, y) for scale in (0.4, 1.0, 5.0)],
        "platt": [platt(scores, kinds), platt(np.where(kinds, 1.0, -1.0) * (1 + np.abs(scores)), kinds)],
    }
    path = Path(__file__).parent / "golden" / "calibration.json"
    path.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
