"""Pictures that no package holds: CT of head and chest, radiographs, an ultrasound; drawn, or made of the brain volume."""

from collections.abc import Callable

import numpy as np

from tests.lectures import pictures
from tests.lectures.pictures import Box, Picture


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(image, (0, 0), sigma)


def texture(shape: tuple[int, int], sigma: float, seed: int) -> np.ndarray:
    """Smooth noise of unit deviation, float32."""
    noise = _blur(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32), sigma)
    return noise / noise.std()


def _ellipse(canvas: np.ndarray, box: Box, value: float, angle: float = 0.0) -> None:
    import cv2

    x0, y0, x1, y1 = box
    centre, axes = (round((x0 + x1) / 2), round((y0 + y1) / 2)), (round((x1 - x0) / 2), round((y1 - y0) / 2))
    cv2.ellipse(canvas, centre, axes, angle, 0, 360, float(value), -1, cv2.LINE_AA)


def _picture(name: str, grey: np.ndarray, regions: dict[str, Box]) -> Picture:
    pixels = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)
    return Picture(name=name, pixels=pixels, regions=regions)


def ct_head(at_mm: int = 8) -> Picture:
    """An axial slice of the MNI brain as CT shows it: a skull around it, grey matter a little brighter than white."""
    import cv2

    brain = pictures._pane("axial", at_mm).astype(np.float32)
    # room for the skull
    brain = np.pad(brain, 14)
    brain = cv2.resize(brain, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    inside = cv2.morphologyEx((brain > 40).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((61, 61), np.uint8))
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    tissue = np.interp(brain, (0, 60, 110, 170, 235), (38, 42, 92, 112, 96)).astype(np.float32)
    shown = np.where(inside > 0, tissue, 0.0).astype(np.float32)
    shown[(away > 0) & (away <= 6)] = 45
    shown[(away > 6) & (away <= 24)] = 245
    shown[(away > 24) & (away <= 38)] = 62
    x, y = shown.shape[1] * 0.645, shown.shape[0] * 0.44
    reach = max(0.15, 1 - abs(at_mm - 8) / 26)  # the hemorrhage is a ball
    blot = np.zeros_like(shown)
    _ellipse(blot, (x - 46 * reach, y - 58 * reach, x + 46 * reach, y + 58 * reach), 1.0, 12)
    blot = _blur(blot, 4) * (1 + 0.06 * texture(shown.shape, 6, 5))
    shown = shown * (1 - blot) + 178 * blot
    shown = _blur(shown, 1.6) + 3.0 * texture(shown.shape, 1.5, 11)
    middle = shown.shape[1] / 2
    return _picture("ct_head", shown, {
        "hemorrhage": (x - 54, y - 64, x + 54, y + 64), "ventricle": (middle - 62, y - 96, middle - 4, y - 6),
        "skull": (middle - 110, 20, middle + 110, 76)})  # fmt: skip


def ct_chest() -> Picture:
    """A slice through the chest, patient's right on the left."""
    shown = np.zeros((640, 900), np.float32)
    _ellipse(shown, (40, 60, 860, 600), 96)
    _ellipse(shown, (70, 88, 830, 572), 112)
    for side in (-1, 1):
        for i in range(7):
            angle = np.pi * (0.12 + 0.76 * i / 6)
            x, y = 450 + side * 345 * np.sin(angle), 330 - 215 * np.cos(angle)
            _ellipse(shown, (x - 9, y - 28, x + 9, y + 28), 225, np.degrees(-side * (angle - np.pi / 2)))
        _ellipse(shown, (450 + side * 205 - 130, 130, 450 + side * 205 + 130, 520), 22)
    _ellipse(shown, (385, 190, 620, 420), 128, 18)
    _ellipse(shown, (420, 170, 490, 240), 140)
    _ellipse(shown, (400, 430, 500, 540), 210)
    _ellipse(shown, (428, 500, 472, 545), 120)
    _ellipse(shown, (498, 420, 562, 484), 142)
    _ellipse(shown, (206, 246, 242, 280), 118)
    lungs = shown < 40
    vessels = np.clip(texture(shown.shape, 2.5, 3) - 1.5, 0, 2) * 55
    shown += np.where(lungs, vessels + 3 * texture(shown.shape, 1.2, 4), 0)
    shown = _blur(shown, 1.8) + np.where(shown > 20, 4.0 * texture(shown.shape, 1.2, 8), 0)
    return _picture("ct_chest", shown, {
        "nodule": (190, 230, 258, 296), "heart": (400, 200, 610, 410), "aorta": (490, 412, 570, 492)})  # fmt: skip


def xray_chest() -> Picture:
    """A chest radiograph."""
    import cv2

    shown = np.full((800, 760), 150, np.float32)
    shown += 35 * np.abs(np.linspace(-1, 1, 760, dtype=np.float32))[None] * -1
    lungs = np.zeros_like(shown)
    for x in (225, 535):
        _ellipse(lungs, (x - 125, 90, x + 125, 660), 1.0, 6 if x < 380 else -6)
    lungs[620:] = 0
    for x in (225, 535):  # the domes of the diaphragm
        _ellipse(lungs, (x - 165, 575, x + 165, 800), 0.0)
    shown -= 105 * _blur(lungs, 7)
    heart = np.zeros_like(shown)
    _ellipse(heart, (310, 370, 560, 660), 1.0, -28)
    _ellipse(heart, (345, 60, 415, 520), 1.0)
    shown += 62 * _blur(heart, 9)
    ribs = np.zeros_like(shown)
    for i in range(9):
        for side in (-1, 1):
            y = 90 + 62 * i
            cv2.ellipse(ribs, (380 + side * 130, y + 60), (165, 88), 0, 200 if side < 0 else 190, 350 if side < 0 else 340,
                        1.0, 11, cv2.LINE_AA)  # fmt: skip
    shown += 20 * _blur(ribs, 2.5)
    for side in (-1, 1):
        bone = np.zeros_like(shown)
        cv2.line(bone, (380 + side * 40, 130), (380 + side * 300, 78), 1.0, 22, cv2.LINE_AA)
        shown += 38 * _blur(bone, 3)
    spine = np.zeros_like(shown)
    for i in range(14):
        cv2.rectangle(spine, (352, 20 + 56 * i), (408, 62 + 56 * i), 1.0, -1)
    shown += 22 * _blur(spine, 5)
    opacity = np.zeros_like(shown)
    _ellipse(opacity, (150, 400, 260, 520), 1.0, 20)
    shown += 58 * _blur(opacity, 20) * (1 + 0.15 * texture(shown.shape, 9, 2))
    shown = _blur(shown, 1.2) + 2.5 * texture(shown.shape, 1.0, 1) + 5 * texture(shown.shape, 30, 6)
    return _picture("xray_chest", shown, {
        "opacity": (130, 385, 280, 535), "heart": (330, 390, 540, 640), "diaphragm": (460, 555, 640, 620),
        "clavicle": (430, 75, 680, 140)})  # fmt: skip


def xray_skull() -> Picture:
    """The brain volume seen through from the side, in a skull."""
    import cv2

    brain = pictures._volume()[:, :, :].astype(np.float32).sum(0)[20:215, 5:].T[::-1]
    brain = cv2.resize(np.pad(brain, 14), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    inside = (brain > 0.04 * brain.max()).astype(np.uint8)
    inside = cv2.morphologyEx(inside, cv2.MORPH_CLOSE, np.ones((61, 61), np.uint8))
    away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    deep = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    shown = 62 + 45 * brain / brain.max()
    shown[away > 40] = 14
    shown += 125 * np.exp(-(((away - 12) / 9) ** 2)) * (away > 0) + 95 * np.exp(-((deep / 10) ** 2)) * (away == 0)
    height, width = shown.shape
    bone = np.zeros_like(shown)
    x, y = width * 0.58, height * 0.69
    cv2.ellipse(bone, (round(x), round(y)), (26, 20), 0, 0, 180, 1.0, 9, cv2.LINE_AA)
    cv2.line(bone, (round(x - 26), round(y)), (round(x - 150), round(y + 60)), 1.0, 16, cv2.LINE_AA)
    cv2.line(bone, (round(x + 26), round(y)), (round(width * 0.9), round(y - 24)), 1.0, 11, cv2.LINE_AA)
    shown = _blur(shown + 85 * _blur(bone, 3), 2) + 6 * texture(shown.shape, 12, 3) + 2 * texture(shown.shape, 1, 4)
    return _picture("xray_skull", shown, {
        "frontal bone": (width * 0.86, height * 0.3, width * 0.97, height * 0.58),
        "sella": (x - 55, y - 40, x + 55, y + 50),
        "occipital bone": (width * 0.03, height * 0.4, width * 0.14, height * 0.64)})  # fmt: skip


def xray_bone() -> Picture:
    """Shin and calf bone with a fracture."""
    import cv2

    shown = np.full((800, 560), 26, np.float32)
    for y in range(800):
        half = 185 - 60 * np.sin(np.pi * min(1, max(0, (y - 250) / 700))) - 20 * (y < 160)
        shown[y, int(280 - half) : int(280 + half)] = 72
    shown = _blur(shown, 8)
    for x, wide in ((245, 46), (372, 21)):
        bone, marrow = np.zeros_like(shown), np.zeros_like(shown)
        y = np.arange(130, 800)
        flare = wide * (1 + 0.75 * np.exp(-(((y - 130) / 70) ** 2)) + 0.4 * np.exp(-(((y - 820) / 110) ** 2)))
        for canvas, share in ((bone, 1.0), (marrow, 0.55)):
            left, right = (np.stack([x + side * share * flare, y], axis=1) for side in (-1, 1))
            cv2.fillPoly(canvas, [np.int32(np.concatenate([left, right[::-1]]))], 1.0, cv2.LINE_AA)
        shown += 150 * _blur(bone, 1.5) - 62 * _blur(marrow, 6)
    thigh = np.zeros_like(shown)
    _ellipse(thigh, (165, -120, 290, 112), 1.0)
    _ellipse(thigh, (235, -120, 350, 108), 1.0)
    shown += 120 * _blur(thigh, 2)
    crack = np.zeros_like(shown)
    line = np.int32([(196, 470), (225, 452), (246, 462), (270, 438), (296, 430)])
    cv2.polylines(crack, [line], False, 1.0, 6, cv2.LINE_AA)
    shown -= 95 * _blur(crack, 1.5)
    shown = shown * (1 + 0.03 * texture(shown.shape, 3, 5)) + 2.5 * texture(shown.shape, 1, 6)
    return _picture("xray_bone", shown, {
        "fracture": (184, 415, 306, 486), "cortex": (178, 560, 232, 720), "joint": (165, 98, 330, 140)})  # fmt: skip


def sector(shape: tuple[int, int]) -> np.ndarray:
    """Where an ultrasound's fan is, bool (height, width); its tip is above the top's middle."""
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x - width / 2, y + 0.06 * height
    return (np.abs(np.arctan2(x, y)) < 0.68) & (np.hypot(x, y) > 0.12 * height) & (np.hypot(x, y) < 1.03 * height)


def echoes(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Speckle between layers, grey levels as float32."""
    fine, coarse = texture(shape, 1.6, seed), texture(shape, 28, seed + 1)
    layers = texture((shape[0], 1), 9, seed + 2)
    depth = np.linspace(1.15, 0.6, shape[0], dtype=np.float32)[:, None]
    return (66 + 20 * coarse + 9 * layers) * np.abs(1 + 0.27 * fine) * depth


def cyst() -> Picture:
    """A black cyst in an even organ, brighter behind."""
    shape = (700, 900)
    shown = echoes(shape, 21)
    behind = np.zeros(shape, np.float32)
    behind[440:, 385:555] = np.linspace(1, 0.2, 260, dtype=np.float32)[:, None]
    shown *= 1 + 0.9 * _blur(behind, 14)
    hole = np.zeros(shape, np.float32)
    _ellipse(hole, (380, 270, 560, 430), 1.0, 8)
    shown = shown * (1 - 0.94 * _blur(hole, 3))
    shown[~sector(shape)] = 0
    return _picture("cyst", shown, {"cyst": (375, 262, 565, 438), "enhancement": (392, 450, 550, 570)})


DRAWN: dict[str, Callable[[], Picture]] = {
    "ct_head": ct_head, "ct_chest": ct_chest, "xray_chest": xray_chest, "xray_skull": xray_skull,
    "xray_bone": xray_bone, "cyst": cyst,
}  # fmt: skip
