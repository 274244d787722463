"""Pictures that no camera took: drawn fundus photographs, and tissue as other stains would show it."""

import numpy as np

Rng = np.random.Generator


def fundus(rng: Rng) -> np.ndarray:
    """A drawn fundus photograph (384, 384, 3): disc, macula, branching vessels, sometimes lesions. Not a real eye."""
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
    """A drawn section (384, 384, 3): fibrous stroma, nuclei, glands around pale lumina. Not real tissue."""
    import cv2

    size = 384
    nuclei, plasma = np.zeros((size, size)), np.zeros((size, size))
    fibres = cv2.GaussianBlur(rng.normal(0, 1, (size, size)), (0, 0), rng.uniform(1, 2), sigmaY=rng.uniform(2, 8))
    plasma += rng.uniform(0.02, 0.25) * (1 + fibres / (fibres.std() + 1e-6)).clip(0)
    centres = [rng.uniform(0, size, 2) for _ in range(rng.integers(40, 400))]
    grain = rng.uniform(0.2, 0.6)
    for _ in range(rng.integers(0, 6)):
        middle, radius, turns = rng.uniform(0, size, 2), rng.uniform(35, 110), rng.uniform(0, 6.3, 3)
        angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        wave = radius * (1 + 0.12 * np.sin(2 * angles + turns[0]) + 0.08 * np.sin(5 * angles + turns[1]))
        ring = np.stack([np.cos(angles) * rng.uniform(0.6, 1), np.sin(angles)], 1) * wave[:, None]
        gland = np.zeros((size, size))
        cv2.fillPoly(gland, [(middle + ring).astype(np.int32)], float(rng.uniform(0.5, 1.5)))
        texture = cv2.GaussianBlur(rng.normal(0, 1, (size, size)), (0, 0), 1.5)
        gland *= (1 + grain * texture / (texture.std() + 1e-6)).clip(0.2)
        cv2.fillPoly(gland, [(middle + ring * rng.uniform(0.1, 0.5)).astype(np.int32)], 0.0)
        plasma = np.where(gland > 0, gland, plasma)
        centres += [middle + r * rng.uniform(0.7, 0.85) for r in np.repeat(ring, 2, axis=0)]
    edge = rng.uniform(2, 5)
    for x, y in centres:
        axes = (max(1, int(edge * rng.uniform(0.6, 1.3))), max(1, int(edge * rng.uniform(1, 2))))
        cv2.ellipse(nuclei, (int(x), int(y)), axes, rng.uniform(0, 180), 0, 360, float(rng.uniform(0.4, 1.3)), -1)
    blur = rng.uniform(0.5, 1.3)
    return _stained(cv2.GaussianBlur(nuclei, (0, 0), blur), cv2.GaussianBlur(plasma, (0, 0), blur), rng)


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
