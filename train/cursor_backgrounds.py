"""What cursors are drawn on for the cursor net: photographs, textures and slides, with writing and strokes that are none."""

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np

SIDE_PX = 160
_PHOTOGRAPHS = ("astronaut", "brick", "camera", "cat", "clock", "coffee", "coins", "grass", "gravel", "horse",
                "hubble_deep_field", "logo", "moon", "page", "rocket", "text")  # fmt: skip
"""Of scikit-image, which brings them along."""
_FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf")
_LETTERS = list("abcdefghiklmnoprstuvwxyz    ABCDEFGHIKLMNOPRSTW0123456789.,:-+|()")


def background(rng: np.random.Generator) -> np.ndarray:
    """RGB (SIDE_PX, SIDE_PX, 3) float32, 0..255."""
    import cv2

    kind = rng.random()
    made = _photograph(rng) if kind < 0.5 else _texture(rng) if kind < 0.78 else np.full((SIDE_PX, SIDE_PX, 3), _paper(rng))
    if kind >= 0.78 or rng.random() < 0.25:
        made = _written(made, rng, lines=6 if kind >= 0.78 else 1)
    for _ in range(int(rng.integers(0, 4)) if rng.random() < 0.4 else 0):
        _stroke(made, rng)
    if rng.random() < 0.5:
        made = cv2.GaussianBlur(made, (0, 0), rng.uniform(0.3, 1.6))
    if rng.random() < 0.2:
        made = _captioned(made, rng)
    return np.asarray(255 * (np.clip(made, 0, 255) / 255) ** rng.uniform(0.6, 1.6) * rng.uniform(0.6, 1.0), np.float32)


@functools.cache
def _photographs() -> list[np.ndarray]:
    import skimage.data

    found = [getattr(skimage.data, name)() for name in _PHOTOGRAPHS]
    found = [np.uint8(255) * p.astype(np.uint8) if p.dtype == bool else p for p in found]
    return [np.repeat(p[..., None], 3, axis=-1) if p.ndim == 2 else np.ascontiguousarray(p[..., :3]) for p in found]


def _photograph(rng: np.random.Generator) -> np.ndarray:
    import cv2

    whole = _photographs()[int(rng.integers(len(_PHOTOGRAPHS)))]
    side = max(24, min(*whole.shape[:2], int(SIDE_PX / math.exp(rng.uniform(math.log(0.35), math.log(3))))))
    top, left = (int(rng.integers(0, edge - side + 1)) for edge in whole.shape[:2])
    cut = np.ascontiguousarray(whole[top : top + side, left : left + side])
    way = cv2.INTER_AREA if side > SIDE_PX else cv2.INTER_CUBIC
    made = cv2.resize(cut, (SIDE_PX, SIDE_PX), interpolation=way).astype(np.float32)
    made = np.rot90(made, int(rng.integers(4)))[:, :: int(rng.choice((1, -1)))]
    if rng.random() < 0.4:
        made = np.repeat(made.mean(axis=-1, keepdims=True), 3, axis=-1)
    return np.ascontiguousarray(255 - made if rng.random() < 0.25 else made)


def _texture(rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of several scales, with round things that are no cursor."""
    import cv2

    base = np.full((SIDE_PX, SIDE_PX), rng.uniform(0, 255), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        noise = cv2.GaussianBlur(rng.standard_normal(base.shape, dtype=np.float32), (0, 0), math.exp(rng.uniform(-0.2, 3.4)))
        base += rng.uniform(2, 45) * noise / noise.std()
    for _ in range(int(rng.integers(0, 14))):
        axis = math.exp(rng.uniform(0, 3.1))
        axes = (int(16 * axis), int(16 * axis * rng.uniform(0.35, 1)))
        at = [int(v) for v in rng.integers(0, 16 * SIDE_PX, 2)]
        mask = np.zeros_like(base)
        cv2.ellipse(mask, at, axes, rng.uniform(0, 180), 0, 360, 1.0, -1, cv2.LINE_AA, 4)
        base += rng.uniform(-130, 130) * cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.4, 3))
    tint = rng.uniform(0.5, 1.2, 3) if rng.random() < 0.5 else np.ones(3)
    return np.asarray(base[..., None] * tint, np.float32)


def _paper(rng: np.random.Generator) -> np.ndarray:
    grey = np.repeat(rng.choice((0, 255, 250, 20, 235)), 3)
    return np.asarray(rng.uniform(0, 255, 3) if rng.random() < 0.4 else grey, np.float32)


def _text(rng: np.random.Generator) -> str:
    return "".join(rng.choice(_LETTERS, size=int(rng.integers(1, 28))))


@functools.cache
def _font(name: str, px: int) -> Any:
    import matplotlib as mpl
    from PIL import ImageFont

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / name, px)


def _written(frame: np.ndarray, rng: np.random.Generator, lines: int) -> np.ndarray:
    from PIL import Image, ImageDraw

    image = Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8))
    draw, px = ImageDraw.Draw(image), int(math.exp(rng.uniform(math.log(9), math.log(44))))
    ground = float(frame.mean())
    ink = tuple(int(v) for v in (np.full(3, 0 if ground > 128 else 255) if rng.random() < 0.7 else rng.uniform(0, 255, 3)))
    at_y = rng.uniform(-10, SIDE_PX - 10) if lines == 1 else rng.uniform(-10, 20)
    for _ in range(lines):
        place = (rng.uniform(-60, SIDE_PX / 2), at_y)
        draw.text(place, _text(rng), fill=ink, font=_font(str(rng.choice(_FONTS)), px))
        at_y += px * rng.uniform(1.1, 2.2)
    return np.asarray(image, np.float32)


def _captioned(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Words burnt in, on a dark band or with an edge."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8))
    draw, px, top = ImageDraw.Draw(image), int(rng.integers(10, 34)), int(rng.integers(-5, SIDE_PX - 10))
    if rng.random() < 0.5:
        draw.rectangle((0, top - 3, SIDE_PX, top + 1.3 * px), fill=(int(rng.integers(0, 60)),) * 3)
    edge = int(rng.integers(0, 3))
    font = _font(str(rng.choice(_FONTS)), px)
    draw.text((-float(rng.uniform(0, 60)), top), _text(rng) + _text(rng), fill="white", font=font, stroke_width=edge,
              stroke_fill="black")  # fmt: skip
    return np.asarray(image, np.float32)


def _stroke(frame: np.ndarray, rng: np.random.Generator) -> None:
    """Frames, ovals, lines and an annotator's arrows, which are part of a picture."""
    import cv2

    colour = (rng.choice((0, 255), 3) if rng.random() < 0.6 else rng.uniform(0, 255, 3)).tolist()
    one, other = rng.integers(-20, SIDE_PX + 20, (2, 2)).tolist()
    thick, kind = int(rng.integers(1, 5)), rng.random()
    if kind < 0.3:
        cv2.line(frame, one, other, colour, thick, cv2.LINE_AA)
    elif kind < 0.5:
        cv2.rectangle(frame, one, other, colour, thick, cv2.LINE_AA)
    elif kind < 0.75:
        axes = rng.integers(4, 60, 2).tolist()
        cv2.ellipse(frame, one, axes, rng.uniform(0, 180), 0, float(rng.choice((360, 200))), colour, thick, cv2.LINE_AA)
    else:
        cv2.arrowedLine(frame, one, other, colour, thick, cv2.LINE_AA, 0, rng.uniform(0.05, 0.3))
