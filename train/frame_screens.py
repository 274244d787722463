"""Screens as recordings show them: a picture in a viewer, on a slide or full screen, and screens without a picture.

Everything is drawn from a numpy generator: the same seed gives the same pixels.
"""

import functools
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from actors.frame_classifier import LONGEST_EDGE_PX

Rng = np.random.Generator
_SIZES = ((640, 360), (640, 360), (640, 480), (720, 404))
_WORDS = (
    "the", "of", "lecture", "introduction", "case", "history", "findings", "summary", "today", "review", "figure",
    "week", "patient", "learning", "objectives", "table", "questions", "thank", "you", "next", "method", "results",
    "series", "anatomy", "travel", "market", "culture", "energy", "project", "plan",
)  # fmt: skip


def reduced(picture: np.ndarray) -> np.ndarray:
    """`picture` with its longer edge at most 720 px: larger than any screen that is composed, quicker to handle."""
    import cv2

    scale = 720 / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def screen(picture: np.ndarray, rng: Rng, face: np.ndarray | None = None) -> np.ndarray:
    """`picture` (H, W, 3) uint8 as one frame of a screen recording, RGB uint8, longest edge 256 px.

    With `face`, some frames carry it as a talking-head inset.
    """
    layout: Callable[[Image.Image, Rng], Image.Image] = (_viewer, _viewer, _slide, _full)[rng.integers(4)]
    canvas = layout(_varied(picture, rng), rng)
    if face is not None and rng.random() < 0.4:
        _inset(canvas, face, rng)
    if rng.random() < 0.7:
        _cursor(canvas, rng)
    return _recorded(canvas, rng)


def empty_screen(rng: Rng, face: np.ndarray) -> np.ndarray:
    """A frame without a medical picture: slide of text, chart, desktop, empty viewer, plain colour, talking head."""
    draw: Callable[[Rng, np.ndarray], Image.Image] = (
        _text_slide, _text_slide, _text_slide, _chart, _desktop, _empty_viewer, _plain, _talking_head,
    )[rng.integers(8)]  # fmt: skip
    canvas = draw(rng, face)
    if rng.random() < 0.3:
        _inset(canvas, face, rng)
    if rng.random() < 0.6:
        _cursor(canvas, rng)
    return _recorded(canvas, rng)


def _varied(picture: np.ndarray, rng: Rng) -> Image.Image:
    """A crop of at least half the area, mirrored or turned slightly, with other brightness, contrast and tint."""
    height, width = picture.shape[:2]
    if rng.random() < 0.6:
        keep = rng.uniform(0.7, 1.0, 2)
        h, w = max(8, int(height * keep[0])), max(8, int(width * keep[1]))
        top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        picture = picture[top : top + h, left : left + w]
    if rng.random() < 0.3:
        picture = picture[:, ::-1]
    values = (picture / 255.0) ** rng.uniform(0.7, 1.4) * rng.uniform(0.8, 1.15) * rng.uniform(0.95, 1.05, 3)
    image = Image.fromarray(np.clip(values * 255, 0, 255).astype(np.uint8))
    if rng.random() < 0.25:
        corner = image.getpixel((0, 0))
        image = image.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR, fillcolor=corner)
    return image


