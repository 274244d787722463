"""The published rules for stable chunks, their images and cursor traces, from their description.

MedicalNarratives (Ikezogwo et al., 2025) 3.2.5 describes stable chunks and traces in words and released no code for them;
the image of a stable chunk is in Quilt-1M's released code (`data/data_utils.py`). Constants that were published carry that
word; every other one is a choice of ours, with its reason. To stay affordable the rules see the film at `fps` frames a
second and, but for the images, at most `width_px` wide; the images are made at full size from `image_frames` frames of each
interval, where the released code takes all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.bench.grounding.found import Box, Interval, Point
from tests.bench.grounding.frames import sampled_luma, stacks

Samples = list[tuple[float, np.ndarray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """All numbers of the published rules."""

    min_stable_s: float = 3.0
    """Published."""
    patch_px: int = 64
    """Published."""
    patch_ssim: float = 0.98
    """Published."""
    duplicate_ssim: float = 0.02
    """Published: a key frame is kept if the SSIM of a patch with the last kept one is below."""
    duplicate_px: int = 512
    """Published: both are resized to this for it."""
    fps: float = 10.0
    """Not published. As often as ours looks."""
    width_px: int = 960
    """Not published. A cursor of 5 px at 1080p still covers two pixels."""
    threshold_block_px: int = 11
    """Not published. The block of OpenCV's own tutorial on Gaussian adaptive thresholds."""
    threshold_offset: float = 2.0
    """Not published. The same tutorial's constant."""
    change_limit: float = 10.0
    """Not in the released code. Mean of the thresholded difference (0 or 255) up to which a frame is static: 4 % of the
    pixels; a value of 10 is remembered from Quilt's appendix."""
    verify_pairs: int = 10
    """Not published. Pairs of consecutive frames, evenly spread over a candidate, of which one patch each is tried."""
    verify_share: float = 0.5
    """Not published. Most of the patches must be alike; a codec's key frames spoil some even of a still picture."""
    image_frames: int = 24
    """Ours, for the cost: frames of an interval that its median is made of."""
    noise_threshold: float = 25.0
    """Not published. Grey levels; the usual threshold of background subtraction, above what CRF 35 leaves at edges."""
    face_step_s: float = 1.0
    """Not published. Faces are looked for this often, with OpenCV's frontal cascade (no FaceNet weights come as a package)
    at its default scale step and neighbours; the boxes hold until the next look."""
    face_width_px: int = 480
    """Not published. On pictures reduced to this: a speaker in a corner of a sixth of the width is 80 px wide, three times
    what the cascade needs."""
    seed: int = 0
    """The released code draws patches without a seed."""


def stable_chunks(samples: Samples, constants: Constants) -> list[tuple[float, float]]:
    """Rule B. D = |g_t - g_(t-1)|, A = Gaussian adaptive threshold of D; a frame is static if the mean of A is small; runs
    of static frames of at least 3 s whose random patches agree (SSIM) are stable. Seconds."""
    import cv2

    runs: list[list[int]] = [[0]] if samples else []
    for i in range(1, len(samples)):
        difference = cv2.absdiff(samples[i][1], samples[i - 1][1])
        changed = cv2.adaptiveThreshold(difference, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY_INV,
                                        constants.threshold_block_px, constants.threshold_offset)  # fmt: skip
        if cv2.mean(changed)[0] <= constants.change_limit:
            runs[-1].append(i)
        else:
            runs.append([i])
    random = np.random.default_rng(constants.seed)
    shown_s = [t for t, _ in samples[1:]] + [2 * samples[-1][0] - samples[-2][0]] if len(samples) > 1 else [0.0]
    chunks = []
    for run in runs:
        start_s, end_s = samples[run[0]][0], shown_s[run[-1]]  # its last frame is on show until the next
        if end_s - start_s >= constants.min_stable_s and _verified([samples[i][1] for i in run], random, constants):
            chunks.append((start_s, end_s))
    return chunks


def _verified(frames: list[np.ndarray], random: np.random.Generator, constants: Constants) -> bool:
    if len(frames) < 2:  # one picture, on show so long
        return True
    at = np.unique(np.linspace(1, len(frames) - 1, constants.verify_pairs).astype(int))
    alike = [patch_ssim(frames[i - 1], frames[i], random, constants.patch_px) > constants.patch_ssim for i in at]
    return float(np.mean(alike)) > constants.verify_share


def patch_ssim(a: np.ndarray, b: np.ndarray, random: np.random.Generator, patch_px: int) -> float:
    """SSIM of one random patch of both pictures (luma, or RGB over the channels)."""
    from skimage.metrics import structural_similarity

    y, x = (int(random.integers(0, max(1, n - patch_px + 1))) for n in a.shape[:2])
    patch = (slice(y, y + patch_px), slice(x, x + patch_px))
    return float(structural_similarity(a[patch], b[patch], data_range=255, channel_axis=2 if a.ndim == 3 else None))


