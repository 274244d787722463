"""What may be a cursor: small things that differ from the resting picture, and those among them that have moved.

A clock, a caret, captions, a talking head change in their places; only a cursor goes to other places and stays the same.
MedicalNarratives (3.2.5) takes the largest difference from the background, whatever it is.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

MIN_AREA_PX, MAX_EDGE_SHARE = 4, 0.085
"""A cursor's component: at least so many pixels, at most this share of the picture's width."""
SPEED_SHARE = 1.25
"""Of the picture's width per second: a fast hand."""
STEP_S = 0.65
"""Samples further apart are no pair."""
_MOVED_SHARE = 0.25
"""Of its size: less is its edge wavering."""
MAX_CANDIDATES = 16
_BRIDGE_SHARE = 0.0115
"""Parts this near to each other, share of the picture's width, may be one cursor: the arms of a cross."""
_WHOLE_CHANGE_SHARE = 0.10
"""If more of the picture differs from the background, it is another picture."""
_ALIKE = 0.5
"""Two components of one cursor agree so far (1: the same); noise and compression cost 0.1 to 0.3."""
MARGIN_PX = 3
_TIMES, _MOST_SIGHTINGS = 4, 48
"""An appearance is learned from so many samples at least, among the latest so many sightings."""
_WAY, _BESIDE_LINE, _BESIDE_LINE_PX = 1.5, 0.8, 8.0
"""It has gone so many times its size, and this many times (or pixels) to the side: letters keep to their line."""
_SIZE_RATIO, _SIZE_SLACK_PX = 1.5, 2
_ALONE = 0.3
"""Share of changed pixels around a component above which it is part of something larger that moves."""
_NEW = 0.25
"""Share of its contrast by which its place must have changed: a small step of a large cursor changes its edges only."""
MIN_STRENGTH = 110.0
"""Contrast times edge: noise has little of both."""


Part = tuple[slice, slice]
"""Rows and columns of a picture."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cursor-like component, in pixels of the finer luma (edges, not centres)."""

    x: int
    y: int
    width: int
    height: int
    contrast: float
    """Mean difference from the background, grey levels."""
    alone: bool
    """Nothing else changes around it."""


def candidates(luma: np.ndarray, background: np.ndarray, limit: np.ndarray, quiet: np.ndarray) -> list[Candidate]:
    """The cursor-sized components of |luma - background| above `limit` where `quiet` is 255, strongest first."""
    import cv2

    residual = cv2.absdiff(luma, background)
    over = cv2.bitwise_and(cv2.compare(residual, limit, cv2.CMP_GT), quiet)
    changed = cv2.countNonZero(over)
    if changed < MIN_AREA_PX or changed > _WHOLE_CHANGE_SHARE * over.size:
        return []
    return _strongest(_components(residual, over, luma.shape[1]))


def candidates_again(
    found: Sequence[Candidate],
    luma: np.ndarray,
    background: np.ndarray,
    limit: np.ndarray,
    quiet: np.ndarray,
    parts: Sequence[Part],
) -> list[Candidate]:
    """What `candidates` would find, after the background has changed in those parts only."""
    import cv2

    largest, bridge = round(MAX_EDGE_SHARE * luma.shape[1]), _bridge(luma.shape[1])
    again = list(found)
    for rows, columns in parts:
        differs = cv2.compare(cv2.absdiff(luma[rows, columns], background[rows, columns]), limit[rows, columns], cv2.CMP_GT)
        if not differs.any() and not any(_touches(c, rows, columns, bridge) for c in again):
            continue  # nothing was found that reaches into it, and nothing differs there now
        top, left = max(0, rows.start - 2 * largest), max(0, columns.start - 2 * largest)
        part = (slice(top, rows.stop + 2 * largest), slice(left, columns.stop + 2 * largest))
        residual = cv2.absdiff(luma[part], background[part])
        over = cv2.bitwise_and(cv2.compare(residual, limit[part], cv2.CMP_GT), quiet[part])
        new = [replace(c, x=c.x + left, y=c.y + top) for c in _components(residual, over, luma.shape[1])]
        again = [c for c in again if not _touches(c, rows, columns, bridge)]
        again += [c for c in new if _touches(c, rows, columns, bridge)]
    return _strongest(again)


