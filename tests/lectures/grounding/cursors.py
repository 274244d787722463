"""How the cursors look: drawn eight times as large and reduced, so that they can stand between pixels."""

import functools
import math

import numpy as np
from PIL import Image, ImageDraw

from tests.lectures.pictures import _ARROW

_FINE, _PHASES = 8, 4
Colour = tuple[int, int, int]
_HAND = ((6, 0), (8, 0), (9, 1), (9, 7), (14, 8), (17, 9), (17, 14), (15, 20), (7, 20), (5, 16), (1, 12), (1, 10), (3, 10),
         (5, 12), (5, 1))  # fmt: skip
"""A pointing hand; the finger's tip is at (7, 0)."""


@functools.lru_cache(maxsize=64)
def sprite(kind: str, px: float, phase_x: int, phase_y: int) -> tuple[np.ndarray, int, int]:
    """RGBA float32 (height, width, 4), alpha 0..1, and where the hot spot's pixel is in it (x, y).

    The hot spot stands `phase` quarters of a pixel right of and below that pixel's corner.
    """
    side = math.ceil(px) + 4
    hot = side  # the drawing may lie to all sides of the hot spot
    canvas = Image.new("RGBA", ((2 * side + 2) * _FINE, (2 * side + 2) * _FINE), _GROUND.get(kind, (0, 0, 0, 0)))
    x, y = (hot * _FINE + phase * _FINE // _PHASES for phase in (phase_x, phase_y))
    _DRAW[kind](ImageDraw.Draw(canvas), x, y, px * _FINE)
    small = np.asarray(canvas.convert("RGBa").resize((2 * side + 2, 2 * side + 2), Image.Resampling.BOX), np.float32)
    return small, hot, hot


def put(frame: np.ndarray, kind: str, px: float, x: float, y: float) -> None:
    """Draw it into uint8 RGB (height, width, 3), its hot spot at (x, y), a quarter of a pixel exact."""
    left, top = math.floor(x), math.floor(y)
    image, hot_x, hot_y = sprite(kind, px, int((x - left) * _PHASES), int((y - top) * _PHASES))
    x0, y0 = left - hot_x, top - hot_y
    cut = image[max(0, -y0) : max(0, frame.shape[0] - y0), max(0, -x0) : max(0, frame.shape[1] - x0)]
    if not cut.size:
        return
    under = frame[max(0, y0) : max(0, y0) + cut.shape[0], max(0, x0) : max(0, x0) + cut.shape[1]]
    under[:] = cut[..., :3] + under * (1 - cut[..., 3:] / 255) + 0.5


def _arrow_of(fill: Colour, edge: Colour, draw: ImageDraw.ImageDraw, x: float, y: float, px: float) -> None:
    unit = px / 20
    points = [(x + a * unit, y + b * unit) for a, b in _ARROW]
    draw.polygon(points, fill=(*fill, 255))
    draw.line([*points, points[0]], fill=(*edge, 255), width=max(_FINE, round(1.3 * unit)), joint="curve")


def _white(draw: ImageDraw.ImageDraw, x: float, y: float, px: float) -> None:
    _arrow_of((255, 255, 255), (20, 20, 20), draw, x, y, px)


def _black(draw: ImageDraw.ImageDraw, x: float, y: float, px: float) -> None:
    _arrow_of((15, 15, 15), (255, 255, 255), draw, x, y, px)


def _cross(draw: ImageDraw.ImageDraw, x: float, y: float, px: float) -> None:
    half, thick = px / 2, max(_FINE, round(px / 16))
    for colour, wide in (((20, 20, 20, 200), thick + 2 * _FINE), ((255, 255, 255, 255), thick)):
        draw.line((x - half, y, x + half, y), fill=colour, width=wide)
        draw.line((x, y - half, x, y + half), fill=colour, width=wide)


def _hand(draw: ImageDraw.ImageDraw, x: float, y: float, px: float) -> None:
    unit = px / 20
    points = [(x + (a - 7) * unit, y + b * unit) for a, b in _HAND]
    draw.polygon(points, fill=(255, 255, 255, 255))
    draw.line([*points, points[0]], fill=(20, 20, 20, 255), width=max(_FINE, round(1.3 * unit)), joint="curve")


def _dot(colour: Colour, draw: ImageDraw.ImageDraw, x: float, y: float, px: float) -> None:
    rings = 14
    for i in range(rings):
        radius = px / 2 * (1 - i / rings)
        glow = math.exp(-((1.7 * radius / (px / 2)) ** 4))  # a firm core, a soft edge
        white = max(0.0, glow - 0.7) / 0.3
        shade = tuple(round(c + (255 - c) * white) for c in colour)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*shade, round(255 * min(1.0, 1.15 * glow))))


def _red(draw: ImageDraw.ImageDraw, x: float, y: float, px: float) -> None:
    _dot((255, 20, 30), draw, x, y, px)


def _green(draw: ImageDraw.ImageDraw, x: float, y: float, px: float) -> None:
    _dot((30, 255, 60), draw, x, y, px)


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, px: float) -> None:
    radius = px / 2
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 235, 40, 110))
    _white(draw, x, y, min(0.48 * px, 20 * _FINE))


_GROUND = {"laser_red": (255, 20, 30, 0), "laser_green": (30, 255, 60, 0), "highlight": (255, 235, 40, 0)}
_DRAW = {"white_arrow": _white, "black_arrow": _black, "crosshair": _cross, "hand": _hand, "laser_red": _red,
         "laser_green": _green, "highlight": _disc}  # fmt: skip
