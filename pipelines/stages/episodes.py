"""A cursor's trace to pointing episodes: one box for each thing pointed at, not one over the whole interval.

MedicalNarratives draws one box around all of an interval's trace; Quilt-LLaVA clusters the trace by KMeans whose features
decay with time and whose k follows the number of words. Here the trace is cut where the cursor goes to another place
(least squares with a penalty a cut, the optimal partitioning of Jackson et al., 2005, exact and deterministic), and where
another sentence begins; a cursor that merely lies about while somebody speaks is no episode.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.config import PointingSettings
from pipelines.schema import Box, CursorState, Episode, TracePoint
from pipelines.stages.sentences import Sentence

_MAX_DWELL_POINTS = 1200
"""Two minutes at 10 samples a second: longer dwells are cut there, which bounds the time that cutting takes."""

_LEAST_ROUND, _ROUND, _ROUND_STEP = 6, (0.7, 1.4), 2.0
"""A border is drawn with so many samples at least, in about one turn, and without leaps across (radians)."""


@dataclass(frozen=True, slots=True)
class Dwell:
    """A run of trace samples around one place."""

    points: tuple[TracePoint, ...]

    @property
    def start_s(self) -> float:
        """Time of its first sample."""
        return self.points[0].time_s

    @property
    def end_s(self) -> float:
        """Time of its last sample."""
        return self.points[-1].time_s


def dwells(trace: Sequence[TracePoint], height: int, settings: PointingSettings) -> tuple[Dwell, ...]:
    """The places where the cursor stayed, in time order, without the ways between them.

    Args:
        trace: samples in time order, pixels of the picture.
        height: of the picture, pixels; distances are judged by it.
        settings: as configured.
    """
    found: list[Dwell] = []
    for stretch in _stretches(trace, settings.max_gap_s):
        at = np.array([(p.x, p.y) for p in stretch]) / height
        for begin, end in _partition(at, settings.dwell_spread_share, settings.dwell_penalty):
            kept = _without_ways(stretch[begin:end], at[begin:end], settings.dwell_spread_share)
            if kept and kept[-1].time_s - kept[0].time_s >= settings.min_dwell_s:
                found.append(Dwell(kept))
    return tuple(found)


def pointing(
    trace: Sequence[TracePoint],
    sentences: Sequence[Sentence],
    *,
    picture: int,
    size: tuple[int, int],
    settings: PointingSettings,
    start_s: float | None = None,
    is_deictic: Callable[[str], bool] = lambda text: False,
) -> tuple[Episode, ...]:
    """The episodes of one picture's trace.

    Args:
        trace: samples over the picture, in time order.
        sentences: what is said meanwhile (others are ignored).
        picture: the picture's index, stored with each episode.
        size: (width, height) of the picture, pixels.
        settings: as configured.
        start_s: when the picture came; without it the trace's first sample.
        is_deictic: whether a sentence points ("look here"): then a cursor that lies still points too.
    """
    episodes: list[Episode] = []
    came_s = start_s if start_s is not None or not trace else trace[0].time_s
    since_s = (came_s or 0.0) + settings.min_dwell_s
    for dwell in dwells(trace, size[1], settings):
        spoken = [s for s in sentences if _overlap_s(s, dwell, settings) >= settings.min_dwell_s]
        parts = [(_part(dwell, s, settings), is_deictic(s.text)) for s in spoken] or [(dwell.points, False)]
        # a cursor that was there when the picture came did not come for the words
        came = dwell.start_s > since_s and any(abs(dwell.start_s - s.start_s) <= settings.arrival_s for s in spoken)
        for part, pointed in parts:
            if part and (pointed or came or _moving_share(part) >= settings.min_moving_share):
                episodes.append(_episode(part, dwell, picture, size, settings))
    return tuple(episodes)


def _stretches(trace: Sequence[TracePoint], max_gap_s: float) -> list[tuple[TracePoint, ...]]:
    stretches: list[list[TracePoint]] = []
    for point in trace:
        if not stretches or point.time_s - stretches[-1][-1].time_s > max_gap_s:
            stretches.append([])
        stretches[-1].append(point)
    return [tuple(s) for s in stretches]


def _partition(at: np.ndarray, spread: float, penalty: float) -> list[tuple[int, int]]:
    """Begin and end of each run: the least sum of squared deviations (in units of `spread`) plus `penalty` a run."""
    count = len(at)
    sums = np.concatenate([np.zeros((1, 2)), np.cumsum(at, axis=0)])
    squares = np.concatenate([[0.0], np.cumsum((at**2).sum(axis=1))])
    best, before = np.zeros(count + 1), np.zeros(count + 1, int)
    for end in range(1, count + 1):
        first = max(0, end - _MAX_DWELL_POINTS)
        begins = np.arange(first, end)
        lengths = end - begins
        deviation = squares[end] - squares[begins] - ((sums[end] - sums[begins]) ** 2).sum(axis=1) / lengths
        totals = best[begins] + deviation / (2 * spread**2) + penalty
        before[end] = begins[int(totals.argmin())]
        best[end] = totals.min()
    runs, end = [], count
    while end > 0:
        runs.append((int(before[end]), end))
        end = int(before[end])
    return runs[::-1]


def _without_ways(points: tuple[TracePoint, ...], at: np.ndarray, spread: float) -> tuple[TracePoint, ...]:
    """Without the samples at either end that are still on the way: further from the middle than the run itself spreads."""
    far = np.hypot(*(at - np.median(at, axis=0)).T)
    near = np.flatnonzero(far <= max(spread, 2.5 * float(np.median(far))))
    return points[near[0] : near[-1] + 1] if len(near) else ()


def _overlap_s(sentence: Sentence, dwell: Dwell, settings: PointingSettings) -> float:
    return min(sentence.end_s + settings.after_s, dwell.end_s) - max(sentence.start_s - settings.before_s, dwell.start_s)


def _part(dwell: Dwell, sentence: Sentence, settings: PointingSettings) -> tuple[TracePoint, ...]:
    low, high = sentence.start_s - settings.before_s, sentence.end_s + settings.after_s
    return tuple(p for p in dwell.points if low <= p.time_s <= high)


def _moving_share(part: tuple[TracePoint, ...]) -> float:
    """Of its samples; a cursor that lies idle hardly moves."""
    return sum(p.state is CursorState.MOVING for p in part) / len(part)


def _episode(
    part: tuple[TracePoint, ...], dwell: Dwell, picture: int, size: tuple[int, int], settings: PointingSettings
) -> Episode:
    return Episode(
        start_s=part[0].time_s,
        end_s=part[-1].time_s,
        picture=picture,
        box=_box(part if len(part) >= settings.min_box_points else dwell.points, dwell.points, size, settings),
        points=len(part),
        confidence=round(sum(p.confidence for p in part) / len(part), 3),
    )


def _box(
    points: Sequence[TracePoint], arrival: Sequence[TracePoint], size: tuple[int, int], settings: PointingSettings
) -> Box:
    """Around the place where the cursor rests, as far as its gestures tell.

    A hand comes to rest within the thing it shows and moves over a part of it to both sides, so the box is larger than the
    gestures; but a border that is drawn around a thing is the thing's. Who does not move shows nothing of the size.
    """
    width, height = size
    at = np.array([(p.x, p.y) for p in points])
    middle = _came_to_rest(arrival, settings.still_share * height)
    reach = np.percentile(np.abs(at - middle), 100 - settings.box_trim, axis=0)
    if reach.max() < settings.still_share * height:
        half = np.array([settings.still_box_width, settings.still_box_height]) * height / 2
    else:
        half = reach * (settings.border_scale if _goes_round(at - middle) else settings.box_scale)
        if half.min() < settings.box_line * half.max():
            half = np.maximum(half, settings.box_flatness * half.max())
    (x0, y0), (x1, y1) = middle - half, middle + half
    return Box(
        x0=round(max(0.0, float(x0)), 1),
        y0=round(max(0.0, float(y0)), 1),
        x1=round(min(float(width), float(x1)), 1),
        y1=round(min(float(height), float(y1)), 1),
    )


def _came_to_rest(points: Sequence[TracePoint], still_px: float) -> np.ndarray:
    """Where the cursor first stood still: hands come to rest in the middle of a thing before they move about it."""
    at = np.array([(p.x, p.y) for p in points])
    calm = np.hypot(*np.diff(at, axis=0).T) < still_px / 2
    first = np.flatnonzero(calm[:-1] & calm[1:])
    return np.asarray(np.median(at[first[0] : first[0] + 3] if len(first) else at, axis=0))


def _goes_round(offsets: np.ndarray) -> bool:
    """Whether the way goes around the middle once, as a border is drawn; waving about it turns many times or not at all."""
    far = np.hypot(*offsets.T)
    out = offsets[far > 0.5 * float(far.max())]
    if len(out) < _LEAST_ROUND:
        return False
    steps = np.diff(np.unwrap(np.arctan2(out[:, 1], out[:, 0])))
    turns = steps.sum() / (2 * np.pi)
    return bool(np.abs(steps).max() <= _ROUND_STEP and _ROUND[0] <= abs(float(turns)) <= _ROUND[1])