def _paste(canvas: Image.Image, picture: Image.Image, box: tuple[float, float, float, float]) -> None:
    """Fits `picture` into the box (x0, y0, x1, y1 as shares of the canvas), keeping its aspect ratio."""
    x0, y0, x1, y1 = (int(b * s) for b, s in zip(box, canvas.size * 2, strict=True))
    scale = min((x1 - x0) / picture.width, (y1 - y0) / picture.height)
    size = (max(2, int(picture.width * scale)), max(2, int(picture.height * scale)))
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    canvas.paste(picture.resize(size, method), ((x0 + x1 - size[0]) // 2, (y0 + y1 - size[1]) // 2))


def _text(
    canvas: Image.Image, share: tuple[float, float], words: int, size: float, ink: tuple[int, ...], rng: Rng
) -> None:
    text = " ".join(rng.choice(_WORDS, words)).capitalize()
    at = (share[0] * canvas.width, share[1] * canvas.height)
    ImageDraw.Draw(canvas).text(at, text, fill=ink, font=_font(round(size)))


@functools.lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _blank(rng: Rng, low: int, high: int) -> Image.Image:
    size = _SIZES[rng.integers(len(_SIZES))]
    colour = np.clip(rng.integers(low, high) + rng.integers(-12, 13, 3), 0, 255)
    return Image.new("RGB", size, tuple(int(c) for c in colour))


def _chrome(canvas: Image.Image, rng: Rng) -> tuple[float, float, float, float]:
    """Toolbar, side panel and labels of a viewer; returns the free box."""
    draw, (width, height) = ImageDraw.Draw(canvas), canvas.size
    bar = rng.uniform(0.05, 0.12)
    tone = int(rng.integers(30, 100))
    draw.rectangle((0, 0, width, bar * height), fill=(tone, tone, tone + int(rng.integers(0, 20))))
    for i in range(rng.integers(3, 14)):
        x, edge = 8 + i * bar * height * 1.1, bar * height * 0.6
        shade = tuple(int(v) for v in rng.integers(80, 220, 3))
        draw.rectangle((x, bar * height * 0.2, x + edge, bar * height * 0.2 + edge), outline=shade, width=2)
    box = [0.01, bar + 0.01, 0.99, rng.uniform(0.93, 0.99)]
    if rng.random() < 0.4:
        side = rng.uniform(0.1, 0.25)
        left = rng.random() < 0.5
        box[0 if left else 2] = side if left else 1 - side
        x0 = 0.0 if left else 1 - side
        draw.rectangle((x0 * width, bar * height, (x0 + side) * width, height), fill=(tone // 2,) * 3)
        for row in range(rng.integers(2, 9)):
            _text(canvas, (x0 + 0.01, bar + 0.03 + row * 0.07), 2, 10, (170, 170, 170), rng)
    return box[0], box[1], box[2], box[3]


def _viewer(picture: Image.Image, rng: Rng) -> Image.Image:
    canvas = _blank(rng, 0, 50)
    _paste(canvas, picture, _chrome(canvas, rng))
    for corner in ((0.02, 0.14), (0.75, 0.14), (0.02, 0.9), (0.75, 0.9)):
        if rng.random() < 0.4:
            _text(canvas, corner, 2, rng.uniform(9, 14), (230, 230, int(rng.integers(90, 231))), rng)
    return canvas


def _slide(picture: Image.Image, rng: Rng) -> Image.Image:
    dark = rng.random() < 0.3
    canvas = _blank(rng, 0, 60) if dark else _blank(rng, 200, 256)
    ink = (235, 235, 235) if dark else (25, 25, 45)
    _text(canvas, (0.05, 0.04), int(rng.integers(2, 5)), rng.uniform(20, 34), ink, rng)
    split = rng.uniform(0.25, 0.42)
    left = rng.random() < 0.5
    if rng.random() < 0.7:
        for row in range(rng.integers(1, 6)):
            _text(canvas, (0.04 if left else 1 - split, 0.25 + 0.12 * row), 2, rng.uniform(12, 18), ink, rng)
        _paste(canvas, picture, (split, 0.18, 0.97, 0.95) if left else (0.03, 0.18, 0.97 - split, 0.95))
    else:
        _paste(canvas, picture, (0.05, 0.18, 0.95, 0.96))
    return canvas


def _full(picture: Image.Image, rng: Rng) -> Image.Image:
    canvas = _blank(rng, 0, 12) if rng.random() < 0.7 else _blank(rng, 240, 256)
    if rng.random() < 0.4:
        scale = max(canvas.width / picture.width, canvas.height / picture.height)
        picture = picture.resize((int(picture.width * scale) + 1, int(picture.height * scale) + 1))
        left, top = (picture.width - canvas.width) // 2, (picture.height - canvas.height) // 2
        return picture.crop((left, top, left + canvas.width, top + canvas.height))
    _paste(canvas, picture, (0, 0, 1, 1))
    return canvas


def _text_slide(rng: Rng, _face: np.ndarray) -> Image.Image:
    dark = rng.random() < 0.5
    canvas = _blank(rng, 0, 70) if dark else _blank(rng, 190, 256)
    ink = (240, 240, 240) if dark else (20, 20, 40)
    if rng.random() < 0.3:
        band = tuple(int(v) for v in rng.integers(0, 256, 3))
        ImageDraw.Draw(canvas).rectangle((0, 0, canvas.width, canvas.height * rng.uniform(0.02, 0.2)), fill=band)
    title_at = (rng.uniform(0.04, 0.3), rng.uniform(0.05, 0.45))
    _text(canvas, title_at, int(rng.integers(1, 5)), rng.uniform(22, 46), ink, rng)
    for row in range(rng.integers(0, 8)):
        at = (rng.uniform(0.05, 0.1), 0.5 + 0.07 * row)
        _text(canvas, at, int(rng.integers(2, 8)), rng.uniform(12, 20), ink, rng)
    return canvas


def _chart(rng: Rng, face: np.ndarray) -> Image.Image:
    canvas = _text_slide(rng, face)
    draw, (width, height) = ImageDraw.Draw(canvas), canvas.size
    for i in range(rng.integers(3, 12)):
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        draw.rectangle((60 + i * 45, height * rng.uniform(0.3, 0.8), 90 + i * 45, height * 0.9), fill=colour)
    draw.line((50, height * 0.9, width - 40, height * 0.9), fill=(128, 128, 128), width=2)
    return canvas


def _desktop(rng: Rng, _face: np.ndarray) -> Image.Image:
    canvas = _blank(rng, 20, 200)
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(0, 0.4) * canvas.width, rng.uniform(0, 0.4) * canvas.height
        tone = int(rng.choice([25, 40, 240, 255]))
        draw.rectangle((x, y, x + canvas.width * 0.55, y + canvas.height * 0.55), fill=(tone,) * 3, outline=(128,) * 3)
        for row in range(12):
            colour = tuple(int(v) for v in rng.integers(90, 200, 3))
            draw.line((x + 10, y + 14 * row + 10, x + rng.uniform(40, 300), y + 14 * row + 10), fill=colour, width=3)
    return canvas


def _empty_viewer(rng: Rng, _face: np.ndarray) -> Image.Image:
    canvas = _blank(rng, 0, 60)
    _chrome(canvas, rng)
    return canvas


def _plain(rng: Rng, _face: np.ndarray) -> Image.Image:
    return _blank(rng, 0, 256)


def _talking_head(rng: Rng, face: np.ndarray) -> Image.Image:
    canvas = _blank(rng, 20, 220)
    _paste(canvas, Image.fromarray(face), (rng.uniform(0, 0.3), 0.0, rng.uniform(0.7, 1), 1.0))
    return canvas


def _inset(canvas: Image.Image, face: np.ndarray, rng: Rng) -> None:
    edge = int(canvas.height * rng.uniform(0.18, 0.3))
    x, y = (4 if rng.random() < 0.5 else canvas.width - edge - 4, 4 if rng.random() < 0.3 else canvas.height - edge - 4)
    canvas.paste(Image.fromarray(face).resize((edge, edge), Image.Resampling.BICUBIC), (x, y))


def _cursor(canvas: Image.Image, rng: Rng) -> None:
    x, y, s = rng.uniform(0.1, 0.9) * canvas.width, rng.uniform(0.1, 0.9) * canvas.height, rng.uniform(0.6, 2.0)
    shape = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))
    colours = [((255, 255, 255), (0, 0, 0)), ((0, 0, 0), (255, 255, 255)), ((255, 220, 0), (0, 0, 0))][rng.integers(3)]
    ImageDraw.Draw(canvas).polygon([(x + s * a, y + s * b) for a, b in shape], fill=colours[0], outline=colours[1])


def _recorded(canvas: Image.Image, rng: Rng) -> np.ndarray:
    """Compressed as a recording is (JPEG with halved chroma stands for an intra frame), then reduced to 256 px."""
    import cv2

    pixels = cv2.cvtColor(np.asarray(canvas), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))])
    pixels = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    scale = LONGEST_EDGE_PX / max(canvas.size)
    small = (round(canvas.width * scale), round(canvas.height * scale))
    return np.asarray(cv2.resize(pixels, small, interpolation=cv2.INTER_AREA))
