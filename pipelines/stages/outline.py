"""A cursor that lies still through a whole picture, recognised by its outline.

What is seen of a cursor depends on what it lies on: a white hand with a dark edge shows its edge on white and its face on
black, a marker's disc takes the ground's brightness. Its outline is the same on both, if it lies apart from all else.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.stages.appearance import Appearance
from pipelines.stages.candidates import MIN_AREA_PX
from pipelines.stages.looks import Looks

_STANDS_OUT, _WAVERS = 14.0, 4.0
"""A pixel belongs to a thing if it differs from the ground by so many grey levels, and so many times the ground's own."""
_EDGE_PX = 2
"""A cursor's edge, which does not show on every ground: so much larger or smaller than what was learned it may be."""
_SIZE_SLACK = 0.15
"""Share by which its longer edge may differ beside that."""
_SHOWN = 0.35
"""Share of its contrast by which a sample may differ where it is on show."""
_APART = 0.03
"""Share of the pixels around a thing that may differ from the ground too."""
_SAME_OUTLINE = 0.75
"""Intersection over union of a thing's outline with the cursor's, at a place where it is expected ..."""
_UNMISTAKABLE, _SECOND = 0.85, 0.75
"""... anywhere, if no second thing is that like it ..."""
_LEAST_PX = 48
"""... and it has so many pixels: dots are everywhere."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that lies apart and has the cursor's outline: its hot spot, how alike it is, and its pixels."""

    x: float
    y: float
    likeness: float
    place: tuple[slice, slice]
    pixels: np.ndarray
    """(h, w) bool, of `place`."""
    contrast: float

    def shown_in(self, luma: np.ndarray, picture: np.ndarray) -> bool:
        """Whether a sample shows it as the `picture` does."""
        here = np.abs(luma[self.place].astype(np.float32) - picture[self.place])[self.pixels]
        return bool(here.mean() < _SHOWN * self.contrast)


def things(looks: Looks, picture: np.ndarray, quiet: np.ndarray, near: tuple[float, float] | None = None) -> list[Thing]:
    """What has the cursor's outline in the resting `picture` (h, w) uint8, likest first; with `near` only about there."""
    import cv2

    outlines = [o for a in looks.appearances for o in _outlines(a)]
    if not outlines:
        return []
    reach = 2 * looks.size + 2 * _EDGE_PX
    left, top = 0, 0
    if near is not None:
        left, top = (max(0, round(v) - 2 * reach) for v in near)
        part = (slice(top, round(near[1]) + 2 * reach), slice(left, round(near[0]) + 2 * reach))
        picture, quiet = picture[part], quiet[part]
    if min(picture.shape) < 3:
        return []
    ground = cv2.medianBlur(np.ascontiguousarray(picture), min(2 * (reach // 2) + 1, 201))
    residual = cv2.absdiff(picture, ground)
    over = ((residual > max(_STANDS_OUT, _WAVERS * float(np.median(residual)))) & (quiet > 0)).astype(np.uint8)
    bridge = np.ones((2 * max(1, looks.size // 8) + 1,) * 2, np.uint8)
    closed = cv2.morphologyEx(over, cv2.MORPH_CLOSE, bridge)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    smallest, largest = (1 - _SIZE_SLACK) * looks.size - 2 * _EDGE_PX - 2, (1 + _SIZE_SLACK) * looks.size + 2 * _EDGE_PX
    found = []
    for number, (x, y, width, height, area) in enumerate(stats.tolist()):
        if number == 0 or area < MIN_AREA_PX or not smallest <= max(width, height) <= largest:
            continue
        place = (slice(y, y + height), slice(x, x + width))
        pixels = (labels[place] == number) & (over[place] > 0)
        margin = max(3, max(width, height) // 2)
        around = over[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin]
        if int(around.sum()) - int(pixels.sum()) > _APART * (around.size - width * height):
            continue
        likeness, hot_x, hot_y = max(_likeness(_hull(pixels), o) for o in outlines)
        whole = (slice(y + top, y + top + height), slice(x + left, x + left + width))
        contrast = float(residual[place][pixels].mean())
        found.append(Thing(x + left + hot_x, y + top + hot_y, likeness, whole, pixels, contrast))
    return sorted(found, key=lambda t: -t.likeness)


def expected(looks: Looks, picture: np.ndarray, quiet: np.ndarray, place: tuple[float, float], reach: float) -> Thing | None:
    """The cursor within `reach` of where it was before or will be."""
    for thing in things(looks, picture, quiet, near=place):
        if thing.likeness >= _SAME_OUTLINE and max(abs(thing.x - place[0]), abs(thing.y - place[1])) <= reach:
            return thing
    return None


def unmistakable(looks: Looks, picture: np.ndarray, quiet: np.ndarray) -> Thing | None:
    """The one thing in the picture that has its outline."""
    if min((a.mask.sum() for a in looks.appearances), default=0) < _LEAST_PX:
        return None
    found = things(looks, picture, quiet)
    if not found or found[0].likeness < _UNMISTAKABLE or (len(found) > 1 and found[1].likeness >= _SECOND):
        return None
    return found[0]


def _outlines(a: Appearance) -> list[tuple[np.ndarray, float, float]]:
    """What was learned, and how it would be with edges that did not show there, or do not show here: filled shapes and
    their hot spots."""
    import cv2

    edge = _EDGE_PX
    wide = cv2.copyMakeBorder((a.mask > 0).astype(np.uint8), edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=0)
    hull, hot = _hull(wide > 0), (a.hot[0] + edge, a.hot[1] + edge)
    made = [(hull, *hot)]
    for grow in range(1, edge + 1):
        square = np.ones((2 * grow + 1, 2 * grow + 1), np.uint8)
        made.append((cv2.dilate(hull, square), *hot))
        if min(a.shape) >= 5 * grow:
            made.append((cv2.erode(hull, square), *hot))
    return made


def _hull(pixels: np.ndarray) -> np.ndarray:
    """The convex hull of what is True, filled: (h, w) uint8."""
    import cv2

    rows, columns = np.nonzero(pixels)
    hull = np.zeros(pixels.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.int32)), 1)
    return hull


def _likeness(shape: np.ndarray, outline: tuple[np.ndarray, float, float]) -> tuple[float, float, float]:
    """Intersection over union where both agree best, and the hot spot in the shape's pixels."""
    import cv2

    other, hot_x, hot_y = outline
    down, across = (max(2, abs(p - q) + 2) for p, q in zip(shape.shape, other.shape, strict=True))
    down, across = down + max(0, other.shape[0] - shape.shape[0]), across + max(0, other.shape[1] - shape.shape[1])
    wide = cv2.copyMakeBorder(shape, down, down, across, across, cv2.BORDER_CONSTANT, value=0).astype(np.float32)
    both = cv2.matchTemplate(wide, other.astype(np.float32), cv2.TM_CCORR)
    _, most, _, (x, y) = cv2.minMaxLoc(both)
    return most / (float(shape.sum()) + float(other.sum()) - most), x - across + hot_x, y - down + hot_y
