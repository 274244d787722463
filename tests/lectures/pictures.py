"""What a lecture shows: pictures from packages, and the screens they stand on.

The photographs are scikit-image's, the brain is the MNI152 T1 volume that nilearn carries. A screen is a slide, or a
picture in a viewer, drawn once; the cursor and the speaker's inset are pasted over it in every frame.
"""

import functools
import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tests.lectures.script import Scene

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels, origin top left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture, uint8 (height, width, 3), and its named regions in its own pixels."""

    name: str
    pixels: np.ndarray
    regions: Mapping[str, Box]


def package_file(package: str, relative: str) -> Path:
    """A data file inside an installed package, without importing it.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"The lectures need pictures of the package {package}.")
    return Path(spec.submodule_search_locations[0]) / relative


@functools.cache
def picture(name: str) -> Picture:
    """The picture of that name.

    Raises:
        KeyError: there is none.
    """
    if "/" in name:
        from tests.lectures import varied

        return varied.picture(name)
    return _brain(name) if name in _BRAINS else _photograph(name)


def names() -> tuple[str, ...]:
    """All pictures there are."""
    return (*_BRAINS, *_PHOTOGRAPHS)


@dataclass(frozen=True, slots=True)
class _Crop:
    file: str
    box: tuple[int, int, int, int]
    """What is shown of the file, pixels of the file."""
    regions: Mapping[str, Box]
    """Also in pixels of the file."""


_RETINA = (0, 0, 1411, 1411)
_PHOTOGRAPHS: dict[str, _Crop] = {
    "retina": _Crop("retina.jpg", _RETINA, {
        "optic disc": (130, 550, 330, 760), "macula": (610, 600, 810, 800), "upper vessels": (420, 290, 900, 450)}),
    "retina_disc": _Crop("retina.jpg", (20, 330, 720, 890), {
        "cup": (210, 590, 310, 730), "lower vein": (160, 760, 250, 880)}),
    "retina_macula": _Crop("retina.jpg", (350, 420, 1150, 1060), {"fovea": (650, 640, 770, 760)}),
    "retina_vessels": _Crop("retina.jpg", (180, 760, 980, 1400), {
        "vein": (560, 1180, 860, 1260), "branch": (420, 920, 640, 990)}),
    "tissue": _Crop("ihc.png", (0, 0, 512, 512), {
        "large gland": (60, 60, 230, 220), "stroma": (190, 260, 290, 400), "round gland": (260, 320, 375, 490)}),
    "tissue_gland": _Crop("ihc.png", (240, 0, 480, 180), {
        "lumen": (315, 95, 375, 175), "nuclei": (385, 45, 445, 105)}),
    "tissue_stroma": _Crop("ihc.png", (60, 190, 380, 430), {
        "blue cells": (215, 260, 285, 310), "gland edge": (150, 225, 240, 265)}),
    "tissue_round": _Crop("ihc.png", (180, 290, 460, 500), {
        "center": (290, 370, 350, 430), "border": (255, 360, 285, 430)}),
    "coffee": _Crop("coffee.png", (0, 0, 600, 400), {"cup": (190, 80, 390, 300), "spoon": (320, 220, 420, 320)}),
    "cat": _Crop("chelsea.png", (0, 0, 451, 300), {"eyes": (130, 70, 310, 140), "nose": (235, 205, 300, 265)}),
    "motorcycle": _Crop("motorcycle_left.png", (0, 0, 741, 500), {
        "wheel": (480, 250, 640, 430), "engine": (270, 240, 400, 360)}),
    "rocket": _Crop("rocket.jpg", (0, 0, 640, 427), {"rocket": (290, 130, 350, 330), "towers": (140, 60, 240, 320)}),
}  # fmt: skip

# Planes of the volume: the two axes seen (across, up), what is shown of them in mm, and whether the first is mirrored:
# axial and coronal slices are shown as radiologists do, the patient's right on the left.
_PLANES: dict[str, tuple[int, tuple[int, int], tuple[int, int], bool]] = {
    "axial": (2, (-78, 78), (-110, 80), True),
    "coronal": (1, (-78, 78), (-60, 86), True),
    "sagittal": (0, (-112, 80), (-70, 86), False),
}
_ENLARGED = 4
"""Pixels per millimetre of the brain pictures."""


@dataclass(frozen=True, slots=True)
class _Brain:
    panes: tuple[tuple[str, int], ...]
    """Plane and position in mm (MNI), side by side."""
    regions: Mapping[str, tuple[float, float, float, float]]
    """In the first pane: centre across and up, half width and half height, in mm (MNI)."""


