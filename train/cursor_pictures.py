"""Pictures that the cursor net learns from: cursors drawn on photographs, textures and text, as a recording shows them.

Every picture is drawn anew: no recording and no medical picture is learned from. Of what the grounding films show, only what
is beside their pictures was among the backgrounds: the speaker's photograph and two of the insets'.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.media import RED_WEIGHT
from train.cursor_backgrounds import SIDE_PX, background

_FINE = 4
"""Cursors are drawn so many times as large and reduced: they can stand between pixels."""
KINDS = {"white": 0.2, "black": 0.17, "hand": 0.15, "cross": 0.15, "dot": 0.16, "disc": 0.13, "ring": 0.04}
"""Kinds of cursors, and how often each is drawn."""
_LEAST_PX = {"white": 6, "black": 6, "hand": 7, "cross": 7, "dot": 4, "disc": 13, "ring": 13}
_GLOWS = ((255, 20, 30), (30, 255, 60), (255, 40, 40), (60, 120, 255), (255, 255, 255))
_MARKERS = ((255, 235, 40), (255, 255, 0), (255, 200, 60), (120, 220, 255), (255, 120, 120), (160, 255, 120))
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A drawn cursor: its hot spot and its longer edge, pixels."""

    x: float
    y: float
    size: float


def drawn(rng: np.random.Generator) -> tuple[np.ndarray, list[Shown]]:
    """One picture as `Picture.pointer_luma` gives it, (SIDE_PX, SIDE_PX) uint8, and the cursors in it, none to three."""
    import cv2

    frame = background(rng)
    shown = []
    for _ in range(int(rng.choice(4, p=(0.25, 0.5, 0.17, 0.08)))):
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        px = _LEAST_PX[kind] * math.exp(rng.uniform(0, math.log(3.8 if kind in ("disc", "ring") else 5.5)))
        frame, x, y = _with_cursor(frame, rng, kind, px)
        shown.append(Shown(x, y, px))
    if rng.random() < 0.5:
        frame = cv2.GaussianBlur(frame, (0, 0), rng.uniform(0.3, 0.9))
    return _recorded(frame, rng), shown


