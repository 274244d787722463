"""The scenes of a grounding film as pictures: slides, viewers, scrolling and moving ones, each a row of spans in time.

A span shows one still, or is drawn anew at every time. What is transient lies in `overlays`, not here.
"""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from pipelines.schema import Domain
from tests.lectures.grounding import moving, sources
from tests.lectures.grounding.factors import Factors
from tests.lectures.grounding.motion import smooth
from tests.lectures.grounding.plan import Part
from tests.lectures.grounding.pool import TALKS
from tests.lectures.pictures import Box, _font

Drawing = Callable[[float], np.ndarray]
_TITLES = {"ct": "CT", "mr": "MRI", "xray": "X-ray"}
Whole = tuple[int, int, int, int]
"""A box in whole pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """A stretch of a scene, seconds of the film."""

    start_s: float
    end_s: float
    still: np.ndarray | None = None
    """uint8 RGB (height, width, 3)."""
    draw: Drawing | None = None
    caret: Box | None = None
    """Where a text caret stands."""


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """One scene drawn."""

    spans: tuple[Span, ...]
    regions: Mapping[str, Box]
    """Where each is while it is spoken of, pixels of the video."""
    busy: tuple[Box, ...] = ()
    """What else should not be covered: text."""

    def span(self, time_s: float) -> Span:
        """The one on show; the first before the scene and the last after it."""
        return next((span for span in self.spans if time_s < span.end_s), self.spans[-1])

    def clean(self, time_s: float) -> np.ndarray:
        """The main picture; not to be written to."""
        span = self.span(time_s)
        if span.still is not None:
            return span.still
        assert span.draw is not None
        return span.draw(time_s)


def screens(factors: Factors, parts: tuple[Part, ...], said_regions: list[list[str]]) -> list[Screen]:
    """All scenes, in order. `said_regions`: the regions spoken of in each, in order."""
    rng = np.random.default_rng([factors.seed, factors.index, 2])
    layout = ("viewer", "slide", "full")[int(rng.integers(3))]
    dark = bool(rng.random() < 0.35)
    drawn = []
    for part, told in zip(parts, said_regions, strict=True):
        if part.subject is None:
            drawn.append(_slide(factors, part, dark, rng))
            continue
        shown = layout if rng.random() < 0.75 else ("viewer", "slide", "full")[int(rng.integers(3))]
        shown = "viewer" if part.kind == "viewer" else shown
        canvas, box = ground(shown, factors, part, rng)
        screen = _MAKE[part.kind](factors, part, np.asarray(canvas), box, told, rng)
        # beside a slide's picture there is room for a speaker; where it fills the screen there is none
        drawn.append(replace(screen, busy=(box,)) if shown == "slide" else screen)
    return drawn


def ground(layout: str, factors: Factors, part: Part, rng: np.random.Generator) -> tuple[Image.Image, Whole]:
    """What is around the picture, and the box left to it: a program's window, a slide, or nothing but a few words."""
    width, height = factors.size
    font = _font(0.026 * height)
    if layout == "viewer":
        canvas = Image.new("RGB", factors.size, (4, 4, 6))
        draw = ImageDraw.Draw(canvas)
        top, bottom = round(0.065 * height), height - round(0.045 * height)
        draw.rectangle((0, 0, width, top - 1), fill=(44, 47, 52))
        draw.rectangle((0, bottom, width, height), fill=(34, 36, 40))
        for i, label in enumerate(("Open", "Zoom", "Pan", "Window", "Measure", "Reset")):
            x = (0.012 + 0.095 * i) * width
            draw.rounded_rectangle((x, 0.2 * top, x + 0.083 * width, 0.8 * top), 3, fill=(66, 70, 78))
            draw.text((x + 0.014 * width, 0.5 * top), label, fill=(205, 208, 212), font=font, anchor="lm")
        series = f"Series {rng.integers(1, 9)}   Fit"
        draw.text((0.012 * width, (bottom + height) / 2), series, fill=(150, 154, 160), font=font, anchor="lm")
        return canvas, (0, top, width, bottom)
    if layout == "slide":
        canvas = Image.new("RGB", factors.size, (250, 250, 247))
        draw = ImageDraw.Draw(canvas)
        words = part.subject.picture.removesuffix("_film").split("_") if part.subject else [""]
        title = " ".join([_TITLES.get(words[0], words[0].capitalize()), *words[1:]])
        draw.text((0.05 * width, 0.04 * height), title, fill=(30, 50, 90), font=_font(0.075 * height))
        draw.rectangle((0.05 * width, 0.145 * height, 0.95 * width, 0.15 * height), fill=(200, 140, 40))
        lines = TALKS[Domain(factors.domain)].lines
        for i, line in enumerate(lines[j] for j in rng.permutation(len(lines))[:2]):
            draw.text((0.7 * width, (0.3 + 0.11 * i) * height), f"- {line}", fill=(60, 66, 80), font=_font(0.04 * height))
        return canvas, (round(0.05 * width), round(0.18 * height), round(0.67 * width), round(0.94 * height))
    canvas = Image.new("RGB", factors.size, (0, 0, 0))
    draw = ImageDraw.Draw(canvas)
    window = f"W {rng.integers(80, 900)} L {rng.integers(10, 90)}"
    for i, line in enumerate((f"Im: {rng.integers(1, 90)}", window, "Zoom: fit")):
        draw.text((0.015 * width, (0.03 + 0.04 * i) * height), line, fill=(200, 200, 190), font=font)
    return canvas, (round(0.12 * width), 0, round(0.88 * width), height)