_BRAINS: dict[str, _Brain] = {
    "brain_axial": _Brain((("axial", 8), ("axial", 22)), {
        "lateral ventricle": (10, 16, 8, 10), "thalamus": (12, -18, 9, 10), "white matter": (30, 36, 9, 9)}),
    "brain_sagittal": _Brain((("sagittal", 0),), {
        "corpus callosum": (0, 24, 28, 7), "brain stem": (-30, -38, 9, 16), "cerebellum": (-66, -28, 18, 15),
        "pons": (-24, -32, 9, 11)}),
    "brain_coronal": _Brain((("coronal", -20), ("coronal", -34)), {
        "hippocampus": (28, -16, 9, 7), "third ventricle": (0, 0, 4, 10)}),
    "brain_base": _Brain((("axial", -30), ("axial", -20)), {
        "pons": (0, -26, 13, 9), "fourth ventricle": (0, -47, 6, 6), "temporal lobe": (42, -6, 13, 16)}),
    "brain_coronal_front": _Brain((("coronal", 14), ("coronal", 2)), {
        "caudate nucleus": (13, 10, 6, 8), "corpus callosum": (0, 23, 16, 5)}),
    "brain_sagittal_side": _Brain((("sagittal", 28),), {
        "cerebellum": (-62, -40, 16, 12), "frontal lobe": (48, 20, 16, 18), "occipital lobe": (-84, 8, 10, 12)}),
    "brain_axial_high": _Brain((("axial", 34), ("axial", 50)), {
        "white matter": (27, -14, 8, 20), "cortex": (54, -20, 9, 16)}),
}  # fmt: skip


def _photograph(name: str) -> Picture:
    crop = _PHOTOGRAPHS[name]
    with Image.open(package_file("skimage", f"data/{crop.file}")) as file:
        pixels = np.asarray(file.convert("RGB").crop(crop.box))
    x, y = crop.box[:2]
    moved = {key: (b[0] - x, b[1] - y, b[2] - x, b[3] - y) for key, b in crop.regions.items()}
    return Picture(name=name, pixels=pixels, regions=moved)


@functools.cache
def _volume() -> np.ndarray:
    """uint8 (197, 233, 189): voxel (98, 134, 72) is the origin of MNI space, voxels are 1 mm."""
    import nibabel

    file = package_file("nilearn", "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz")
    image = nibabel.load(file)
    assert isinstance(image, nibabel.spatialimages.SpatialImage)
    return np.asarray(image.dataobj, dtype=np.uint8)


_ORIGIN = (98, 134, 72)


def _pane(plane: str, at_mm: int) -> np.ndarray:
    """One slice of the brain, uint8, a millimetre a pixel: plane and position (MNI)."""
    axis, across, up, mirrored = _PLANES[plane]
    first, second = (i for i in range(3) if i != axis)
    cut = np.moveaxis(_volume(), axis, 0)[at_mm + _ORIGIN[axis]]
    columns = slice(across[0] + _ORIGIN[first], across[1] + _ORIGIN[first])
    rows = slice(max(0, up[0] + _ORIGIN[second]), up[1] + _ORIGIN[second])
    shown = np.flipud(cut[columns, rows].T)
    return np.fliplr(shown) if mirrored else shown


def _brain(name: str) -> Picture:
    brain = _BRAINS[name]
    joined = np.hstack([_pane(plane, at_mm) for plane, at_mm in brain.panes])
    height, width = joined.shape
    enlarged = Image.fromarray(joined).resize((width * _ENLARGED, height * _ENLARGED), Image.Resampling.BICUBIC)
    _, across, up, mirrored = _PLANES[brain.panes[0][0]]
    regions: dict[str, Box] = {}
    for key, (centre, above, half_width, half_height) in brain.regions.items():
        x = across[1] - centre if mirrored else centre - across[0]
        y = up[1] - above
        edges = (x - half_width, y - half_height, x + half_width, y + half_height)
        regions[key] = (edges[0] * _ENLARGED, edges[1] * _ENLARGED, edges[2] * _ENLARGED, edges[3] * _ENLARGED)
    return Picture(name=name, pixels=np.asarray(enlarged.convert("RGB")), regions=regions)


_ARROW = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))
"""The usual arrow cursor's outline, tip first, in units of which 540 lines of picture hold 540."""


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """One scene, drawn once; `paste` adds what moves. Pixels of the upright video."""

    background: np.ndarray
    regions: Mapping[str, Box]
    home: tuple[int, int]
    """Where the cursor waits."""
    arrow: np.ndarray
    """RGBA (height, width, 4), the tip at its first pixel."""
    face: np.ndarray
    """The speaker, larger than the inset by the way that it moves."""
    inset: tuple[int, int, int, int]
    """x0, y0, x1, y1."""

    @staticmethod
    def of(scene: Scene, size: tuple[int, int]) -> "Screen":
        """Draw a scene at `size`, (width, height) pixels."""
        width, height = size
        if scene.picture:
            canvas, regions = _viewer(scene.picture, size)
        else:
            canvas, regions = _slide(scene.lines, size), {}
        side = round(0.2 * height)
        x1, y1 = width - round(0.012 * width), height - round(0.07 * height)
        inset = (x1 - round(0.9 * side), y1 - side, x1, y1)
        ImageDraw.Draw(canvas).rectangle((inset[0] - 2, inset[1] - 2, inset[2] + 1, inset[3] + 1), fill=(90, 96, 104))
        home = (round(0.06 * width), round(0.88 * height))
        sway = max(1, round(height / 180))
        return Screen(np.asarray(canvas), regions, home, _arrow(height), _face(inset, sway), inset)


