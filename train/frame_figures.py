"""What a classifier is worth on pictures it never saw: precision and recall of each class, confusions, calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np

BINS = 10


def figures(probabilities: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """`probabilities` (N, classes) against class numbers `truth` (N,), N at least 1.

    A figure that nothing can be said of (precision of a class that was never answered) is None, not 0.
    """
    chosen, count = probabilities.argmax(1), len(labels)
    confusion = np.bincount(truth * count + chosen, minlength=count * count).reshape(count, count)
    right, own, said = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    return {
        "pictures": len(truth),
        "accuracy": _share(right.sum(), len(truth)),
        "accuracy of always the commonest class": _share(own.max(), len(truth)),
        "classes": {
            label: {
                "pictures": int(own[i]),
                "precision": _share(right[i], said[i]),
                "recall": _share(right[i], own[i]),
            }
            for i, label in enumerate(labels)
        },
        "confusion": {"rows": "label", "columns": "model", "order": list(labels), "counts": confusion.tolist()},
        "calibration": calibration(probabilities, truth),
    }


def calibration(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """How often an answer is right against how sure it is, in ten bins of equal width.

    Expected calibration error as Guo et al. (2017): the mean distance of the two, weighed by the bins' pictures. The best
    temperature is the one that would make the log loss least on these very pictures; the model does not have it applied.
    """
    from scipy.optimize import minimize_scalar

    sure, right = probabilities.max(1), probabilities.argmax(1) == truth
    places = np.minimum((sure * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for place in range(BINS):
        here = places == place
        if here.any():
            confidence, accuracy = float(sure[here].mean()), float(right[here].mean())
            error += abs(confidence - accuracy) * here.mean()
            bins.append({"from": place / BINS, "to": (place + 1) / BINS, "pictures": int(here.sum()),
                         "mean probability": round(confidence, 3), "accuracy": round(accuracy, 3)})  # fmt: skip
    logs = np.log(np.maximum(probabilities, 1e-12))
    best = minimize_scalar(lambda t: _log_loss(logs / np.exp(t), truth), bounds=(np.log(0.1), np.log(10)), method="bounded")
    return {
        "expected calibration error": round(float(error), 4),
        "log loss": round(_log_loss(logs, truth), 4),
        "best temperature": round(float(np.exp(best.x)), 3),
        "bins": bins,
    }


def _log_loss(logits: np.ndarray, truth: np.ndarray) -> float:
    from scipy.special import logsumexp

    return float(np.mean(logsumexp(logits, axis=1) - logits[np.arange(len(truth)), truth]))


def _share(part: int, whole: int) -> float | None:
    return round(float(part) / float(whole), 4) if whole else None
