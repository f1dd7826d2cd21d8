"""Writes golden/head.json: the optimum of a small logistic regression according to scikit-learn.

    python tests/oracles/head_sklearn.py        (scikit-learn 1.9.1, numpy 2.4.6)

The rows come from integer arithmetic that the Rust test repeats, so the file holds only labels and answers.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

N, DIM, CLASSES = 240, 12, 4


def rows() -> tuple[np.ndarray, np.ndarray]:
    """A linear congruential generator (Numerical Recipes), 24 bits of each state; float32 exactly."""
    state, x, y = 12345, np.empty((N, DIM), np.float32), np.empty(N, int)
    for i in range(N):
        y[i] = i * 7 % 4 if i % 9 else (i * 7 + 1) % 4
        for j in range(DIM):
            state = (1664525 * state + 1013904223) % 2**32
            noise = (state >> 8) / 2**24
            x[i, j] = np.float32(noise * (1 + j) + (0.25 * (1 + j) if j % 4 == y[i] else 0.0))
    return x, y


def main() -> None:
    x, y = rows()
    z = StandardScaler().fit_transform(x.astype(np.float64))
    cases = []
    for l2 in (0.1, 1.0, 30.0):
        model = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=100_000).fit(z, y)
        p = model.predict_proba(z)
        loss = -np.log(p[np.arange(N), y]).mean() + l2 / (2 * N) * (model.coef_**2).sum()
        cases.append(
            {
                "l2": l2,
                "objective": loss,
                "accuracy": model.score(z, y),
                "predictions": model.predict(z).tolist(),
                "first_probabilities": p[:5].tolist(),
            }
        )
    path = Path(__file__).parent / "golden" / "head.json"
    path.write_text(json.dumps({"x_sum": float(x.astype(np.float64).sum()), "y": y.tolist(), "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