def fitted(canvas: np.ndarray, box: Whole, pixels: np.ndarray) -> tuple[np.ndarray, float, int, int]:
    """The canvas with the picture as large as fits in the box; its scale, left and top."""
    import cv2

    x0, y0, x1, y1 = box
    scale = min((x1 - x0) / pixels.shape[1], (y1 - y0) / pixels.shape[0])
    size = (math.floor(pixels.shape[1] * scale), math.floor(pixels.shape[0] * scale))
    left, top = x0 + (x1 - x0 - size[0]) // 2, y0 + (y1 - y0 - size[1]) // 2
    shown = canvas.copy()
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    shown[top : top + size[1], left : left + size[0]] = small
    return shown, scale, left, top


def placed(regions: Mapping[str, Box], scale: float, left: float, top: float) -> dict[str, Box]:
    """Regions of a picture, in pixels of the video."""
    return {
        key: (left + b[0] * scale, top + b[1] * scale, left + b[2] * scale, top + b[3] * scale) for key, b in regions.items()
    }


def _slide(factors: Factors, part: Part, dark: bool, rng: np.random.Generator) -> Screen:
    width, height = factors.size
    talk = TALKS[Domain(factors.domain)]
    lines = [talk.lines[i] for i in rng.permutation(len(talk.lines))]
    paper, ink, strong = (246, 246, 242), (70, 78, 90), (24, 36, 60)
    if dark:
        paper, ink, strong = (24, 30, 46), (205, 210, 220), (245, 245, 250)
    bounds, spans = [part.start_s, *part.marks, part.end_s], []
    first = len(lines) - len(part.marks) if not part.marks else 1
    for i, (start_s, end_s) in enumerate(zip(bounds, bounds[1:], strict=False)):
        canvas = Image.new("RGB", factors.size, paper)
        draw = ImageDraw.Draw(canvas)
        draw.rectangle((0, 0, width, round(0.05 * height)), fill=(38, 70, 120))
        draw.text((0.08 * width, 0.15 * height), talk.title, fill=strong, font=_font(0.12 * height))
        draw.rectangle((0.08 * width, 0.33 * height, 0.6 * width, 0.337 * height), fill=(200, 140, 40))
        end_x, y = 0.0, 0.0
        for j, line in enumerate(lines[: first + i]):
            y = (0.4 + 0.11 * j) * height
            draw.text((0.1 * width, y), line, fill=ink, font=_font(0.06 * height))
            end_x = 0.1 * width + draw.textlength(line, font=_font(0.06 * height))
        caret = (end_x + 0.004 * width, y, end_x + 0.004 * width + max(2, height // 360), y + 0.068 * height)
        spans.append(Span(start_s, end_s, np.asarray(canvas), caret=caret if factors.caret else None))
    text = (0.08 * width, 0.15 * height, 0.6 * width, (0.4 + 0.11 * len(lines)) * height)
    return Screen(tuple(spans), {}, (text,))


def _picture(factors: Factors, part: Part, canvas: np.ndarray, box: Whole, told: list[str],
             rng: np.random.Generator) -> Screen:  # fmt: skip
    assert part.subject is not None
    shown = sources.varied(part.subject.picture, rng, turn=part.subject.picture != "lymph_node")
    still, *where = fitted(canvas, box, shown.pixels)
    return Screen((Span(part.start_s, part.end_s, still),), placed(shown.regions, *where))


def _viewer(factors: Factors, part: Part, canvas: np.ndarray, box: Whole, told: list[str],
            rng: np.random.Generator) -> Screen:  # fmt: skip
    """The whole, then nearer to each region that is spoken of, in turn."""
    import cv2

    assert part.subject is not None
    shown = sources.varied(part.subject.picture, rng, turn=part.subject.picture != "lymph_node")
    x0, y0, x1, y1 = box
    high, wide = shown.pixels.shape[:2]
    whole = min((x1 - x0) / wide, (y1 - y0) / high)
    views = [(wide / 2, high / 2, whole)]
    goals = told or [list(shown.regions)[int(rng.integers(len(shown.regions)))]]
    regions: dict[str, Box] = {}
    for goal in goals[: len(part.marks) // 2]:
        b = shown.regions[goal]
        scale = whole * float(rng.uniform(1.5, 2.4))
        scale = min(scale, 0.6 * (x1 - x0) / (b[2] - b[0]), 0.6 * (y1 - y0) / (b[3] - b[1]))
        scale = max(scale, 1.15 * whole)
        views.append(((b[0] + b[2]) / 2 + rng.uniform(-0.08, 0.08) * wide, (b[1] + b[3]) / 2, scale))
        x, y, _ = views[-1]
        regions |= placed({goal: b}, scale, (x0 + x1) / 2 - x * scale, (y0 + y1) / 2 - y * scale)

    def view(x: float, y: float, scale: float) -> np.ndarray:
        frame = canvas.copy()
        turn = np.array([[scale, 0, (x1 - x0) / 2 - x * scale], [0, scale, (y1 - y0) / 2 - y * scale]])
        frame[y0:y1, x0:x1] = cv2.warpAffine(shown.pixels, turn, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
        return frame

    def pan(turn: int, start_s: float, end_s: float, time_s: float) -> np.ndarray:
        share, before, after = smooth((time_s - start_s) / (end_s - start_s)), views[turn], views[turn + 1]
        x, y = (a + share * (b - a) for a, b in zip(before[:2], after[:2], strict=True))
        return view(x, y, before[2] * (after[2] / before[2]) ** share)

    bounds, spans = [part.start_s, *part.marks, part.end_s], []
    for i, (start_s, end_s) in enumerate(zip(bounds, bounds[1:], strict=False)):
        if i % 2 == 0:
            spans.append(Span(start_s, end_s, view(*views[i // 2])))
        else:
            spans.append(Span(start_s, end_s, draw=functools.partial(pan, i // 2, start_s, end_s)))
    return Screen(tuple(spans), regions)


def _scroll(factors: Factors, part: Part, canvas: np.ndarray, box: Whole, told: list[str],
            rng: np.random.Generator) -> Screen:  # fmt: skip
    stack, regions = sources.slices(factors.domain, len(part.marks) + 1, rng)
    bounds, spans = [part.start_s, *part.marks, part.end_s], []
    where: list[float] = []
    for start_s, end_s, pixels in zip(bounds, bounds[1:], stack, strict=False):
        still, *where = fitted(canvas, box, pixels)
        spans.append(Span(start_s, end_s, still))
    return Screen(tuple(spans), placed(regions, *where))


def _moving(factors: Factors, part: Part, canvas: np.ndarray, box: Whole, told: list[str],
            rng: np.random.Generator) -> Screen:  # fmt: skip
    assert part.subject is not None
    x0, y0, x1, y1 = box
    film: moving.Film = moving.film(part.subject.picture, (x1 - x0, y1 - y0), rng)

    def draw(time_s: float) -> np.ndarray:
        frame = canvas.copy()
        frame[y0:y1, x0:x1] = film.at(time_s)
        return frame

    return Screen((Span(part.start_s, part.end_s, draw=draw),), placed(film.regions, 1.0, x0, y0))


_MAKE = {"picture": _picture, "viewer": _viewer, "scroll": _scroll, "moving": _moving}
