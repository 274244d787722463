"""What a method found in one film, in one form for ours and for the published rules."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of the upright video."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A stretch that the method calls stable, seconds; `image` is an index into `Found.images`."""

    start_s: float
    end_s: float
    image: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One sample of the cursor's trace: seconds, pixels of the upright video."""

    time_s: float
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointing:
    """One box and the time in which the cursor is held to point into it, seconds."""

    start_s: float
    end_s: float
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A sentence (index into `Truth.spoken`) tied to a picture (index into `Found.images`) and to an episode (index into
    `Found.episodes`). A sentence may have several links, the best one first."""

    sentence: int
    image: int
    episode: int | None = None
    kind: str | None = None
    """`medical` or `roi`, where the method decides that itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All of it, in time order. `digest` is a hash of everything the method gave, pictures included."""

    cuts_s: tuple[float, ...] = ()
    intervals: tuple[Interval, ...] = ()
    images: tuple[np.ndarray, ...] = ()
    """RGB uint8 (H, W, 3)."""
    trace: tuple[Point, ...] = ()
    episodes: tuple[Pointing, ...] = ()
    links: tuple[Link, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    """Time taken by part."""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One measured number that can be pooled over films.

    A ratio is `numerator / denominator`, pooled by summing both. A distribution has `values` instead: `p` of 0.5 is its
    median, 0.95 its 95th percentile, pooled over all films' values together.
    """

    metric: str
    numerator: float = 0.0
    denominator: float = 0.0
    values: tuple[float, ...] | None = None
    p: float = 0.5

    @property
    def value(self) -> float | None:
        """The number; None where nothing was there to be measured."""
        if self.values is not None:
            return float(np.percentile(self.values, 100 * self.p)) if self.values else None
        return self.numerator / self.denominator if self.denominator else None


def count(metric: str, number: float) -> Tally:
    """A plain count: pooled it becomes the mean per film."""
    return Tally(metric=metric, numerator=float(number), denominator=1.0)


def pooled(tallies: list[Tally]) -> Tally:
    """Many films' tallies of one metric as one."""
    first = tallies[0]
    if first.values is None:
        return Tally(metric=first.metric, numerator=sum(t.numerator for t in tallies),
                     denominator=sum(t.denominator for t in tallies))  # fmt: skip
    values: tuple[Any, ...] = tuple(v for t in tallies for v in t.values or ())
    return Tally(metric=first.metric, values=values, p=first.p)