def merged(parts: Sequence[Part]) -> list[Part]:
    """Parts that overlap as the one around them: each costs a look at its surroundings."""
    apart: list[Part] = []
    for rows, columns in parts:
        while touched := [p for p in apart if _overlap(p[0], rows) and _overlap(p[1], columns)]:
            apart = [p for p in apart if p not in touched]
            rows, columns = (
                slice(min(s.start for s in sides), max(s.stop for s in sides))
                for sides in ([rows, *(p[0] for p in touched)], [columns, *(p[1] for p in touched)])
            )
        apart.append((rows, columns))
    return apart


def _overlap(a: slice, b: slice) -> bool:
    return bool(a.start < b.stop and b.start < a.stop)


def _strongest(found: Sequence[Candidate]) -> list[Candidate]:
    return sorted(found, key=lambda c: -strength(c))[:MAX_CANDIDATES]


def _touches(c: Candidate, rows: slice, columns: slice, reach: int) -> bool:
    beside = c.x >= columns.stop + reach or c.x + c.width <= columns.start - reach
    above_or_below = c.y >= rows.stop + reach or c.y + c.height <= rows.start - reach
    return not bool(beside or above_or_below)


def _bridge(width: int) -> int:
    return 2 * round(_BRIDGE_SHARE * width / 2) + 1