def stable_image(frames: Sequence[np.ndarray], random: np.random.Generator, constants: Constants) -> np.ndarray:
    """Rule C. The median of the frames of which one random patch agrees with the frame before; of all where none does."""
    from pipelines.stages.stable import temporal_median

    kept = [b for a, b in zip(frames, frames[1:], strict=False)
            if patch_ssim(a, b, random, constants.patch_px) > constants.patch_ssim]  # fmt: skip
    return temporal_median(list(kept or frames))


def kept_key_frames(frames: Sequence[np.ndarray], random: np.random.Generator, constants: Constants) -> list[int]:
    """Rule C's fallback. The first key frame always, a later one if a random patch is unlike the last kept one's."""
    import cv2

    size = (constants.duplicate_px, constants.duplicate_px)
    kept: list[int] = []
    last: np.ndarray | None = None
    for i, frame in enumerate(frames):
        square = np.asarray(cv2.resize(frame, size))
        if last is None or patch_ssim(last, square, random, constants.patch_px) < constants.duplicate_ssim:
            kept.append(i)
            last = square
    return kept


def cursor_trace(samples: Samples, scale: float, constants: Constants) -> list[Point]:
    """Rule D over one stable chunk: B = median, R = |F - B| without face boxes and noise, the cursor is at R's arg-max.

    `scale`: pixels of the video per pixel of the samples. A frame in which nothing exceeds the noise gives no point.
    """
    import cv2

    from pipelines.stages.stable import temporal_median

    background = temporal_median([g for _, g in samples])
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    faces: Sequence[Sequence[int]] = ()
    looked_s, points = -np.inf, []
    times = max(1.0, background.shape[1] / constants.face_width_px)
    for time_s, grey in samples:
        if time_s - looked_s >= constants.face_step_s:
            small = cv2.resize(grey, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA)
            looked_s, faces = time_s, cascade.detectMultiScale(small)
        residual = cv2.absdiff(grey, background)
        for face in faces:
            left, top, width, height = (int(v * times) for v in face)
            residual[top : top + height, left : left + width] = 0
        y, x = np.unravel_index(int(residual.argmax()), residual.shape)
        if residual[y, x] > constants.noise_threshold:
            points.append(Point(time_s=time_s, x=float((x + 0.5) * scale), y=float((y + 0.5) * scale)))
    return points


def around(points: Sequence[Point]) -> Box:
    """The published box of a trace: the smallest around all its points."""
    xs, ys = [p.x for p in points], [p.y for p in points]
    return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stills:
    """What rules B, C and D give of one film."""

    intervals: tuple[Interval, ...]
    images: tuple[np.ndarray, ...]
    traces: tuple[tuple[Point, ...], ...]
    """One for each interval."""


def stills(path: Path, key_frames_s: Sequence[float], duration_s: float, constants: Constants) -> Stills:
    """Stable chunks over the whole film, their images and traces; de-duplicated key frames where nothing is stable."""
    samples = sampled_luma(path, fps=constants.fps, width=constants.width_px)
    random = np.random.default_rng(constants.seed + 1)
    chunks = stable_chunks(samples, constants)
    if not chunks:
        ends = [*key_frames_s[1:], duration_s]
        shown = [(s, e) for s, e in zip(key_frames_s, ends, strict=True) if e > s]
        frames = dict(stacks(path, shown, 1))
        order = sorted(frames)
        kept = kept_key_frames([frames[i][0][1] for i in order], random, constants)
        spans = [shown[order[k]] for k in kept]
        return Stills(intervals=tuple(Interval(start_s=s, end_s=e, image=i) for i, (s, e) in enumerate(spans)),
                      images=tuple(frames[order[k]][0][1] for k in kept), traces=((),) * len(kept))  # fmt: skip
    images: dict[int, np.ndarray] = {}
    scale = 1.0
    for i, found in stacks(path, chunks, constants.image_frames):
        scale = found[0][1].shape[1] / samples[0][1].shape[1]
        images[i] = stable_image([rgb for _, rgb in found], random, constants)
    known = [c for i, c in enumerate(chunks) if i in images]
    traces = [tuple(cursor_trace([s for s in samples if a <= s[0] < b], scale, constants)) for a, b in known]
    return Stills(intervals=tuple(Interval(start_s=s, end_s=e, image=i) for i, (s, e) in enumerate(known)),
                  images=tuple(images[i] for i in sorted(images)), traces=tuple(traces))  # fmt: skip
