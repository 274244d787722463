"""The grounding films' pictures: from packages, or phantoms drawn here; each film shows its own crop and shade of them."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from tests.lectures import pictures
from tests.lectures.grounding import phantoms
from tests.lectures.pictures import Box, Picture, package_file


@dataclass(frozen=True, slots=True)
class _File:
    package: str
    path: str
    crop: tuple[int, int, int, int]
    regions: Mapping[str, Box]
    """Of the whole file, pixels."""


_DICOM = "data/test_files/"
_FILES = {
    "ct_spine": _File("pydicom", _DICOM + "CT_small.dcm", (0, 0, 128, 128), {
        "vertebral body": (43, 5, 80, 40), "spinal canal": (47, 40, 73, 61), "spinous process": (51, 59, 70, 84),
        "aorta": (76, 0, 109, 35)}),
    "mr_abdomen": _File("pydicom", _DICOM + "examples_overlay.dcm", (0, 0, 484, 300), {
        "liver lesion": (119, 97, 171, 164), "right kidney": (119, 196, 187, 255), "aorta": (237, 156, 280, 188),
        "spleen": (356, 121, 400, 216)}),
    "lymph_node": _File("pydicom", _DICOM + "examples_rgb_color.dcm", (0, 56, 320, 168), {
        "blood flow": (44, 84, 122, 130), "cortex": (166, 124, 242, 146)}),
    "cell": _File("skimage", "data/cell.png", (0, 0, 550, 660), {
        "cell": (345, 305, 510, 445), "debris": (172, 402, 215, 455)}),
    "microaneurysms": _File("skimage", "data/microaneurysms.png", (0, 0, 102, 102), {
        "microaneurysm": (11, 16, 24, 29), "vessel": (18, 44, 84, 57)}),
}  # fmt: skip


@functools.cache
def source(name: str) -> Picture:
    """The picture as its package holds it, or as drawn; at least 700 pixels high, so that it bears enlargement.

    Raises:
        KeyError: there is none of that name.
    """
    if name in phantoms.DRAWN:
        found = phantoms.DRAWN[name]()
    elif name in _FILES:
        found = _from_file(name)
    elif name.startswith("brain_"):
        found = _one_pane(pictures.picture(name))
    else:
        found = pictures.picture(name)
    height, width = found.pixels.shape[:2]
    by = max(1.0, 700 / height)
    pixels = Image.fromarray(found.pixels).resize((round(width * by), round(height * by)), Image.Resampling.BICUBIC)
    regions = {key: tuple(edge * by for edge in box) for key, box in found.regions.items()}
    return Picture(name=name, pixels=np.asarray(pixels), regions=regions)  # type: ignore[arg-type]


def _one_pane(both: Picture) -> Picture:
    """The first of a pair of slices: the regions are in it, and alone it fills the screen better."""
    height, width = both.pixels.shape[:2]
    return replace(both, pixels=both.pixels[:, : width // 2]) if width > 1.4 * height else both


def _from_file(name: str) -> Picture:
    file = _FILES[name]
    path = package_file(file.package, file.path)
    pixels = dicom(path)[0] if path.suffix == ".dcm" else np.asarray(Image.open(path).convert("RGB"))
    x0, y0, x1, y1 = file.crop
    regions = {key: (b[0] - x0, b[1] - y0, b[2] - x0, b[3] - y0) for key, b in file.regions.items()}
    return Picture(name=name, pixels=pixels[y0:y1, x0:x1], regions=regions)


def dicom(path: Path) -> np.ndarray:
    """Its frames, uint8 (frames, height, width, 3); grey ones from their least value to the 99.7th percentile."""
    import pydicom

    values = pydicom.dcmread(path).pixel_array
    if values.shape[-1] == 3:
        return values if values.ndim == 4 else values[None]
    low, high = float(values.min()), float(np.percentile(values, 99.7))
    grey = np.clip((values - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    return np.repeat(grey.reshape(-1, *grey.shape[-2:])[..., None], 3, axis=-1)


def varied(name: str, rng: np.random.Generator, turn: bool = True) -> Picture:
    """The picture in this film's own crop, brightness and, where `turn` (no writing in it), mirrored or not."""
    found = source(name)
    pixels, regions = found.pixels, dict(found.regions)
    height, width = pixels.shape[:2]
    boxes = np.array(list(regions.values()))
    # up to an eighth off each side, never into a region
    room = (*np.maximum(0, boxes[:, :2].min(0) - 4), *np.maximum(0, (width, height) - boxes[:, 2:].max(0) - 4))
    most = rng.uniform(0, 0.12, 4) * ((width, height) * 2)
    off = [int(min(gap, wanted)) for gap, wanted in zip(room, most, strict=True)]
    pixels = pixels[off[1] : height - off[3], off[0] : width - off[2]]
    regions = {key: (b[0] - off[0], b[1] - off[1], b[2] - off[0], b[3] - off[1]) for key, b in regions.items()}
    if rng.random() < 0.5 and turn:
        pixels, wide = pixels[:, ::-1], pixels.shape[1]
        regions = {key: (wide - b[2], b[1], wide - b[0], b[3]) for key, b in regions.items()}
    curve = 255 * (np.arange(256) / 255) ** rng.uniform(0.85, 1.2) * rng.uniform(0.88, 1.0)
    return Picture(name=name, pixels=np.ascontiguousarray(curve.astype(np.uint8)[pixels]), regions=regions)


def slices(domain: str, count: int, rng: np.random.Generator) -> tuple[list[np.ndarray], dict[str, Box]]:
    """Neighbouring axial slices of one head, uint8 (height, width, 3), and the regions of the last."""
    heights = [8 + round(float(step)) for step in np.linspace(rng.choice([-28, 34]), 0, count)]
    if domain == "ct":
        stack = [phantoms.ct_head(at_mm) for at_mm in heights]
        return [one.pixels for one in stack], dict(stack[-1].regions)
    panes = [pictures._pane("axial", at_mm) for at_mm in heights]
    size = (panes[0].shape[1] * pictures._ENLARGED, panes[0].shape[0] * pictures._ENLARGED)
    large = [np.asarray(Image.fromarray(pane).resize(size, Image.Resampling.BICUBIC)) for pane in panes]
    regions = pictures.picture("brain_axial").regions
    return [np.repeat(pane[..., None], 3, axis=-1) for pane in large], dict(regions)