def _components(residual: np.ndarray, over: np.ndarray, width: int) -> list[Candidate]:
    """Cursor-sized components of `over`, in a picture of that width."""
    import cv2

    x0, y0, wide, high = cv2.boundingRect(over)
    # closing would let a component grow to the edge of the part if it were nearer than half of its kernel
    edge = _bridge(width) // 2 + 1
    part = cv2.copyMakeBorder(over[y0 : y0 + high, x0 : x0 + wide], edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=0)
    largest = MAX_EDGE_SHARE * width
    found: dict[tuple[int, int, int, int], Candidate] = {}
    for bridge in (3, _bridge(width)):
        closed = cv2.morphologyEx(part, cv2.MORPH_CLOSE, np.ones((bridge, bridge), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
        for x, y, w, h, area in stats[1:400].tolist():
            if area >= MIN_AREA_PX and max(w, h) <= largest and min(w, h) >= 2:
                found.setdefault((x, y, w, h), _candidate(residual, over, x0 - edge + x, y0 - edge + y, w, h))
    return list(found.values())


def _candidate(residual: np.ndarray, over: np.ndarray, x: int, y: int, width: int, height: int) -> Candidate:
    inside = over[y : y + height, x : x + width] > 0
    contrast = float(residual[y : y + height, x : x + width][inside].mean())
    margin = max(width, height) // 2 + 2
    around = over[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin]
    others = int(np.count_nonzero(around)) - int(np.count_nonzero(inside))
    alone = others <= _ALONE * (around.size - width * height)
    return Candidate(x, y, width, height, contrast, alone)


def strength(c: Candidate) -> float:
    """Contrast times edge: noise has little of both."""
    return c.contrast * float(np.sqrt(c.width * c.height))


@dataclass(frozen=True, slots=True)
class Seen:
    """A component that has moved: its pixels and what lay behind them, float32, `MARGIN_PX` wider on every side."""

    time_s: float
    candidate: Candidate
    luma: np.ndarray
    behind: np.ndarray

    @staticmethod
    def cut(time_s: float, candidate: Candidate, luma: np.ndarray, background: np.ndarray) -> "Seen | None":
        """None where the picture's edge is too near."""
        c, m = candidate, MARGIN_PX
        if c.x < m or c.y < m or c.x + c.width + m > luma.shape[1] or c.y + c.height + m > luma.shape[0]:
            return None
        part = (slice(c.y - m, c.y + c.height + m), slice(c.x - m, c.x + c.width + m))
        return Seen(time_s, c, luma[part].astype(np.float32), background[part].astype(np.float32))

    def core(self, image: np.ndarray) -> np.ndarray:
        """Without the margin."""
        return image[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def arrived(c: Candidate, before: np.ndarray, luma: np.ndarray, background: np.ndarray) -> bool:
    """Whether the component was not there `before`."""
    now, earlier, behind = (_crop(image, c.x, c.y, c.width, c.height) for image in (luma, before, background))
    residual = np.abs(now - behind)
    mask = residual > 0.35 * float(residual.max())
    return float(np.abs(now - earlier)[mask].mean()) >= _NEW * float(residual[mask].mean())


def same_size(a: Candidate, b: Candidate) -> bool:
    """Whether two components may be one cursor."""
    return all(
        abs(p - q) <= _SIZE_SLACK_PX or max(p, q) <= _SIZE_RATIO * min(p, q)
        for p, q in ((a.width, b.width), (a.height, b.height))
    )


def alike(a: Seen, b: Seen) -> bool:
    """Whether two components look like one thing in two places: by what is seen (opaque), or by what it adds (glows)."""
    if not same_size(a.candidate, b.candidate):
        return False
    if a.candidate.width * a.candidate.height > b.candidate.width * b.candidate.height:
        a, b = b, a
    scores = [
        _agreement(soft(a.core(x)), soft(y), soft(a.core(a.luma - a.behind)))
        for x, y in ((a.luma, b.luma), (a.luma - a.behind, b.luma - b.behind))
    ]
    return max(scores) >= _ALIKE


def soft(image: np.ndarray) -> np.ndarray:
    """Thin lines fall on other pixels as the cursor moves; a little blur makes them alike."""
    import cv2

    return np.asarray(cv2.GaussianBlur(image, (3, 3), 0))


def _agreement(core: np.ndarray, patch: np.ndarray, residual: np.ndarray) -> float:
    import cv2

    if any(p < c for p, c in zip(patch.shape, core.shape, strict=True)):
        return -1.0
    strength = np.abs(residual)
    mask = (strength > 0.35 * float(strength.max())).astype(np.float32)
    scale = float(np.sqrt((residual[mask > 0] ** 2).mean()))
    least = float(cv2.matchTemplate(patch, core, cv2.TM_SQDIFF, mask=mask).min())
    return 1 - float(np.sqrt(max(0.0, least) / mask.sum())) / max(scale, 1.0)


def _crop(image: np.ndarray, x: int, y: int, width: int, height: int) -> np.ndarray:
    return image[max(0, y) : y + height, max(0, x) : x + width].astype(np.float32)


def unit(width: int) -> float:
    """What distances between samples are judged by: a 480th of the picture's width."""
    return width / 480


def sightings(
    times: list[float], lumas: list[np.ndarray], background: np.ndarray, found: list[list[Candidate]]
) -> list[Seen]:
    """What has moved from one sample to the next and looks alike in both."""
    step_px = unit(background.shape[1])
    seen: dict[tuple[int, Candidate], Seen] = {}
    for i in range(1, len(found)):
        step_s = times[i] - times[i - 1]
        reach = SPEED_SHARE * background.shape[1] * max(0.1, step_s)
        strong = [[c for c in found[j] if c.alone and strength(c) >= MIN_STRENGTH] for j in (i, i - 1)]
        for b, a in itertools.product(*strong) if step_s <= STEP_S else ():
            way = float(np.hypot(a.x - b.x, a.y - b.y))
            if not (max(step_px, _MOVED_SHARE * min(b.width, b.height)) < way <= reach):
                continue
            if not (same_size(a, b) and arrived(b, lumas[i - 1], lumas[i], background)
                    and arrived(a, lumas[i], lumas[i - 1], background)):  # fmt: skip
                continue  # it stood there before: letters that look alike
            one, other = (Seen.cut(times[j], c, lumas[j], background) for j, c in ((i - 1, a), (i, b)))
            if one is not None and other is not None and alike(one, other):
                seen[i - 1, a], seen[i, b] = one, other
    return list(seen.values())


def recurring(sightings: Sequence[Seen]) -> list[Seen]:
    """The sightings of the one thing that was seen most often, in at least `_TIMES` samples and different places."""
    chosen = sightings[:: -(-len(sightings) // _MOST_SIGHTINGS)] if sightings else []
    friends: list[list[Seen]] = [[one] for one in chosen]
    for (one, its), (other, others) in itertools.combinations(zip(chosen, friends, strict=True), 2):
        if alike(one, other):
            its.append(other)
            others.append(one)
    weights = [len({f.time_s for f in its}) * strength(one.candidate) for one, its in zip(chosen, friends, strict=True)]
    order = sorted(range(len(chosen)), key=lambda i: (-weights[i], i))
    return next((sorted(friends[i], key=lambda s: s.time_s) for i in order if _goes_about(friends[i])), [])


def _goes_about(seen: Sequence[Seen]) -> bool:
    """Whether it was in different places, and not only along a line, where a caption's or a clock's letters recur."""
    if len({s.time_s for s in seen}) < _TIMES:
        return False
    size = float(np.median([max(s.candidate.width, s.candidate.height) for s in seen]))
    low, high = np.percentile([(s.candidate.x, s.candidate.y) for s in seen], (10, 90), axis=0)
    across, down = (high - low).tolist()
    way, aside = max(across, down), min(across, down)
    return bool(way >= _WAY * size and aside >= max(_BESIDE_LINE_PX, _BESIDE_LINE * size))