def _recorded(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise, halved colour and compression."""
    import cv2

    frame = np.clip(frame, 0, 255)
    luma = frame @ np.array([0.299, 0.587, 0.114], np.float32)
    red = 0.713 * (frame[..., 0] - luma)
    half = cv2.resize(red, (SIDE_PX // 2, SIDE_PX // 2), interpolation=cv2.INTER_AREA)
    seen = luma - RED_WEIGHT * cv2.resize(half, (SIDE_PX, SIDE_PX))
    if rng.random() < 0.4:
        seen = seen + rng.normal(0, rng.uniform(0.5, 3), seen.shape)
    made = np.clip(seen, 0, 255).astype(np.uint8)
    if rng.random() < 0.7:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 96))]
        made = cv2.imdecode(cv2.imencode(".jpg", made, quality)[1], cv2.IMREAD_GRAYSCALE)
    return np.asarray(made)


def _with_cursor(frame: np.ndarray, rng: np.random.Generator, kind: str, px: float) -> tuple[np.ndarray, float, float]:
    """The frame with a cursor, and its hot spot. A hand may tremble: then it is the median of what it showed."""
    image, hot_x, hot_y = _sprite(rng, kind, px)
    left, top = (int(v) for v in np.round(rng.uniform(2, SIDE_PX - 2, 2) - image.shape[0] / 2))
    tremor_px = rng.uniform(0.3, 2.0) if rng.random() < 0.25 else 0.0
    steps = np.round(rng.normal(0, tremor_px, (3 if tremor_px else 1, 2))).astype(int)
    seen = [_put(frame, image, left + int(dx), top + int(dy)) for dx, dy in steps]
    dx, dy = np.median(steps, axis=0)
    return np.median(np.stack(seen), axis=0).astype(np.float32), left + hot_x + dx, top + hot_y + dy


def _put(frame: np.ndarray, image: np.ndarray, left: int, top: int) -> np.ndarray:
    under, size = frame.copy(), image.shape[0]
    y0, y1, x0, x1 = max(0, top), min(SIDE_PX, top + size), max(0, left), min(SIDE_PX, left + size)
    if y1 > y0 and x1 > x0:
        cut = image[y0 - top : y1 - top, x0 - left : x1 - left]
        under[y0:y1, x0:x1] = cut[..., :3] + under[y0:y1, x0:x1] * (1 - cut[..., 3:])
    return under


class _Canvas:
    """A transparent square, `_FINE` times as large, on which a cursor is painted; its hot spot near the middle."""

    def __init__(self, rng: np.random.Generator, px: float) -> None:
        self.side = 2 * (math.ceil(1.25 * px) + 4)
        self._image = np.zeros((self.side * _FINE, self.side * _FINE, 4), np.float32)
        self.x, self.y = self.side / 2 + rng.uniform(-0.5, 0.5, 2)

    def paint(self, alpha: np.ndarray, colour: Sequence[float] | np.ndarray) -> None:
        """Colour (3,) or one a pixel (h, w, 3), 0..255, over what is there."""
        self._image *= 1 - alpha[..., None]
        self._image[..., :3] += alpha[..., None] * np.asarray(colour, np.float32)
        self._image[..., 3] += alpha

    def mask(self, points: Points, px: float, thick: float = 0.0, *, closed: bool = True) -> np.ndarray:
        """A polygon, or with `thick` its line; points from the hot spot in shares of `px`."""
        import cv2

        at = np.array([((self.x + a * px) * _FINE, (self.y + b * px) * _FINE) for a, b in points])
        fixed, mask = np.round(at * 16).astype(np.int32), np.zeros(self._image.shape[:2], np.float32)
        if thick:
            cv2.polylines(mask, [fixed], closed, 1.0, max(1, round(thick * _FINE)), cv2.LINE_AA, 4)
        else:
            cv2.fillPoly(mask, [fixed], 1.0, cv2.LINE_AA, 4)
        return mask

    def radius(self) -> np.ndarray:
        """Of each pixel the distance from the hot spot, pixels."""
        rows, columns = np.mgrid[0 : len(self._image), 0 : len(self._image)]
        return np.asarray(np.hypot((columns + 0.5) / _FINE - self.x, (rows + 0.5) / _FINE - self.y), np.float32)

    def reduced(self) -> np.ndarray:
        """RGB times alpha, and alpha 0..1: (side, side, 4) float32."""
        import cv2

        return np.asarray(cv2.resize(self._image, (self.side, self.side), interpolation=cv2.INTER_AREA))


def _sprite(rng: np.random.Generator, kind: str, px: float) -> tuple[np.ndarray, float, float]:
    canvas = _Canvas(rng, px)
    light, dark = np.full(3, 255 - rng.uniform(0, 12)), np.full(3, rng.uniform(0, 30))
    if kind in ("white", "black"):
        face, edge = (light, dark) if kind == "white" else (dark, light)
        _outlined(canvas, _arrow(rng), px, face, edge, max(1.0, px * rng.uniform(0.04, 0.09)))
    elif kind == "hand":
        _outlined(canvas, _hand(rng), px, light, dark, max(1.0, px * rng.uniform(0.04, 0.09)))
    elif kind == "cross":
        _cross(canvas, rng, px, *((light, dark) if rng.random() < 0.75 else (dark, light)))
    elif kind == "dot":
        _glow(canvas, rng, px)
    else:
        _marker(canvas, rng, px, ring=kind == "ring")
        if rng.random() < 0.8:
            face, edge = (light, dark) if rng.random() < 0.75 else (dark, light)
            _outlined(canvas, _arrow(rng), min(px * rng.uniform(0.4, 0.6), 24), face, edge, max(1.0, 0.03 * px))
    return canvas.reduced(), canvas.x, canvas.y


def _outlined(canvas: _Canvas, shape: Points, px: float, face: np.ndarray, edge: np.ndarray, thick: float) -> None:
    canvas.paint(canvas.mask(shape, px), face)
    canvas.paint(canvas.mask(shape, px, thick), edge)


def _arrow(rng: np.random.Generator) -> Points:
    """With a tail, without, or a bare triangle: one unit high, its tip at (0, 0)."""
    across, kind = rng.uniform(0.58, 0.78), rng.random()
    if kind < 0.1:
        return (0, 0), (0, 1), (across, 0.72)
    if kind < 0.25:
        return (0, 0), (0, 1), (rng.uniform(0.22, 0.34), rng.uniform(0.7, 0.8)), (across, rng.uniform(0.66, 0.78))
    inner, notch, end, thick = rng.uniform((0.15, 0.61, 0.86, 0.1), (0.23, 0.7, 1.0, 0.16))
    tail = inner + 0.17
    points = [(0, 0), (0, rng.uniform(0.78, 0.86)), (inner, notch), (tail, end),
              (tail + thick, end - rng.uniform(0.04, 0.08)), (1.9 * inner, 0.96 * notch),
              (0.95 * across, 0.95 * notch)]  # fmt: skip
    height = max(y for _, y in points)
    return [(x / height, y / height) for x, y in points]


def _hand(rng: np.random.Generator) -> Points:
    """A fist with one finger stretched up, whose tip is at (0, 0)."""
    thick, side = rng.uniform(0.09, 0.13), rng.uniform(0.45, 0.56)
    return [(-thick, 0.02), (0, -0.01), (thick, 0.02), (thick, 0.38), (0.8 * side, 0.43), (side, 0.52), (side, 0.74),
            (0.4, 1), (0, 1), (-0.12, 0.78), (-0.32, 0.6), (-0.3, 0.47), (-thick, 0.6)]  # fmt: skip


def _cross(canvas: _Canvas, rng: np.random.Generator, px: float, face: np.ndarray, edge: np.ndarray) -> None:
    thick, gap = max(1.0, px / rng.uniform(10, 22)), 0.0 if rng.random() < 0.75 else rng.uniform(0.05, 0.15)
    arms = [((s * gap, 0), (s * 0.5, 0)) for s in (-1, 1)] + [((0, s * gap), (0, s * 0.5)) for s in (-1, 1)]
    edged = [(edge, thick + 2 * max(0.8, 0.6 * thick), rng.uniform(0.5, 1))] if rng.random() < 0.8 else []
    for colour, wide, alpha in [*edged, (face, thick, 1.0)]:
        masks = [canvas.mask(arm, px, wide, closed=False) for arm in arms]
        canvas.paint(alpha * np.max(masks, axis=0), colour)


def _glow(canvas: _Canvas, rng: np.random.Generator, px: float) -> None:
    """A laser's dot: a firm, often white core, a soft edge."""
    radius = canvas.radius() / (px / 2)
    glow = np.where(radius <= 1, np.exp(-((rng.uniform(1.3, 1.9) * radius) ** rng.uniform(2, 5))), 0).astype(np.float32)
    white = np.clip((glow - rng.uniform(0.5, 0.8)) / 0.3, 0, 1) if rng.random() < 0.7 else np.zeros_like(glow)
    colour = np.array(_GLOWS[int(rng.integers(len(_GLOWS)))], np.float32)
    canvas.paint(np.minimum(1, rng.uniform(0.9, 1.2) * glow), colour + (255 - colour) * white[..., None])


def _marker(canvas: _Canvas, rng: np.random.Generator, px: float, *, ring: bool) -> None:
    """A disc that lets the picture through, or a ring."""
    radius = canvas.radius() / (px / 2)
    inside = np.clip((1 - radius) * px / 2 * _FINE + 0.5, 0, 1)
    if ring:
        inside = inside * (radius > 1 - rng.uniform(0.12, 0.28))
    colour = _MARKERS[int(rng.choice(len(_MARKERS), p=(0.35, 0.25, 0.1, 0.1, 0.1, 0.1)))]
    canvas.paint((inside * rng.uniform(*((0.6, 1) if ring else (0.25, 0.6)))).astype(np.float32), colour)