def paste(screen: Screen, time_s: float, tip: tuple[int, int] | None) -> np.ndarray:
    """The frame at `time_s` with the cursor's tip at `tip`, None where there is no cursor; uint8 (height, width, 3)."""
    frame = screen.background.copy()
    x0, y0, x1, y1 = screen.inset
    sway = (screen.face.shape[0] - (y1 - y0)) // 2
    dx = sway + round(sway * math.sin(1.9 * time_s))
    dy = sway + round(sway * math.sin(2.7 * time_s + 1.0))
    frame[y0:y1, x0:x1] = screen.face[dy : dy + y1 - y0, dx : dx + x1 - x0]
    if tip is not None:
        x, y = tip
        under = frame[y : y + screen.arrow.shape[0], x : x + screen.arrow.shape[1]]
        over = screen.arrow[: under.shape[0], : under.shape[1]].astype(np.uint16)
        alpha = over[..., 3:]
        under[:] = (over[..., :3] * alpha + under * (255 - alpha) + 127) // 255
    return frame


def _font(size_px: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(6.0, size_px))


def _slide(lines: tuple[str, ...], size: tuple[int, int]) -> Image.Image:
    width, height = size
    canvas = Image.new("RGB", size, (244, 244, 240))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, width, round(0.05 * height)), fill=(38, 70, 120))
    draw.rectangle((0.08 * width, 0.45 * height, 0.6 * width, 0.458 * height), fill=(200, 140, 40))
    draw.text((0.08 * width, 0.26 * height), lines[0], fill=(30, 40, 60), font=_font(0.13 * height))
    for i, line in enumerate(lines[1:]):
        draw.text((0.08 * width, (0.5 + 0.1 * i) * height), line, fill=(80, 90, 100), font=_font(0.065 * height))
    return canvas


def _viewer(name: str, size: tuple[int, int]) -> tuple[Image.Image, dict[str, Box]]:
    """Dark chrome, a toolbar and a status line around the picture, which is as large as fits."""
    width, height = size
    canvas = Image.new("RGB", size, (0, 0, 0))
    draw = ImageDraw.Draw(canvas)
    top, bottom = round(0.065 * height), height - round(0.045 * height)
    draw.rectangle((0, 0, width, top - 1), fill=(44, 47, 52))
    draw.rectangle((0, bottom, width, height), fill=(34, 36, 40))
    for i, label in enumerate(("Open", "Zoom", "Pan", "Window", "Measure", "Reset")):
        x = (0.012 + 0.095 * i) * width
        draw.rounded_rectangle((x, 0.2 * top, x + 0.083 * width, 0.8 * top), 3, fill=(66, 70, 78))
        draw.text((x + 0.014 * width, 0.5 * top), label, fill=(205, 208, 212), font=_font(0.024 * height), anchor="lm")
    line = (0.012 * width, (bottom + height) / 2)
    draw.text(line, "Series 1   Fit to window", fill=(150, 154, 160), font=_font(0.024 * height), anchor="lm")

    shown = picture(name)
    pixels = Image.fromarray(shown.pixels)
    scale = min(width / pixels.width, (bottom - top) / pixels.height)
    fitted = pixels.resize((round(pixels.width * scale), round(pixels.height * scale)), Image.Resampling.LANCZOS)
    left, above = (width - fitted.width) // 2, top + (bottom - top - fitted.height) // 2
    canvas.paste(fitted, (left, above))
    regions = {
        key: (left + b[0] * scale, above + b[1] * scale, left + b[2] * scale, above + b[3] * scale)
        for key, b in shown.regions.items()
    }
    return canvas, regions


@functools.cache
def _arrow(height: int) -> np.ndarray:
    """A white arrow with a dark outline; drawn four times as large and reduced, so that its edge is smooth."""
    unit, fine = max(1.0, height / 540) * 1.15, 4
    box = (math.ceil(14 * unit), math.ceil(22 * unit))
    outline = [(x * unit * fine, y * unit * fine) for x, y in _ARROW]
    canvas = Image.new("RGBA", (box[0] * fine, box[1] * fine), (20, 20, 20, 0))
    draw = ImageDraw.Draw(canvas)
    draw.polygon(outline, fill=(255, 255, 255, 255))
    draw.line([*outline, outline[0]], fill=(20, 20, 20, 255), width=round(1.3 * unit * fine))
    return np.asarray(canvas.resize(box, Image.Resampling.BOX))


def _face(inset: tuple[int, int, int, int], sway: int) -> np.ndarray:
    with Image.open(package_file("skimage", "data/astronaut.png")) as file:
        crop = file.convert("RGB").crop((145, 0, 307, 180))
    size = (inset[2] - inset[0] + 2 * sway, inset[3] - inset[1] + 2 * sway)
    return np.asarray(crop.resize(size, Image.Resampling.LANCZOS))
