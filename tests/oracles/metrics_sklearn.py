"""Writes golden/metrics.json: metrics, thresholds and curves of small sets of predictions according to scikit-learn and SciPy.

    python tests/oracles/metrics_sklearn.py     (scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1)
"""

import json
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)


def clipped_log_loss(y: np.ndarray, p: np.ndarray) -> float:
    """The bounds that `log_loss` takes for float32, but summed in float64."""
    epsilon = float(np.finfo(np.float32).eps)
    return log_loss(y, np.clip(p.astype(np.float64), epsilon, 1 - epsilon), labels=range(p.shape[1]))


def expected_calibration_error(y: np.ndarray, p: np.ndarray) -> float:
    top = p.max(axis=1).astype(np.float64)
    accuracy, confidence = calibration_curve(p.argmax(axis=1) == y, top, n_bins=15, strategy="uniform")
    count = np.bincount(np.clip(np.ceil(top * 15) - 1, 0, 14).astype(int), minlength=15)
    return float((count[count > 0] / len(y) * np.abs(accuracy - confidence)).sum())


def points(positive: np.ndarray, score: np.ndarray) -> list:
    """Threshold, recall and precision from the highest score down; without the point at recall 0."""
    if not positive.any():
        return []
    precision, recall, threshold = precision_recall_curve(positive, score)
    return np.stack([threshold, recall[:-1], precision[:-1]], axis=1)[::-1].tolist()


def best(curve: list, worth) -> list | None:
    """Threshold, precision and recall of the first point with the highest worth above 0."""
    if not curve:
        return None
    point = max(curve, key=lambda point: round(worth(*point), 12))
    threshold, recall, precision = point
    return [threshold, precision, recall] if worth(*point) > 0 else None


def shown_precision(positive: np.ndarray, score: np.ndarray, threshold: float) -> float:
    """One-sided 95 % lower bound of the precision; each row is a recording of its own."""
    passes = positive[score >= threshold]
    test = binomtest(int(passes.sum()), len(passes), alternative="greater")
    return test.proportion_ci(0.95, method="wilson").low


def corners(positive: np.ndarray, score: np.ndarray) -> list:
    """False and true positive rates, without the points on a straight line between others."""
    if positive.all() or not positive.any():
        return []
    x, y, _ = roc_curve(positive, score, drop_intermediate=False)
    dx, dy = np.diff(x), np.diff(y)
    turn = 1 + np.flatnonzero(np.abs(dx[:-1] * dy[1:] - dy[:-1] * dx[1:]) > 1e-12)
    return [[x[i], y[i]] for i in [0, *turn, len(x) - 1]]


def bootstrap(groups: np.ndarray, p: np.ndarray, y: np.ndarray) -> list:
    """95 % percentile intervals of accuracy, balanced accuracy and macro F1; whole groups are drawn."""
    rng, predicted, classes = np.random.default_rng(1), p.argmax(axis=1), p.shape[1]
    of = [groups == g for g in np.unique(groups)]
    counts = np.array([confusion_matrix(y[g], predicted[g], labels=range(classes)) for g in of])
    figures = []
    for _ in range(20_000):
        m = counts[rng.integers(0, len(counts), len(counts))].sum(axis=0)
        hits, true, guessed = np.diag(m), m.sum(axis=1), m.sum(axis=0)
        occurring = true + guessed > 0
        figures.append(
            [
                hits.sum() / m.sum(),
                (hits[true > 0] / true[true > 0]).mean(),
                (2 * hits[occurring] / (true + guessed)[occurring]).mean(),
            ]
        )
    return np.percentile(figures, [2.5, 97.5], axis=0).T.tolist()


def case(name: str, p: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> dict:
    p = p.astype(np.float32)
    classes = p.shape[1]
    predicted = p.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        y, predicted, labels=range(classes), zero_division=0
    )
    curves = [points(y == c, p[:, c]) for c in range(classes)]
    return {
        "name": name,
        "classes": classes,
        "probabilities": [float(v) for v in p.ravel()],
        "truth": y.tolist(),
        "accuracy": accuracy_score(y, predicted),
        "balanced_accuracy": balanced_accuracy_score(y, predicted),
        "macro_f1": f1_score(y, predicted, average="macro", zero_division=0),
        "weighted_f1": f1_score(y, predicted, average="weighted", zero_division=0),
        "log_loss": clipped_log_loss(y, p),
        "ece": expected_calibration_error(y, p),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "average_precision": [
            average_precision_score(y == c, p[:, c]) if (y == c).any() else None for c in range(classes)
        ],
        "auroc": [
            roc_auc_score(y == c, p[:, c]) if (y == c).any() and (y != c).any() else None for c in range(classes)
        ],
        "best_f1": [best(curve, lambda t, r, p: 2 * p * r / (p + r) if r else 0.0) for curve in curves],
        "precise": [
            best(curve, lambda t, r, _, c=c: r if shown_precision(y == c, p[:, c], t) >= 0.3 else 0.0)
            for c, curve in enumerate(curves)
        ],
        "precision_recall_curve": curves,
        "roc_curve": [corners(y == c, p[:, c]) for c in range(classes)],
        "groups": groups if groups is None else groups.tolist(),
        "ci95": groups if groups is None else bootstrap(groups, p, y),
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
        case("noisy", noisy, y, np.arange(60) * 7 % 20),
        case("tied scores", tied, rng.integers(0, 3, 40)),
        case("absent classes", absent, rng.integers(0, 3, 30)),
        case("perfect", np.eye(3)[[0, 1, 2, 2, 0]], np.array([0, 1, 2, 2, 0])),
        case("one class only", rng.dirichlet([1.0, 1.0], 6), np.ones(6, int)),
    ]
    path = Path(__file__).parent / "golden" / "metrics.json"
    path.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
