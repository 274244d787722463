"""The linear head on frozen features: its fit, its calibration, and what it is worth on pictures it never saw."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from actors.frame_classifier import softmax
from pipelines.schema import Domain

FOLDS = 12
STRENGTHS = (0.1, 0.3, 1.0, 3.0)
"""Inverse regularisation, to choose from."""
THRESHOLD = 0.64
"""config.ClassifierSettings.min_probability (published: OpenBiomedVid)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Composed frames: `features` (N, D), the index of each one's domain, group and source picture, and its weight."""

    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    pictures: np.ndarray
    weights: np.ndarray
    judged: np.ndarray
    """False for frames of drawings: always trained on, never held out, never counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Logits are `features @ weights + bias`, in the order of the supported domains."""

    weights: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(N, D) to (N, supported domains)."""
        return np.asarray(features @ self.weights + self.bias)


def principal_axes(features: np.ndarray, count: int = 256) -> np.ndarray:
    """The first `count` principal axes of (N, D) features as columns (D, count): the head is fitted in their space."""
    from sklearn.decomposition import PCA

    model = PCA(min(count, *features.shape), svd_solver="randomized", random_state=0)
    return np.asarray(model.fit(features.astype(np.float64)).components_.T)


def fit(frames: Frames, rows: np.ndarray, classes: int, strength: float) -> Head:
    """A weighted logistic regression on the standardised features of `rows`, folded into one matrix.

    A class that `rows` lacks (a fold may hold all of it) gets a logit that never wins.
    """
    from sklearn.linear_model import LogisticRegression

    features = frames.features[rows].astype(np.float64)
    centre, scale = features.mean(0), max(float(features.std()), 1e-9)
    model = LogisticRegression(C=strength, max_iter=500, tol=1e-4)
    model.fit((features - centre) / scale, frames.labels[rows], sample_weight=frames.weights[rows])
    present = [int(c) for c in model.classes_]
    coefficients, intercept = model.coef_, model.intercept_
    if len(present) == 2:
        coefficients = np.vstack([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    weights, bias = np.zeros((features.shape[1], classes)), np.full(classes, -50.0)
    weights[:, present] = coefficients.T / scale
    bias[present] = intercept - coefficients @ centre / scale
    return Head(weights=weights, bias=bias)


def cross_validate(frames: Frames, classes: int) -> tuple[float, np.ndarray]:
    """The strength with the least held-out loss, and every frame's logits from a head that never saw its group."""
    folds = _folds(frames)
    best: tuple[float, float, np.ndarray] | None = None
    for strength in STRENGTHS:
        logits = np.zeros((len(frames.labels), classes))
        for fold in range(FOLDS):
            if not np.any(folds == fold):
                continue
            head = fit(frames, np.flatnonzero(folds != fold), classes, strength)
            logits[folds == fold] = head.logits(frames.features[folds == fold])
        loss = _loss(logits / calibrate(logits, frames), frames)
        if best is None or loss < best[0]:
            best = (loss, strength, logits)
    assert best is not None
    return best[1], best[2]


def _folds(frames: Frames) -> np.ndarray:
    """Groups of each domain in turn over the folds: a domain of at most twelve groups loses one at a time."""
    fold_of: dict[int, int] = {}
    for label in np.unique(frames.labels):
        for turn, group in enumerate(np.unique(frames.groups[(frames.labels == label) & frames.judged])):
            fold_of.setdefault(int(group), turn % FOLDS)
    return np.array([fold_of.get(int(g), -1) for g in frames.groups])


def _loss(logits: np.ndarray, frames: Frames) -> float:
    chosen = softmax(logits)[np.arange(len(frames.labels)), frames.labels]
    return float(np.average(-np.log(np.maximum(chosen, 1e-12)), weights=frames.weights * frames.judged))


def calibrate(logits: np.ndarray, frames: Frames) -> float:
    """The temperature with the least weighted loss on held-out logits."""
    candidates = np.geomspace(0.25, 8, 61)
    return round(float(min(candidates, key=lambda t: _loss(logits / t, frames))), 4)


def evaluate(probabilities: np.ndarray, frames: Frames, domains: Sequence[Domain]) -> dict[str, Any]:
    """Figures of held-out frames: their picture, and all like it, were in no fold that judged them."""
    chosen, sure = probabilities.argmax(1), probabilities.max(1) > THRESHOLD
    nonmedical = list(domains).index(Domain.NONMEDICAL)
    medical = 1 - probabilities[:, nonmedical]
    per_domain = {}
    for index, domain in enumerate(domains):
        own, said = (frames.labels == index) & frames.judged, (chosen == index) & frames.judged
        wrong = Counter(domains[c].value for c in chosen[own & ~said])
        per_domain[domain.value] = {
            "pictures": len({int(p) for p in frames.pictures[own] if p >= 0}),
            "groups": len(np.unique(frames.groups[own & (frames.pictures >= 0)])),
            "frames": int(own.sum()),
            "recall": _share(said[own]),
            "recall_at_0.64": _share((said & sure)[own]),
            "precision": _share(own[said]),
            "precision_at_0.64": _share(own[said & sure]),
            "confused_with": {name: round(n / int(own.sum()), 3) for name, n in wrong.most_common(3)},
        }
    not_medical = frames.labels == nonmedical
    real, drawn = not_medical & (frames.pictures >= 0), not_medical & (frames.pictures < 0)
    return {
        "method": f"leave-group-out in {FOLDS} folds over composed frames; temperature, "
        "strength and (without labels) the principal axes are those of all folds",
        "accuracy": _share((chosen == frames.labels)[frames.judged]),
        "domains": per_domain,
        "medical_at_0.64": {
            "medical frames found": _share(medical[~not_medical & frames.judged] > THRESHOLD),
            "non-medical pictures counted for a domain": _share((sure & (chosen != nonmedical))[real]),
            "non-medical pictures taken for medical": _share(medical[real] > THRESHOLD),
            "screens without a picture taken for medical": _share(medical[drawn] > THRESHOLD),
        },
    }


def _share(flags: np.ndarray) -> float | None:
    return round(float(flags.mean()), 3) if len(flags) else None
