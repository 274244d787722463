"""Pictures that no camera took: drawn fundus photographs, and tissue as other stains would show it."""

import numpy as np

Rng = np.random.Generator


def fundus(rng: Rng) -> np.ndarray:
    """A drawn fundus photograph (384, 384, 3): disc, macula, vessels, at times lesions or a close view."""
    import cv2

    size = 384
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    base = np.array([rng.uniform(150, 230), rng.uniform(60, 110), rng.uniform(15, 60)])
    shade = 1.1 - rng.uniform(0.6, 1.4) * (x**2 + y**2) + 0.15 * (x * rng.normal() + y * rng.normal())
    eye = base * shade[..., None] + cv2.GaussianBlur(rng.normal(0, 30, (size, size, 1)), (0, 0), 12)[..., None]
    side = rng.choice([-1, 1])
    disc = np.array([0.5 + side * rng.uniform(0.15, 0.3), rng.uniform(0.42, 0.58)]) * size
    macula = np.array([0.5 - side * rng.uniform(0.0, 0.12), 0.5]) * size
    eye += _spot(macula, rng.uniform(18, 35), size) * np.array([-60, -40, -15])
    vessel = base * rng.uniform(0.45, 0.7)
    for _ in range(rng.integers(5, 9)):
        _vessel(eye, disc, rng.uniform(0, 2 * np.pi), rng.uniform(3, 6), vessel, rng)
    eye += _spot(disc, rng.uniform(12, 20), size) * np.array([60, 110, 90])
    for _ in range(rng.integers(0, 20) if rng.random() < 0.4 else 0):
        colour = [(250, 220, 130), (110, 15, 10)][rng.integers(2)]
        centre = (int(rng.integers(60, size - 60)), int(rng.integers(60, size - 60)))
        cv2.circle(eye, centre, int(rng.integers(1, 6)), colour, -1)
    eye = cv2.GaussianBlur(eye, (0, 0), rng.uniform(0.6, 1.6))
    eye[np.hypot(x, y) > rng.uniform(0.44, 0.5)] = 0
    if rng.random() < 0.15:
        eye = np.repeat(eye.mean(2, keepdims=True), 3, axis=2)
    if rng.random() < 0.5:
        top, left = rng.integers(40, size // 2 - 40, 2)
        eye = cv2.resize(eye[top : top + size // 2, left : left + size // 2], (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(eye, 0, 255), dtype=np.uint8)


_STAINS = {
    "haematoxylin": (0.65, 0.70, 0.29),
    "eosin": (0.07, 0.99, 0.11),
    "DAB": (0.27, 0.57, 0.78),
}
"""Optical densities of red, green and blue: Ruifrok and Johnston, 2001."""


def restained(picture: np.ndarray, rng: Rng) -> np.ndarray:
    """A tissue picture as other laboratories stain it: other strengths, and often DAB in the place of eosin.

    Method: stain augmentation (Tellez et al., 2018) on a separation into haematoxylin and one counterstain.
    """
    pair = np.stack([_stain("haematoxylin"), _stain("eosin")])
    density = -np.log((picture.astype(np.float64) + 1) / 256)
    amounts = np.maximum(density @ np.linalg.pinv(pair), 0)
    return _stained(amounts[..., 0] * rng.uniform(0.6, 1.3), amounts[..., 1] * rng.uniform(0.7, 1.8), rng)


def tissue(rng: Rng) -> np.ndarray:
    """A drawn section (384, 384, 3): fibrous stroma with nuclei, and often epithelium around pale lumina. Not real."""
    import cv2

    size = 384
    fibres = cv2.GaussianBlur(rng.normal(0, 1, (size, size)), (0, 0), rng.uniform(1, 2), sigmaY=rng.uniform(2, 8))
    plasma = rng.uniform(0.02, 0.25) * np.maximum(0, 1 + fibres / fibres.std())
    nuclei = np.zeros((size, size))
    edge = rng.uniform(2, 5)
    for _ in range(rng.integers(40, 400)):
        x, y = (int(v) for v in rng.integers(0, size, 2))
        axes = (max(1, int(edge * rng.uniform(0.6, 1.3))), max(1, int(edge * rng.uniform(1, 2.5))))
        cv2.ellipse(nuclei, (x, y), axes, rng.uniform(0, 180), 0, 360, float(rng.uniform(0.4, 1.3)), -1)
    for _ in range(rng.integers(0, 6)):
        _epithelium(nuclei, plasma, rng)
    blur = rng.uniform(0.5, 1.3)
    window = int(size / rng.uniform(1, 3.5))
    top, left = rng.integers(0, size - window + 1, 2)
    near = slice(top, top + window), slice(left, left + window)
    nuclei, plasma = (cv2.resize(amount[near], (size, size)) for amount in (nuclei, plasma))
    return _stained(cv2.GaussianBlur(nuclei, (0, 0), blur), cv2.GaussianBlur(plasma, (0, 0), blur), rng)


def _epithelium(nuclei: np.ndarray, plasma: np.ndarray, rng: Rng) -> None:
    """Draws a gland of tall cells standing around a lumen, with stained membranes, over the amounts of both stains."""
    import cv2

    size = len(nuclei)
    y, x = np.mgrid[0:size, 0:size].astype(np.float64)
    centre, radius, turn = rng.uniform(0, size, 2), rng.uniform(40, 150), rng.uniform(0, np.pi)
    u = ((x - centre[0]) * np.cos(turn) + (y - centre[1]) * np.sin(turn)) / rng.uniform(0.5, 1)
    v = (y - centre[1]) * np.cos(turn) - (x - centre[0]) * np.sin(turn)
    angle, distance = np.arctan2(v, u), np.hypot(u, v)
    outer = radius * (1 + 0.12 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.07 * np.sin(5 * angle + rng.uniform(0, 6)))
    depth = distance / outer
    lumen = rng.uniform(0.05, 0.45)
    inside = (depth < 1) & (depth > lumen)
    cells = max(8, round(2 * np.pi * radius / rng.uniform(7, 16)))
    phase = (angle / (2 * np.pi) * cells + 0.35 * np.sin(9 * depth + rng.uniform(0, 6))) % 1
    column = np.floor(angle / (2 * np.pi) * cells).astype(int) % cells
    membrane = np.exp(-np.square(np.minimum(phase, 1 - phase) / rng.uniform(0.08, 0.2)))
    strength = rng.uniform(0.4, 2.0)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (size, size)), (0, 0), 1.2)
    grain = np.maximum(0.1, 1 + rng.uniform(0.1, 0.5) * grain / grain.std())
    level = strength * (rng.uniform(0.2, 0.7) + rng.uniform(0.3, 1) * membrane) * rng.uniform(0.7, 1.2, cells)[column]
    plasma[inside] = (level * grain)[inside]
    nucleus_at = (1 - rng.uniform(0.15, 0.5) * (1 - lumen) + rng.normal(0, 0.06, cells))[column]
    shape = np.square((depth - nucleus_at) / rng.uniform(0.06, 0.14)) + np.square((phase - 0.5) / 0.3)
    nuclei[inside] = (rng.uniform(0.3, 1.0) * (shape < 1))[inside]
    hollow = depth <= lumen
    nuclei[hollow], plasma[hollow] = 0, rng.uniform(0, 0.1)


def _stain(name: str) -> np.ndarray:
    density = np.array(_STAINS[name])
    return np.asarray(density / np.linalg.norm(density))


def _stained(nuclei: np.ndarray, plasma: np.ndarray, rng: Rng) -> np.ndarray:
    """Amounts (H, W) of haematoxylin and of a counterstain, eosin or DAB or between them, as RGB by Beer-Lambert."""
    share = float(np.clip(rng.uniform(-0.5, 1.5), 0, 1))
    counter = _stain("eosin") * (1 - share) + _stain("DAB") * share
    density = nuclei[..., None] * _stain("haematoxylin") + plasma[..., None] * counter
    noise = rng.normal(0, 2, density.shape)
    return np.asarray(np.clip(256 * np.exp(-density) - 1 + noise, 0, 255), dtype=np.uint8)


def _spot(centre: np.ndarray, radius: float, size: int) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size]
    squares = ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * radius**2)
    return np.asarray(np.exp(-np.square(squares))[..., None])


def _vessel(eye: np.ndarray, start: np.ndarray, angle: float, width: float, colour: np.ndarray, rng: Rng) -> None:
    import cv2

    point, bend = start.copy(), rng.normal(0, 0.02)
    while width > 0.8 and np.all(point > 0) and np.all(point < len(eye)):
        angle += bend + rng.normal(0, 0.08)
        after = point + 7 * np.array([np.cos(angle), np.sin(angle)])
        ends = [(int(p[0]), int(p[1])) for p in (point, after)]
        cv2.line(eye, ends[0], ends[1], colour.tolist(), max(1, round(width)), cv2.LINE_AA)
        point, width = after, width * 0.975
        if rng.random() < 0.07:
            _vessel(eye, point, angle + rng.choice([-1, 1]) * rng.uniform(0.4, 0.9), width * 0.7, colour, rng)
