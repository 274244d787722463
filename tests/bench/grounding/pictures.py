"""Representative images against the clean pictures of the truth: pure functions on arrays, and the codec's floor.

Pictures are RGB uint8 (H, W, 3) of the video's size; luma is that of ITU-R BT.601, as JPEG and Pillow have it. The
published rule (MedicalNarratives, 3.2.5) is measured with the same functions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.grounding.found import Found, Tally, count
from tests.bench.grounding.metrics import best_interval, overlap_s
from tests.lectures.grounding.truth import Box, Rest, Truth

GHOST_PX = 24.0
"""At 720p: edge of the square around a cursor's position in which its ghost would show."""
FAR_PX = 64.0
"""At 720p: a block of the picture is clear of the cursor if its hot spot is further away than the cursor's drawing and
this."""
_PLACES_PER_S = 5.0
_NARROW_PX = 320
_SMALL_PX, _LIKE, _UNLIKE_SHARE = 160, 0.6, 0.004


def luma(rgb: np.ndarray) -> np.ndarray:
    """Float32 (H, W)."""
    return np.asarray(rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32))


def outside(shape: tuple[int, int], ignore: Sequence[Box]) -> np.ndarray:
    """Bool (H, W): where the clean picture is defined."""
    valid = np.ones(shape, bool)
    for x0, y0, x1, y1 in ignore:
        valid[max(0, int(y0)) : int(np.ceil(y1)), max(0, int(x0)) : int(np.ceil(x1))] = False
    return valid


@dataclass(frozen=True, slots=True)
class Errors:
    """Of one picture against one clean picture, grey levels; None where no pixel counts."""

    luma: float
    rgb: float
    ghost: float | None
    """Mean over the cursor's positions of the mean luma error in a square of 24 px (at 720p) around each: where the
    cursor stays long, its ghost counts long."""


def errors(image: np.ndarray, clean: np.ndarray, valid: np.ndarray, places: Sequence[tuple[float, float]]) -> Errors:
    """Mean absolute differences over the valid pixels; `places` are true cursor positions during the rest."""
    off = np.abs(luma(image) - luma(clean))
    colour = np.abs(image.astype(np.int16) - clean).mean(axis=2)
    reach = max(1, round(GHOST_PX * image.shape[0] / 720 / 2))
    ghosts = []
    for x, y in places:
        rows, columns = (slice(max(0, int(v) - reach), max(0, int(v) + reach)) for v in (y, x))
        square = (rows, columns)
        counted = valid[square]
        if counted.any():
            ghosts.append(float(off[square][counted].mean()))
    return Errors(float(off[valid].mean()), float(colour[valid].mean()), float(np.mean(ghosts)) if ghosts else None)


def places_of(truth: Truth, rest: Rest) -> list[tuple[float, float]]:
    """The visible cursor's positions during the rest, five a second."""
    places, next_s = [], rest.start_s
    for time_s, x, y, visible in truth.cursor:
        if next_s <= time_s < rest.end_s:
            next_s = time_s + 1 / _PLACES_PER_S - 1e-3
            if visible:
                places.append((x, y))
    return places


class Album:
    """The truth's clean pictures, each read once."""

    def __init__(self, truth: Truth, folder: Path) -> None:
        self.truth, self._folder = truth, folder
        self._read: dict[str, np.ndarray] = {}
        self._narrow: dict[str, np.ndarray] = {}

    def clean(self, rest: Rest) -> np.ndarray:
        """RGB uint8 (H, W, 3)."""
        if rest.picture not in self._read:
            from PIL import Image

            with Image.open(self._folder / rest.picture) as file:
                self._read[rest.picture] = np.asarray(file.convert("RGB"))
        return self._read[rest.picture]

    def narrow(self, rest: Rest) -> np.ndarray:
        """Its luma, 320 px wide."""
        if rest.picture not in self._narrow:
            self._narrow[rest.picture] = _narrow(self.clean(rest))
        return self._narrow[rest.picture]


def image_tallies(found: Found, album: Album, prefix: str = "image") -> list[Tally]:
    """The found pictures against the truth's.

    `image.luma`, `image.rgb`: mean absolute error in grey levels of the picture of the found interval that overlaps a true
    rest longest, outside the rest's `ignore` boxes; mean over the rests that have one. `image.ghost`: see `Errors.ghost`,
    mean over rests with a visible cursor. `image.missing`: share of rests without such an interval. `image.right`: share of
    pictures whose error against the rest that their interval overlaps longest is not larger than against any other rest's
    picture. `image.duplicates`: pictures per film that show the same as an earlier one (see `same`).
    """
    truth = album.truth
    grey, colour, ghosts, right, judged = [], [], [], 0, 0
    for rest in truth.rests:
        interval = best_interval(rest, found.intervals)
        if interval is None:
            continue
        image = _as_large(found.images[interval.image], album.clean(rest))
        e = errors(image, album.clean(rest), outside(image.shape[:2], rest.ignore), places_of(truth, rest))
        grey.append(e.luma)
        colour.append(e.rgb)
        if e.ghost is not None:
            ghosts.append(e.ghost)
    for interval in found.intervals:
        spans = [overlap_s((interval.start_s, interval.end_s), (r.start_s, r.end_s)) for r in truth.rests]
        if max(spans, default=0.0) > 0:
            judged += 1
            right += _nearest(found.images[interval.image], truth.rests[int(np.argmax(spans))], album)
    rests = float(len(truth.rests))
    return [
        Tally(metric=f"{prefix}.luma", numerator=sum(grey), denominator=float(len(grey))),
        Tally(metric=f"{prefix}.rgb", numerator=sum(colour), denominator=float(len(colour))),
        Tally(metric=f"{prefix}.ghost", numerator=sum(ghosts), denominator=float(len(ghosts))),
        Tally(metric=f"{prefix}.missing", numerator=rests - len(grey), denominator=rests),
        Tally(metric=f"{prefix}.right", numerator=float(right), denominator=float(judged)),
        count(f"{prefix}.duplicates", duplicates(found.images)),
    ]


