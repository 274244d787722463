"""The cursor's path over a rest, by what differs from the temporal median.

MedicalNarratives (3.2.5): B = median of the stable chunk's frames, R_t = |F_t - B|, values under a noise threshold and
in face boxes zeroed, cursor = arg-max of R_t. That gives a point whatever happens; here a point needs a small component
that moves as a cursor does. Its weaknesses are met so: a cursor that rests becomes part of the median (then its *absence*
differs: such places are recognised and the background is repaired there); a talking head always changes (many
neighbouring blocks at once: masked); what merely appeared does not move.

A point is the hot spot: the tip, at the top of the component, of an arrow or hand; the centre of a cross or disc. Which
of the two is voted over the whole rest by the shape, because a component alone is a few reduced pixels wide.
"""

import itertools
from collections import deque
from dataclasses import dataclass

import numpy as np

from pipelines.schema import TracePoint
from pipelines.stages.scenes import inset_mask
from pipelines.stages.stable import temporal_median

_BACKGROUND_SAMPLES = 31
_NOISE_FLOOR, _NOISE_FACTOR = 10.0, 4.0
"""A pixel belongs to the cursor if it differs from the background by floor + factor * its own median difference."""
_STRONG = 40.0
"""Mean difference, grey levels, that gives full confidence."""
_MIN_AREA_PX, _MAX_EDGE_SHARE = 4, 0.085
_MAX_CANDIDATES = 6
_WHOLE_CHANGE_SHARE = 0.03
_TIP_ABOVE = 0.4
"""A tip is thinner than a reduced pixel, so the component begins below it: measured with the standard arrow."""
_SPEED_SHARE = 1.25
"""Of the picture's width per second: a fast hand."""
_GAP_S = 1.0
_MIN_POINTS = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cursor-like component, in reduced pixels (edges, not centres); `lean`: 0 tip at the left, 0.5 symmetrical."""

    left: float
    top: float
    right: float
    bottom: float
    tip_x: float
    lean: float
    contrast: float


@dataclass(frozen=True, slots=True)
class _Seen:
    time_s: float
    candidate: Candidate


class CursorTracer:
    """Feed the samples of one rest in order; the trace follows half a window behind, so memory is bounded."""

    def __init__(self, *, window_s: float) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, np.ndarray]] = deque()
        self._background: np.ndarray | None = None
        self._seen: list[_Seen] = []

    def add(self, time_s: float, luma: np.ndarray) -> None:
        """Takes one sample, luma (h, w) uint8."""
        self._samples.append((time_s, luma))
        if time_s - self._samples[0][0] >= self._window_s:
            half_s = self._samples[0][0] + self._window_s / 2
            self._trace(sum(t < half_s for t, _ in self._samples))

    def finish(self, *, scale_x: float, scale_y: float) -> tuple[TracePoint, ...]:
        """The cursor's path in pixels of the full picture, which is `scale_x`, `scale_y` times the reduced one."""
        if len(self._samples) >= _MIN_POINTS:
            self._trace(len(self._samples))
        self._samples.clear()
        seen = _cursor_like(self._seen)
        if not seen:
            return ()
        tip = _has_tip([s.candidate for s in seen])
        points = []
        for s in seen:
            c = s.candidate
            x, y = (c.tip_x, c.top - _TIP_ABOVE) if tip else ((c.left + c.right) / 2, (c.top + c.bottom) / 2)
            points.append(
                TracePoint(
                    time_s=s.time_s,
                    x=round(max(0.0, x) * scale_x, 2),
                    y=round(max(0.0, y) * scale_y, 2),
                    confidence=round(min(1.0, c.contrast / _STRONG), 3),
                )
            )
        return tuple(points)

    @property
    def cursor_size(self) -> float:
        """The longer edge of the typical candidate, reduced pixels; 0 if none was seen."""
        edges = [max(s.candidate.right - s.candidate.left, s.candidate.bottom - s.candidate.top) for s in self._seen]
        return float(np.median(edges)) if edges else 0.0

    def _trace(self, count: int) -> None:
        """Traces the first `count` samples, with the background of all that are held, and drops them."""
        samples = list(self._samples)
        lumas = [luma for _, luma in samples]
        quiet = np.where(inset_mask(lumas), 0, 255).astype(np.uint8)
        chosen = lumas[:: max(1, len(lumas) // _BACKGROUND_SAMPLES)]
        background = temporal_median(chosen)
        limit = _limits(chosen, background)
        if self._background is not None:
            background = _carry_on(background, self._background, limit)
        found = [candidates(luma, background, limit, quiet) for luma in lumas]
        for _ in range(2):
            places = ghosts(lumas, background, found)
            if not places:
                break
            for seen in places:
                largest = max((c for _, c in seen), key=lambda c: (c.right - c.left) * (c.bottom - c.top))
                rows, columns = _box(largest, 2)
                clear = [lumas[i][rows, columns] for i, _ in seen[:: max(1, len(seen) // 15)]]
                background[rows, columns] = temporal_median(clear)
            found = [candidates(luma, background, limit, quiet) for luma in lumas]
        for seen in ghosts(lumas, background, found):
            for i, ghost in seen:
                found[i].remove(ghost)
        self._background = background
        start = self._seen[-1] if self._seen else None
        self._seen += best_path([(t, c) for (t, _), c in zip(samples[:count], found[:count], strict=True)],
                                background.shape[1], start)  # fmt: skip
        for _ in range(count):
            self._samples.popleft()


def candidates(luma: np.ndarray, background: np.ndarray, limit: np.ndarray, quiet: np.ndarray) -> list[Candidate]:
    """The cursor-sized components of |luma - background| above `limit` where `quiet` is 255, strongest first."""
    import cv2

    residual = cv2.absdiff(luma, background)
    over = cv2.bitwise_and(cv2.compare(residual, limit, cv2.CMP_GT), quiet)
    changed = cv2.countNonZero(over)
    if changed < _MIN_AREA_PX or changed > _WHOLE_CHANGE_SHARE * over.size:
        return []
    x0, y0, wide, high = cv2.boundingRect(over)
    x0, y0 = max(0, x0 - 2), max(0, y0 - 2)
    part = over[y0 : y0 + high + 4, x0 : x0 + wide + 4]
    closed = cv2.morphologyEx(part, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    largest = _MAX_EDGE_SHARE * luma.shape[1]
    found = [
        _candidate(residual, over, x0 + int(x), y0 + int(y), int(w), int(h))
        for x, y, w, h, area in stats[1:200]
        if area >= _MIN_AREA_PX and max(w, h) <= largest and min(w, h) >= 2
    ]
    return sorted(found, key=lambda c: -c.contrast * (c.bottom - c.top))[:_MAX_CANDIDATES]


def _candidate(residual: np.ndarray, over: np.ndarray, x: int, y: int, width: int, height: int) -> Candidate:
    rows, columns = slice(y, y + height), slice(x, x + width)
    values = np.where(over[rows, columns] > 0, residual[rows, columns], 0).astype(np.float64)
    inside = np.sort(values[values > 0])
    strong = inside[3 * len(inside) // 4]
    # an edge pixel that the cursor covers by half differs by half as much
    covered = np.minimum(1.0, values / strong)
    left, top = x + 1 - covered[:, 0].max(), y + 1 - covered[0].max()
    right, bottom = x + width - 1 + covered[:, -1].max(), y + height - 1 + covered[-1].max()
    first, upper = values[: max(1, round(height / 10))].sum(axis=0), values[: max(1, round(height / 4))].sum(axis=0)
    middles = np.arange(width) + 0.5
    return Candidate(
        left, top, right, bottom, tip_x=x + float(first @ middles / first.sum()) - 0.5,
        lean=float(upper @ middles / upper.sum()) / width, contrast=float(inside.mean()),
    )  # fmt: skip


def _limits(chosen: list[np.ndarray], background: np.ndarray) -> np.ndarray:
    import cv2

    noise = temporal_median([cv2.absdiff(luma, background) for luma in chosen])
    wide = np.asarray(cv2.blur(noise.astype(np.float32), (5, 5)))
    return np.clip(_NOISE_FLOOR + _NOISE_FACTOR * wide, 0, 255).astype(np.uint8)


def _carry_on(background: np.ndarray, before: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """The new background, but the former one where a small thing appeared in it: a cursor that came to rest."""
    for part in candidates(background, before, limit, np.full(limit.shape, 255, np.uint8)):
        if _detail(background, part) > _detail(before, part):
            rows, columns = _box(part, 2)
            background[rows, columns] = before[rows, columns]
    return background


def _box(part: Candidate, margin: int) -> tuple[slice, slice]:
    return (
        slice(max(0, int(part.top) - margin), int(np.ceil(part.bottom)) + margin),
        slice(max(0, int(part.left) - margin), int(np.ceil(part.right)) + margin),
    )


def _detail(luma: np.ndarray, part: Candidate) -> float:
    """Sum of absolute gradients around a component: a cursor on a picture has more than the picture alone."""
    rows, columns = _box(part, 2)
    patch = luma[rows, columns].astype(np.int16)
    return float(np.abs(np.diff(patch, axis=0)).sum() + np.abs(np.diff(patch, axis=1)).sum())


def ghosts(
    lumas: list[np.ndarray], background: np.ndarray, found: list[list[Candidate]]
) -> list[list[tuple[int, Candidate]]]:
    """Where a cursor that rested long has become background: sample numbers and components, per place.

    There the samples *without* cursor differ. Such a place is found together with the true cursor elsewhere, and when
    it is not found nothing else is, for then the cursor is there; or it is told by detail, which a cursor adds.
    """
    places: dict[tuple[float, float], list[tuple[int, Candidate]]] = {}
    for i, components in enumerate(found):
        for c in components:
            centre = ((c.left + c.right) / 2, (c.top + c.bottom) / 2)
            key = next((k for k in places if abs(k[0] - centre[0]) <= 2 and abs(k[1] - centre[1]) <= 2), centre)
            places.setdefault(key, []).append((i, c))
    busy = sum(bool(c) for c in found)
    by_company, by_detail = [], []
    for seen in places.values():
        together = sum(len(found[i]) > 1 for i, _ in seen)
        if len(seen) < 3 or 2 * together < len(seen):
            continue
        companions = {(int(o.left) // 8, int(o.top) // 8) for i, c in seen for o in found[i] if o is not c}
        if busy - len(seen) <= 0.15 * (len(found) - len(seen)) and len(companions) > 3:
            by_company.append(seen)
        smoother = sum(_detail(lumas[i], c) < _detail(background, c) for i, c in seen)
        if 2 * smoother > len(seen):
            by_detail.append(seen)
    return by_company or by_detail


def best_path(samples: list[tuple[float, list[Candidate]]], width: int, start: _Seen | None) -> list[_Seen]:
    """The most cursor-like sequence of at most one candidate a sample (Viterbi): strong, and near the one before.

    Missing samples are allowed: staying out costs nothing, coming back costs the distance that a hand cannot go.
    """
    states: list[tuple[float, _Seen | None, list[_Seen]]] = [(0.0, start, [])]
    for time_s, found in samples:
        following = []
        for candidate in found:
            gain = min(1.0, candidate.contrast / _STRONG) ** 0.5
            value, _, path = max(
                ((v - _leap(last, time_s, candidate, width), last, p) for v, last, p in states), key=lambda s: s[0]
            )
            following.append((value + gain, _Seen(time_s, candidate), path))
        # the paths that have no point here; one is enough, the best
        out = max(states, key=lambda s: s[0])
        states = [out, *((v, seen, [*p, seen]) for v, seen, p in following)]
    return max(states, key=lambda s: s[0])[2]


def _leap(last: _Seen | None, time_s: float, candidate: Candidate, width: int) -> float:
    if last is None or time_s - last.time_s > 2 * _GAP_S:
        return 0.8
    distance = float(np.hypot(candidate.left - last.candidate.left, candidate.top - last.candidate.top))
    reach = _SPEED_SHARE * width * max(0.1, time_s - last.time_s)
    return min(2.0, 0.9 * distance / reach)


def _cursor_like(seen: list[_Seen]) -> list[_Seen]:
    """The stretches that move as a cursor does; a resting one only where a moving one left it or fetched it."""
    stretches: list[list[_Seen]] = []
    for s in seen:
        if not stretches or s.time_s - stretches[-1][-1].time_s > _GAP_S:
            stretches.append([])
        stretches[-1].append(s)
    moving = [len(s) >= _MIN_POINTS and _moves(s) for s in stretches]
    kept: list[_Seen] = []
    for i, stretch in enumerate(stretches):
        neighbours = [stretches[j][e] for j, e in ((i - 1, -1), (i + 1, 0)) if 0 <= j < len(stretches) and moving[j]]
        if moving[i] or any(_distance(n, stretch[0 if n.time_s < stretch[0].time_s else -1]) < 12 for n in neighbours):
            kept += stretch
    return kept


def _moves(stretch: list[_Seen]) -> bool:
    steps = np.array([_distance(a, b) for a, b in itertools.pairwise(stretch)])
    gone = steps > 0.7
    return int(gone.sum()) >= 3 and float(np.median(steps[gone])) < 40 and _extent(stretch) >= 4


def _distance(a: _Seen, b: _Seen) -> float:
    return float(np.hypot(a.candidate.left - b.candidate.left, a.candidate.top - b.candidate.top))


def _extent(stretch: list[_Seen]) -> float:
    return max(
        max(s.candidate.left for s in stretch) - min(s.candidate.left for s in stretch),
        max(s.candidate.top for s in stretch) - min(s.candidate.top for s in stretch),
    )


def _has_tip(found: list[Candidate]) -> bool:
    return float(np.median([c.lean for c in found])) < 0.42
