"""What is transient over a grounding film's pictures: a speaker, a small film, a clock, captions, a caret, ink."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from tests.lectures.grounding.factors import Factors
from tests.lectures.grounding.motion import Stroke
from tests.lectures.grounding.screens import Screen
from tests.lectures.grounding.truth import Box
from tests.lectures.pictures import _face, _font, package_file

CARET_S = 0.53
_CORNERS = ((1, 1), (1, 0), (0, 1), (0, 0))
"""Right or left, bottom or top, 1 or 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Overlays:
    """All of one film, by scene; boxes in whole pixels of the video."""

    factors: Factors
    speaker: tuple[tuple[int, int, int, int] | None, ...]
    inset: tuple[int, int, int, int] | None
    clock: tuple[int, int, int, int] | None
    captions: tuple[tuple[float, float, str], ...]
    """Start, end, text."""

    def paste(self, frame: np.ndarray, time_s: float, scene: int, screen: Screen) -> None:
        """Draw what is on show at `time_s` into the frame."""
        caret = screen.span(time_s).caret
        if caret and int(time_s / CARET_S) % 2 == 0:
            x0, y0, x1, y1 = (round(edge) for edge in caret)
            frame[y0:y1, x0:x1] = 255 - frame[y0:y1, x0:x1]
        if box := self.speaker[scene]:
            _speaker(frame, box, time_s)
        if self.inset:
            number = int(time_s * (self.factors.inset_fps or 1))
            _small_film(frame, self.inset, number, self.factors.seed + self.factors.index)
        if self.clock:
            x0, y0, x1, y1 = self.clock
            frame[y0:y1, x0:x1] = _label(f"09:{int(time_s) // 60:02}:{int(time_s) % 60:02}", (x1 - x0, y1 - y0))
        for start_s, end_s, text in self.captions:
            if start_s <= time_s < end_s:
                x0, y0, x1, y1 = self.band
                under = frame[y0:y1, x0:x1]
                words = _label(text, (x1 - x0, y1 - y0))
                under[:] = np.where(words > 60, words, under // 3)

    @property
    def band(self) -> tuple[int, int, int, int]:
        """Where captions stand."""
        width, height = self.factors.size
        return round(0.12 * width), round(0.885 * height), round(0.88 * width), round(0.955 * height)

    def ignored(self, start_s: float, end_s: float, scene: int, screen: Screen) -> list[Box]:
        """Where something transient is on show between two times."""
        boxes: list[Box] = [b for b in (self.speaker[scene], self.inset, self.clock) if b]
        if any(a < end_s and b > start_s for a, b, _ in self.captions):
            boxes.append(self.band)
        boxes += [s.caret for s in screen.spans if s.caret and s.start_s < end_s and s.end_s > start_s]
        return [(b[0] - 3, b[1] - 3, b[2] + 3, b[3] + 3) for b in boxes]


def overlays(factors: Factors, screens: list[Screen], words: list[tuple[str, float, float]]) -> Overlays:
    """The film's overlays; `words`: text, start and end of all that is said."""
    rng = np.random.default_rng([factors.seed, factors.index, 3])
    width, height = factors.size
    high = round(rng.uniform(0.17, 0.24) * height)
    corner_of = functools.partial(_corner, factors.size, (round(0.9 * high), high))
    # the corner in which fewest regions are hidden, over the whole film or scene by scene
    order = [_CORNERS[i] for i in rng.permutation(4)]
    targets = [[*screen.regions.values(), *screen.busy] for screen in screens]
    stays = min(order, key=lambda corner: _hidden(corner_of(corner), *targets))
    speaker: list[tuple[int, int, int, int] | None] = []
    for boxes in targets:
        if factors.speaker == "moves":
            order = order[1:] + order[:1]
            speaker.append(corner_of(min(order, key=lambda corner, boxes=boxes: _hidden(corner_of(corner), boxes))))
        else:
            speaker.append(corner_of(stays) if factors.speaker else None)
    taken = {box for box in speaker if box}
    inset = None
    if factors.inset_fps:
        wide = round(rng.uniform(0.16, 0.22) * width)
        spots = [_corner(factors.size, (wide, round(0.66 * wide)), c) for c in order]
        free = [spot for spot in spots if not _hidden(spot, list(taken))]
        inset = min(free or spots, key=lambda spot: _hidden(spot, *targets))
        taken.add(inset)
    clock = None
    if factors.clock:
        size = (round(0.11 * height * 1.6), round(0.045 * height))
        spots = [_corner(factors.size, size, c) for c in order]
        clock = min(spots, key=lambda spot: _hidden(spot, list(taken)))
    return Overlays(factors, tuple(speaker), inset, clock, tuple(_captions(words)) if factors.captions else ())


def ink(frame: np.ndarray, stroke: Stroke, time_s: float) -> None:
    """Draw as much of a stroke as is drawn by `time_s`."""
    import cv2

    share = min(1.0, (time_s - stroke.start_s) / (stroke.drawn_s - stroke.start_s))
    if share <= 0 or time_s >= stroke.end_s:
        return
    x0, y0, x1, y1 = stroke.box
    turns = 2 * math.pi * np.linspace(0, share, 2 + round(60 * share))
    x, y = (x0 + x1) / 2 + 0.48 * (x1 - x0) * np.cos(turns), (y0 + y1) / 2 + 0.48 * (y1 - y0) * np.sin(turns)
    points = np.stack([x, y], axis=1)
    cv2.polylines(frame, [np.int32(np.round(points * 8))], False, stroke.colour, stroke.width_px, cv2.LINE_AA, shift=3)


def _corner(size: tuple[int, int], inner: tuple[int, int], corner: tuple[int, int]) -> tuple[int, int, int, int]:
    x = size[0] - inner[0] - round(0.012 * size[0]) if corner[0] else round(0.012 * size[0])
    y = size[1] - inner[1] - round(0.06 * size[1]) if corner[1] else round(0.075 * size[1])
    return x, y, x + inner[0], y + inner[1]


def _hidden(over: Box, *under: list[Box]) -> float:
    return sum(_overlap(over, box) for boxes in under for box in boxes)


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


@functools.lru_cache(maxsize=4)
def _head(size: tuple[int, int]) -> np.ndarray:
    return _face((0, 0, *size), max(2, size[1] // 22))


def _speaker(frame: np.ndarray, box: tuple[int, int, int, int], time_s: float) -> None:
    x0, y0, x1, y1 = box
    face = _head((x1 - x0, y1 - y0))
    sway = (face.shape[0] - (y1 - y0)) // 2
    dx = sway + round(sway * 0.9 * math.sin(1.9 * time_s))
    dy = sway + round(sway * 0.9 * math.sin(2.7 * time_s + 1.0))
    frame[y0:y1, x0:x1] = face[dy : dy + y1 - y0, dx : dx + x1 - x0]


@functools.lru_cache(maxsize=2)
def _photograph(name: str) -> np.ndarray:
    with Image.open(package_file("skimage", f"data/{name}")) as file:
        return np.asarray(file.convert("RGB"))


@functools.lru_cache(maxsize=2)
def _inset_frame(size: tuple[int, int], number: int, salt: int) -> np.ndarray:
    import cv2

    pixels = _photograph(("motorcycle_left.png", "chelsea.png", "coffee.png")[salt % 3])
    high, wide = pixels.shape[:2]
    cut = (round(0.6 * wide), round(0.6 * wide * size[1] / size[0]))
    x = round((wide - cut[0]) / 2 * (1 + math.sin(0.06 * number + salt)))
    y = round(max(0, high - cut[1]) / 2 * (1 + math.sin(0.043 * number)))
    return cv2.resize(pixels[y : y + cut[1], x : x + cut[0]], size, interpolation=cv2.INTER_AREA)


def _small_film(frame: np.ndarray, box: tuple[int, int, int, int], number: int, salt: int) -> None:
    x0, y0, x1, y1 = box
    frame[y0:y1, x0:x1] = _inset_frame((x1 - x0, y1 - y0), number, salt)


@functools.lru_cache(maxsize=8)
def _label(text: str, size: tuple[int, int]) -> np.ndarray:
    canvas = Image.new("RGB", size, (16, 16, 18))
    draw = ImageDraw.Draw(canvas)
    points = 0.72 * size[1]
    points = min(points, points * 0.94 * size[0] / max(1.0, draw.textlength(text, font=_font(points))))
    draw.text((size[0] / 2, size[1] / 2), text, fill=(240, 240, 235), font=_font(points), anchor="mm")
    return np.asarray(canvas)


def _captions(words: list[tuple[str, float, float]]) -> list[tuple[float, float, str]]:
    """Up to seven words at a time, from the first one's start to a moment after the last one's end."""
    chunks: list[list[tuple[str, float, float]]] = []
    for word in words:
        fresh = not chunks or len(chunks[-1]) == 7 or chunks[-1][-1][0].endswith(".")
        chunks.append([word]) if fresh else chunks[-1].append(word)
    starts = [chunk[0][1] for chunk in chunks] + [math.inf]
    return [
        (chunk[0][1], min(chunk[-1][2] + 0.4, following), " ".join(word for word, _, _ in chunk))
        for chunk, following in zip(chunks, starts[1:], strict=True)
    ]