def _as_large(image: np.ndarray, clean: np.ndarray) -> np.ndarray:
    if image.shape == clean.shape:
        return image
    import cv2

    return np.asarray(cv2.resize(image, (clean.shape[1], clean.shape[0]), interpolation=cv2.INTER_AREA))


def _nearest(image: np.ndarray, rest: Rest, album: Album) -> bool:
    """Whether no other rest's picture is nearer, on luma 320 px wide; where either is not defined, nothing is compared."""
    small = _narrow(image)
    for other in album.truth.rests:
        if other.picture == rest.picture:
            continue
        scale = _NARROW_PX / album.truth.size[0]
        boxes = [(scale * x0, scale * y0, scale * x1, scale * y1) for x0, y0, x1, y1 in (*rest.ignore, *other.ignore)]
        valid = outside(small.shape, boxes)
        off, off_other = (float(np.abs(small - album.narrow(r))[valid].mean()) for r in (rest, other))
        if off_other < off:
            return False
    return True


def _narrow(rgb: np.ndarray) -> np.ndarray:
    import cv2

    size = (_NARROW_PX, max(1, round(_NARROW_PX * rgb.shape[0] / rgb.shape[1])))
    return luma(np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)))


def duplicates(images: Sequence[np.ndarray]) -> int:
    """How many pictures show the same as an earlier one."""
    small = [reduced(i) for i in images]
    return sum(any(same(small[j], small[i]) for j in range(i)) for i in range(len(small)))


def reduced(rgb: np.ndarray) -> np.ndarray:
    """Luma uint8, 160 px wide."""
    import cv2

    size = (_SMALL_PX, max(8, round(_SMALL_PX * rgb.shape[0] / rgb.shape[1])))
    return np.asarray(cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA))


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two reduced pictures show the same: their local SSIM (Wang et al., 2004; windows of 7 x 7) falls below 0.6 in
    at most 0.4 % of the places. A line of text more is 1 % and more; a cursor's ghost or another quantiser is less."""
    from skimage.metrics import structural_similarity

    if a.shape != b.shape:
        return False
    _, local = structural_similarity(a, b, data_range=255, full=True)
    return bool((local < _LIKE).mean() <= _UNLIKE_SHARE)


def floor_tallies(frames: Iterator[tuple[int, list[tuple[float, np.ndarray]]]], album: Album) -> list[Tally]:
    """What the codec alone costs: no rule that takes medians of decoded frames can be expected below it.

    `image.floor`: as `image.luma`, of the per-pixel median of a rest's decoded frames; each block of 64 px (at 720p) takes
    only frames in which the cursor is far from it, and blocks without such a frame do not count.

    Args:
        frames: for each rest, its index and some of its frames (time_s, RGB).
        album: the clean pictures.
    """
    truth, found = album.truth, []
    shown_s = np.array([c[0] for c in truth.cursor])
    for index, pictures in frames:
        rest = truth.rests[index]
        cursors = [truth.cursor[max(0, int(np.searchsorted(shown_s, t + 1e-3)) - 1)] for t, _ in pictures]
        clear, known = _clear_median([rgb for _, rgb in pictures], cursors, truth)
        clean = album.clean(rest)
        valid = outside(clean.shape[:2], rest.ignore) & known
        if valid.any():
            found.append(float(np.abs(luma(clear) - luma(clean))[valid].mean()))
    return [Tally(metric="image.floor", numerator=sum(found), denominator=float(len(found)))]


def _clear_median(frames: list[np.ndarray], cursors: list[Any], truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    from pipelines.stages.stable import temporal_median

    scale = truth.size[1] / 720
    edge, far = max(8, round(FAR_PX * scale)), truth.cursor_px + FAR_PX * scale
    median = temporal_median(frames)
    known = np.ones(median.shape[:2], bool)
    for top in range(0, median.shape[0], edge):
        for left in range(0, median.shape[1], edge):
            block = (slice(top, top + edge), slice(left, left + edge))
            clear = [
                f for f, (_, x, y, visible) in zip(frames, cursors, strict=True)
                if not (visible and left - far < x < left + edge + far and top - far < y < top + edge + far)
            ]  # fmt: skip
            if not clear:
                known[block] = False
            elif len(clear) < len(frames):
                median[block] = temporal_median([f[block] for f in clear])
    return median, known
