"""Intervals and tests that know that questions about one video are not independent: whole sources are drawn.

A score is a sum over a sum (points over possible points; the model's marks over the reference's), so one function serves
accuracies and Quilt's ratio of means.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_BATCH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One question's contribution."""

    source_id: str
    score: float
    score_of: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its interval; the bounds are None where nothing can be said: one source, or all sources alike."""

    value: float
    low: float | None
    high: float | None
    method: str
    """`bootstrap`, or `exact` (Clopper-Pearson over the sources) where every source did the same."""


def ratio(points: Sequence[Point], *, seed: int, resamples: int, confidence: float) -> Estimate | None:
    """The share of points reached; None without points."""
    if not points:
        return None
    (score,), (of,) = _sums([points])
    value = float(score.sum() / of.sum())
    if len(score) < 2:
        return Estimate(value=value, low=None, high=None, method="none")
    if np.ptp(score / of) == 0:
        return _unanimous(value, len(score), confidence)
    low, high = _bootstrap((score, of), lambda s, o: s / o, seed, resamples, confidence)
    return Estimate(value=value, low=low, high=high, method="bootstrap")


def _unanimous(value: float, sources: int, confidence: float) -> Estimate:
    """All right or all wrong says less than certainty: the exact interval for as many sources."""
    if value not in (0.0, 1.0):
        return Estimate(value=value, low=None, high=None, method="none")
    import scipy.stats

    interval = scipy.stats.binomtest(round(value * sources), sources).proportion_ci(confidence, method="exact")
    return Estimate(value=value, low=float(interval.low), high=float(interval.high), method="exact")


def difference(
    first: Sequence[Point], second: Sequence[Point], *, seed: int, resamples: int, confidence: float
) -> Estimate | None:
    """How much more the second reached than the first, on the same questions in the same order."""
    if not first:
        return None
    (a, b), (of_a, of_b) = _sums([first, second])
    value = float(b.sum() / of_b.sum() - a.sum() / of_a.sum())
    if len(a) < 2 or np.ptp(b / of_b - a / of_a) == 0:  # every source says the same: no draw says how sure that is
        return Estimate(value=value, low=None, high=None, method="none")
    low, high = _bootstrap((a, of_a, b, of_b), lambda s, o, t, p: t / p - s / o, seed, resamples, confidence)
    return Estimate(value=value, low=low, high=high, method="bootstrap")


def quotient(
    first: Sequence[Point], second: Sequence[Point], *, seed: int, resamples: int, confidence: float
) -> Estimate | None:
    """The first's share over the second's, on the same questions; None where the second reached nothing."""
    if not first:
        return None
    (a, b), (of_a, of_b) = _sums([first, second])
    if not b.sum():
        return None
    value = float((a.sum() / of_a.sum()) / (b.sum() / of_b.sum()))
    if len(a) < 2 or np.count_nonzero(b) < 2 or np.ptp(a * b.sum() - b * a.sum()) == 0:
        return Estimate(value=value, low=None, high=None, method="none")
    low, high = _bootstrap((a, of_a, b, of_b), _quotient, seed, resamples, confidence)
    return Estimate(value=value, low=low, high=high, method="bootstrap")


def _quotient(a: np.ndarray, of_a: np.ndarray, b: np.ndarray, of_b: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):  # a draw in which the second reached nothing has no quotient
        return np.asarray((a / of_a) / (b / of_b))


def p_value(first: Sequence[Point], second: Sequence[Point], *, seed: int, resamples: int) -> float | None:
    """Two-sided: how often a `difference` this large comes about if each source's two results are exchanged by chance."""
    import scipy.stats

    if not first:
        return None
    scores, ofs = _sums([first, second])
    count = len(scores[0])
    if count < 2:
        return None
    score, of = np.concatenate(scores), np.concatenate(ofs)

    def share(places: np.ndarray, axis: int) -> np.ndarray:
        places = places.astype(int)
        return np.asarray(score[places].sum(axis=axis) / of[places].sum(axis=axis))

    result = scipy.stats.permutation_test(
        (np.arange(count), np.arange(count, 2 * count)),  # a source's score goes with its possible score
        lambda x, y, axis: share(y, axis) - share(x, axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=_BATCH,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def _sums(runs: Sequence[Sequence[Point]]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """For every run the scores and possible scores of each source, sources in one order."""
    names = sorted({p.source_id for p in runs[0]})
    place = {name: i for i, name in enumerate(names)}
    scores, ofs = [], []
    for run in runs:
        where = [place[p.source_id] for p in run]
        scores.append(np.bincount(where, [p.score for p in run], len(names)))
        ofs.append(np.bincount(where, [p.score_of for p in run], len(names)))
    return scores, ofs


def _bootstrap(
    samples: Sequence[np.ndarray], of_sums: object, seed: int, resamples: int, confidence: float
) -> tuple[float | None, float | None]:
    import scipy.stats

    def statistic(*drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(of_sums(*(d.sum(axis=axis) for d in drawn)))  # type: ignore[operator]

    result = scipy.stats.bootstrap(
        tuple(samples),
        statistic,
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=_BATCH,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    drawn = result.bootstrap_distribution
    finite = drawn[np.isfinite(drawn)]
    if len(finite) < len(drawn) * 0.99:  # too few draws that say anything
        return None, None
    tail = (1 - confidence) / 2
    return float(np.quantile(finite, tail)), float(np.quantile(finite, 1 - tail))
