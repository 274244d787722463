"""The cursor's path over a rest, by what differs from the temporal median.

MedicalNarratives (3.2.5): B = median of the stable chunk's frames, R_t = |F_t - B|, values under a noise threshold and in
face boxes zeroed, cursor = arg-max of R_t. That gives a point whatever happens; here a point needs a small component that
moves as a cursor does. Its weaknesses are met so: a cursor that rests becomes part of the median (then its *absence*
differs: such places are recognised and the background is repaired there); a talking head always changes
(many neighbouring blocks at once: masked); what merely appeared does not move.

A point is the hot spot: the tip, at the top of the component, of an arrow or hand; the centre of a cross or disc. Which of
the two is voted over the whole rest by the shape, because a component alone is a few reduced pixels wide.
"""

import itertools
from collections import deque
from dataclasses import dataclass

import numpy as np

from pipelines.schema import TracePoint
from pipelines.stages.stable import temporal_median

_BACKGROUND_SAMPLES = 31
_NOISE_FLOOR, _NOISE_FACTOR = 10.0, 4.0
"""A pixel belongs to the cursor if it differs from the background by floor + factor * its own median difference."""
_STRONG = 40.0
"""Mean difference, grey levels, that gives full confidence."""
_MIN_AREA_PX, _MAX_EDGE_SHARE = 4, 0.085
_MAX_CANDIDATES = 6
_WHOLE_CHANGE_SHARE = 0.03
_BLOCK_PX = 8
_INSET_BLOCKS = 10
"""So many neighbouring blocks changing at once are an inset; a cursor, where it was and where it is, touches fewer."""
_SPEED_SHARE = 1.25
"""Of the picture's width per second: a fast hand."""
_GAP_S = 1.0
_MIN_POINTS = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cursor-like component, in reduced pixels (edges, not centres). `lean` is 0 for a tip at the left, 0.5 for none."""

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
            x, y = (c.tip_x, c.top) if tip else ((c.left + c.right) / 2, (c.top + c.bottom) / 2)
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
        quiet = ~inset_mask(lumas)
        chosen = lumas[:: max(1, len(lumas) // _BACKGROUND_SAMPLES)]
        background = temporal_median(chosen)
        limit = _limits(chosen, background)
        if self._background is not None:
            background = _carry_on(background, self._background, limit)
        found = [candidates(luma, background, limit, quiet) for luma in lumas]
        for seen in ghosts(lumas, background, found):
            rows, columns = _box(max((c for _, c in seen), key=lambda c: (c.right - c.left) * (c.bottom - c.top)), 2)
            clear = [lumas[i][rows, columns] for i, _ in seen[:: max(1, len(seen) // 15)]]
            background[rows, columns] = temporal_median(clear)
            found = [candidates(luma, background, limit, quiet) for luma in lumas]
        self._background = background
        start = self._seen[-1] if self._seen else None
        self._seen += best_path([(t, c) for (t, _), c in zip(samples[:count], found[:count], strict=True)],
                                background.shape[1], start)  # fmt: skip
        for _ in range(count):
            self._samples.popleft()


def inset_mask(lumas: list[np.ndarray]) -> np.ndarray:
    """Where something larger than a cursor keeps moving (h, w) bool: a talking head, a video in the slide."""
    import cv2

    height, width = lumas[0].shape
    size = (-(-width // _BLOCK_PX), -(-height // _BLOCK_PX))
    often = np.zeros((size[1], size[0]), np.float32)
    changes = []
    for before, after in itertools.pairwise(lumas):
        step = cv2.resize(cv2.absdiff(cv2.blur(before, (3, 3)), cv2.blur(after, (3, 3))), size, interpolation=cv2.INTER_AREA)
        changes.append(step > 2.0 + 2.5 * float(np.median(step)))
        often += changes[-1]
    often /= max(1, len(changes))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        cv2.morphologyEx((often > 0.08).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    )
    inset = np.zeros(labels.shape, np.uint8)
    for part in range(1, count):
        if stats[part, cv2.CC_STAT_AREA] < _INSET_BLOCKS:
            continue
        at_once = np.array([int(c[labels == part].sum()) for c in changes])
        if at_once.any() and float(np.median(at_once[at_once > 0])) >= _INSET_BLOCKS:
            inset[labels == part] = 1
    inset = cv2.dilate(inset, np.ones((3, 3), np.uint8))
    return np.asarray(np.kron(inset, np.ones((_BLOCK_PX, _BLOCK_PX), np.uint8))[:height, :width] > 0)


def candidates(luma: np.ndarray, background: np.ndarray, limit: np.ndarray, quiet: np.ndarray) -> list[Candidate]:
    """The cursor-sized components of |luma - background| above `limit` where `quiet`, strongest first."""
    import cv2

    residual = cv2.absdiff(luma, background)
    over = cv2.compare(residual, limit, cv2.CMP_GT)
    over[~quiet] = 0
    if cv2.countNonZero(over) > _WHOLE_CHANGE_SHARE * over.size:
        return []
    closed = cv2.morphologyEx(over, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    largest = _MAX_EDGE_SHARE * luma.shape[1]
    found = [
        _candidate(residual, over, *(int(v) for v in stats[part, :4]))
        for part in range(1, min(count, 200))
        if stats[part, cv2.CC_STAT_AREA] >= _MIN_AREA_PX and max(stats[part, 2:4]) <= largest and min(stats[part, 2:4]) >= 2
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
    wide = cv2.blur(noise.astype(np.float32), (5, 5))
    return np.clip(_NOISE_FLOOR + _NOISE_FACTOR * wide, 0, 255).astype(np.uint8)


def _carry_on(background: np.ndarray, before: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """The new background, but the former one where a small thing appeared in it: a cursor that came to rest."""
    for part in candidates(background, before, limit, np.ones(limit.shape, bool)):
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
    it is not found nothing else is, for then the cursor is there. With two places only, which is which is told by detail.
    """
    places: dict[tuple[float, float], list[tuple[int, Candidate]]] = {}
    for i, components in enumerate(found):
        for c in components:
            centre = ((c.left + c.right) / 2, (c.top + c.bottom) / 2)
            key = next((k for k in places if abs(k[0] - centre[0]) <= 2 and abs(k[1] - centre[1]) <= 2), centre)
            places.setdefault(key, []).append((i, c))
    result = []
    busy = sum(bool(c) for c in found)
    for seen in places.values():
        together = sum(len(found[i]) > 1 for i, _ in seen)
        without = len(found) - len(seen)
        if len(seen) < 3 or 2 * together < len(seen) or busy - len(seen) > 0.25 * without:
            continue
        smoother = sum(_detail(lumas[i], c) < _detail(background, c) for i, c in seen)
        companions = {(int(o.left) // 8, int(o.top) // 8) for i, c in seen for o in found[i] if o is not c}
        if len(companions) > 3 or 2 * smoother > len(seen):
            result.append(seen)
    return result


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
