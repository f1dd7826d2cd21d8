"""Writes golden/metrics.json: metrics of small sets of predictions according to scikit-learn.

    python tests/oracles/metrics_sklearn.py     (scikit-learn 1.9.1, numpy 2.4.6)
"""

import json
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)


def case(name: str, p: np.ndarray, y: np.ndarray) -> dict:
    p = p.astype(np.float32)
    classes = p.shape[1]
    predicted = p.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        y, predicted, labels=range(classes), zero_division=0
    )
    return {
        "name": name,
        "classes": classes,
        "probabilities": [float(v) for v in p.ravel()],
        "truth": y.tolist(),
        "accuracy": accuracy_score(y, predicted),
        "balanced_accuracy": balanced_accuracy_score(y, predicted),
        "macro_f1": f1_score(y, predicted, average="macro", zero_division=0),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "average_precision": [
            average_precision_score(y == c, p[:, c]) if (y == c).any() else None for c in range(classes)
        ],
        "confusion_matrix": confusion_matrix(y, predicted, labels=range(classes)).tolist(),
    }


def main() -> None:
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(7)
    noisy = rng.dirichlet([0.6] * 4, 60)
    y = np.where(rng.random(60) < 0.6, noisy.argmax(axis=1), rng.integers(0, 4, 60))
    tied = rng.integers(1, 4, (40, 3)).astype(float)
    tied /= tied.sum(axis=1, keepdims=True)
    absent = rng.dirichlet([1.0] * 5, 30)
    absent[:, 3] *= 0.01  # class 3 is neither true nor predicted, class 4 is predicted only
    cases = [
        case("noisy", noisy, y),
        case("tied scores", tied, rng.integers(0, 3, 40)),
        case("absent classes", absent, rng.integers(0, 3, 30)),
        case("perfect", np.eye(3)[[0, 1, 2, 2, 0]], np.array([0, 1, 2, 2, 0])),
        case("one class only", rng.dirichlet([1.0, 1.0], 6), np.ones(6, int)),
    ]
    path = Path(__file__).parent / "golden" / "metrics.json"
    path.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
