"""Pictures that move all the time: a heart's film from a package, a vessel drawn in a fan, a section on a moving stage."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tests.lectures.grounding import phantoms, sources
from tests.lectures.pictures import Box, package_file


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """A picture that depends on the time, seconds."""

    at: Callable[[float], np.ndarray]
    """uint8 RGB of the size asked for."""
    regions: Mapping[str, Box]
    """In its pixels; what they name stays within them."""


def film(name: str, size: tuple[int, int], rng: np.random.Generator) -> Film:
    """The moving picture of that name, (width, height) pixels."""
    if name == "heart_film":
        return _heart(size, rng)
    if name == "sector_film":
        return _vessel(size, rng)
    return _stage(name, size, rng)


def _heart(size: tuple[int, int], rng: np.random.Generator) -> Film:
    """An apical four-chamber view: one beat of 30 frames, over and over."""
    import cv2

    frames = sources.dicom(package_file("pydicom", "data/test_files/examples_ybr_color.dcm"))[:, :222]
    scale = min(size[0] / frames.shape[2], size[1] / frames.shape[1])
    inner = (round(frames.shape[2] * scale), round(frames.shape[1] * scale))
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    curve = (255 * (np.arange(256) / 255) ** rng.uniform(0.6, 0.8)).astype(np.uint8)
    ready = []
    for frame in frames:
        whole = np.zeros((size[1], size[0], 3), np.uint8)
        whole[top : top + inner[1], left : left + inner[0]] = curve[cv2.resize(frame, inner, interpolation=cv2.INTER_CUBIC)]
        ready.append(whole)
    rate = float(rng.uniform(22, 34))
    boxes = {"left ventricle": (160, 76, 196, 124), "mitral valve": (150, 118, 190, 142), "septum": (140, 76, 164, 126)}
    regions = {
        key: (left + a * scale, top + b * scale, left + c * scale, top + d * scale) for key, (a, b, c, d) in boxes.items()
    }
    return Film(lambda time_s: ready[int(time_s * rate) % len(ready)], regions)


def _vessel(size: tuple[int, int], rng: np.random.Generator) -> Film:
    """A vessel across a fan of speckle, wider with each beat; the speckle flickers, the frame stands."""
    import cv2

    width, height = size
    wide = min(width, round(1.25 * height))
    shape, off = (height, wide), (width - wide) // 2
    grey = phantoms.echoes(shape, int(rng.integers(1000)))
    at_y = round(height * rng.uniform(0.42, 0.55))
    half = round(0.07 * height)
    hole = np.zeros(shape, np.float32)
    cv2.ellipse(hole, (wide // 2, at_y), (round(0.42 * wide), half), 4, 0, 360, 1.0, -1, cv2.LINE_AA)
    wall = np.zeros(shape, np.float32)
    cv2.ellipse(wall, (wide // 2, at_y), (round(0.42 * wide), half), 4, 0, 360, 1.0, max(2, height // 110), cv2.LINE_AA)
    plaque = (round(wide * rng.uniform(0.42, 0.6)), at_y + round(0.8 * half))
    bright = np.zeros(shape, np.float32)
    cv2.ellipse(bright, plaque, (round(0.05 * wide), round(0.028 * height)), 4, 0, 360, 1.0, -1, cv2.LINE_AA)
    shadow = np.zeros(shape, np.float32)
    shadow[plaque[1] + round(0.02 * height) :, plaque[0] - round(0.045 * wide) : plaque[0] + round(0.045 * wide)] = 0.7
    grey = grey * (1 - 0.93 * phantoms._blur(hole, 2)) * (1 - phantoms._blur(shadow, 8)) + 120 * phantoms._blur(wall, 1.5)
    grey += 150 * phantoms._blur(bright, 3)
    still = np.clip(grey, 0, 255).astype(np.uint8)
    fan = phantoms.sector(shape)
    y, x = np.mgrid[:height, :wide].astype(np.float32)
    near = np.exp(-(((y - at_y) / (2.2 * half)) ** 2))
    pull = (y - at_y) * near * 0.16
    flicker = [np.clip(14 + 9 * phantoms.texture(shape, 1.4, 70 + i), 0, 60).astype(np.uint8) * fan for i in range(6)]
    mask = fan.astype(np.uint8) * 255
    rate, phase = float(rng.uniform(0.9, 1.4)), float(rng.random())

    def at(time_s: float) -> np.ndarray:
        beat = (time_s * rate + phase) % 1.0
        wider = math.exp(-(((beat - 0.25) / 0.13) ** 2)) - 0.25 * math.exp(-(((beat - 0.6) / 0.15) ** 2))
        warped = cv2.remap(still, x, y - np.float32(wider) * pull, cv2.INTER_LINEAR)
        lit = cv2.bitwise_and(cv2.add(cv2.subtract(warped, 12), flicker[int(time_s * 20) % 6]), mask)
        frame = np.zeros((height, width, 3), np.uint8)
        frame[:, off : off + wide] = lit[..., None]
        return frame

    left = off + plaque[0]
    return Film(at, {
        "vessel": (off + 0.26 * wide, at_y - half, off + 0.44 * wide, at_y + half),
        "plaque": (left - 0.055 * wide, plaque[1] - 0.045 * height, left + 0.055 * wide, plaque[1] + 0.045 * height),
    })  # fmt: skip


def _stage(name: str, size: tuple[int, int], rng: np.random.Generator) -> Film:
    """A section seen through a microscope whose stage drifts without rest."""
    import cv2

    pixels = sources.varied(name, rng).pixels
    high, wide = pixels.shape[:2]
    scale = 1.5 * max(size[0] / wide, size[1] / high)
    room = ((wide - size[0] / scale) / 2, (high - size[1] / scale) / 2)
    rates, phases = rng.uniform(0.05, 0.11, 2), rng.uniform(0, 6.28, 2)

    def at(time_s: float) -> np.ndarray:
        x, y = (
            centre + 0.95 * gap * math.sin(2 * math.pi * rate * time_s + phase)
            for centre, gap, rate, phase in zip((wide / 2, high / 2), room, rates, phases, strict=True)
        )
        turn = np.array([[scale, 0, size[0] / 2 - x * scale], [0, scale, size[1] / 2 - y * scale]])
        return cv2.warpAffine(pixels, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    return Film(at, {})
