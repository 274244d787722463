"""Pictures for the study: many, all different, of sources that are apart in training and in the questions.

A name is `KIND/SOURCE/FINDING/NUMBER`. A source is one slice of a volume; its pictures differ in crop, side, brightness and
in where their one finding lies, which is coloured so that it is plain to see.
"""

import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tests.lectures import pictures
from tests.lectures.grounding import phantoms

EDGE_PX = 480
"""Of the square pictures."""
BLUR_PX = 10
"""Of a finding's edge."""
FINDINGS = {"lesion": (215, 50, 30), "abscess": (40, 80, 215)}
"""The colour in which a map of the blood flow shows it: red where much flows, blue where hardly any does."""
OPACITY = 0.6
"""Of that colour: the tissue is seen through it, and the frame classifier still knows MRI from CT."""


def sources(kind: str) -> dict[str, bool]:
    """Every source of the kind, and whether it is kept for the questions. Slices are held out by whole centimetres: their
    neighbours look alike.

    Raises:
        KeyError: there is no such kind.
    """
    slices = {
        "mri": [f"{plane}{mm}" for plane in ("axial", "coronal", "sagittal") for mm in range(-30, 51, 3)],
        "ct": [f"axial{mm}" for mm in range(-12, 49, 3)],
    }[kind]
    return {name: int(name.lstrip("acdgilnorstx")) // 10 % 3 == 1 for name in slices}


def picture(name: str) -> pictures.Picture:
    """The picture of that name, with the region that is called as its finding is."""
    kind, source, finding, number = name.split("/")
    order = random.Random(f"{kind}/{source}/{finding}/{number}")
    image = _varied(_source(kind, source), order)
    across, down = (order.uniform(0.35, 0.65) * EDGE_PX for _ in range(2))
    radius = order.uniform(0.28, 0.34) * EDGE_PX
    mask = Image.new("L", image.size, 0)
    ImageDraw.Draw(mask).ellipse((across - radius, down - radius, across + radius, down + radius), fill=round(255 * OPACITY))
    image.paste(FINDINGS[finding], mask=mask.filter(ImageFilter.GaussianBlur(BLUR_PX)))
    box = (across - radius, down - radius, across + radius, down + radius)
    return pictures.Picture(name=name, pixels=np.asarray(image), regions={finding: box})


def _source(kind: str, source: str) -> Image.Image:
    plane = source.rstrip("-0123456789")
    at_mm = int(source.removeprefix(plane))
    return Image.fromarray(pictures._pane(plane, at_mm) if kind == "mri" else phantoms.ct_head(at_mm).pixels).convert("RGB")


def _varied(image: Image.Image, order: random.Random) -> Image.Image:
    side = round(min(image.size) * order.uniform(0.8, 1.0))
    left, top = order.randint(0, image.width - side), order.randint(0, image.height - side)
    image = image.crop((left, top, left + side, top + side)).resize((EDGE_PX, EDGE_PX), Image.Resampling.BICUBIC)
    if order.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    gain = order.uniform(0.75, 1.0)
    return image.point(lambda value: round(value * gain))
