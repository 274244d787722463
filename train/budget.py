"""How many frames a film gives and how large they go in: OpenBiomedVid's visual token budget. Arithmetic only."""

import math

from train.config import PATCH_PX, VisionSettings

SHRINK = 0.95


def frame_times(start_s: float, end_s: float, vision: VisionSettings) -> tuple[float, ...]:
    """Times of the frames of `[start_s, end_s)`: one each `1 / fps`, or `max_frames` spread evenly where that is fewer."""
    length = max(0.0, end_s - start_s)
    count = max(1, math.floor(length * vision.fps + 1e-6))
    if count <= vision.max_frames:
        return tuple(start_s + i / vision.fps for i in range(count))
    return tuple(start_s + length * i / vision.max_frames for i in range(vision.max_frames))


def film_tokens(width: int, height: int, frames: int) -> int:
    """Visual tokens of a film at a size that is a multiple of 28: two frames share theirs."""
    return math.ceil(frames / 2) * (width // PATCH_PX) * (height // PATCH_PX)


def film_size(width: int, height: int, frames: int, vision: VisionSettings) -> tuple[int, int]:
    """The (width, height) at which `frames` frames of that size keep to the budget: multiples of 28.

    As published: both sides shrink by 5 % (never below `min_side_px`) until a frame's tokens, half of its 28 px squares,
    fit its share of the budget; both go to the nearest multiple of 28, and the side which that changed less follows from
    the other by the aspect ratio; what is still too large loses 28 px of its longer side. The published count lets an odd
    last frame go free; here a film keeps to the budget by the model's own count.
    """
    least, share = vision.min_side_px, vision.video_max_tokens // frames
    w, h = float(width), float(height)
    while _published_tokens(w, h) > share and max(w, h) > least:
        w, h = max(least, w * SHRINK), max(least, h * SHRINK)
    side = _multiples(w, h, width / height, least)
    while _too_large(*side, frames, vision) and max(side) > least:
        side = (side[0] - PATCH_PX, side[1]) if side[0] >= side[1] else (side[0], side[1] - PATCH_PX)
    return side


def _published_tokens(w: float, h: float) -> int:
    return math.ceil(w / PATCH_PX) * math.ceil(h / PATCH_PX) // 2


def _too_large(w: int, h: int, frames: int, vision: VisionSettings) -> bool:
    over = film_tokens(w, h, frames) > vision.video_max_tokens
    return over or _published_tokens(w, h) > vision.video_max_tokens // frames


def _multiples(w: float, h: float, aspect: float, least: int) -> tuple[int, int]:
    def nearest(side: float) -> int:
        return max(least, round(side / PATCH_PX) * PATCH_PX)

    if abs(nearest(w) - w) < abs(nearest(h) - h):
        return min(nearest(nearest(h) * aspect), nearest(w + PATCH_PX)), nearest(h)  # a strip is not blown up
    return nearest(w), min(nearest(nearest(w) / aspect), nearest(h + PATCH_PX))
