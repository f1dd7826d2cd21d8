"""Writes golden/multi_label.json: metrics of rows with several classes according to scikit-learn.

    python tests/oracles/multi_label_sklearn.py     (scikit-learn 1.9.1, numpy 2.4.6)
"""

import json
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score


def mean(values: list) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def case(name: str, p: np.ndarray, y: np.ndarray, thresholds: np.ndarray) -> dict:
    p, thresholds = p.astype(np.float32), thresholds.astype(np.float32)
    predicted, classes = p >= thresholds, p.shape[1]
    average_precision = [average_precision_score(y[:, c], p[:, c]) if y[:, c].any() else None for c in range(classes)]
    auroc = [roc_auc_score(y[:, c], p[:, c]) if 0 < y[:, c].sum() < len(y) else None for c in range(classes)]
    return {
        "name": name,
        "classes": classes,
        "probabilities": [float(v) for v in p.ravel()],
        "truth": y.ravel().tolist(),
        "thresholds": [float(v) for v in thresholds],
        "subset_accuracy": accuracy_score(y, predicted),
        "macro_f1": f1_score(y, predicted, average="macro", zero_division=np.nan),
        "micro_f1": f1_score(y, predicted, average="micro"),
        "macro_average_precision": mean(average_precision),
        "micro_average_precision": average_precision_score(y, p, average="micro"),
        "macro_auroc": mean(auroc),
        "micro_auroc": roc_auc_score(y, p, average="micro"),
        "f1": f1_score(y, predicted, average=None, zero_division=0).tolist(),
        "average_precision": average_precision,
        "auroc": auroc,
    }


def main() -> None:
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(11)
    y = rng.random((40, 4)) < [0.5, 0.3, 0.2, 0.1]
    noisy = 1 / (1 + np.exp(-rng.normal(2.0 * y - 1, 1.0)))
    absent = y.copy()
    absent[:, 2] = False  # neither true nor predicted
    absent[:, 3] = True  # nothing to tell it from
    cases = [
        case("noisy", noisy, y, np.array([0.5, 0.4, 0.6, 0.3])),
        case("tied scores", noisy.round(1), y, np.array([0.5, 0.4, 0.6, 0.3])),
        case("absent and present everywhere", noisy, absent, np.array([0.5, 0.5, 1.5, 0.5])),
    ]
    path = Path(__file__).parent / "golden" / "multi_label.json"
    path.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
