"""Where the picture rests, and the cursor-free image of that rest.

The idea is MedicalNarratives' stable chunk (3.2.5): static for at least 3 s, background = temporal median. Theirs draws
random patches and asks for SSIM > 0.98, which is blind to what no patch hits; here every block of the reduced luma is
compared with the sample before (motion) and with the rest's first sample (drift: slow pans; builds: what was added
stays).
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

BLOCK_PX = 8
"""Of the reduced luma: a cursor covers 2 to 9 blocks of about 2000."""
_NOISE_FLOOR, _NOISE_FACTOR = 3.0, 2.5
"""A block has changed if its mean change exceeds floor + factor * the median change of all blocks, grey levels."""
_MAX_NOISE = 3.0
_TEXTURE = 2.0
"""Blocks flatter than this (mean deviation from their neighbourhood) cannot show that the picture moves."""
_MOVING_SHARE, _MOVING_TEXTURED = 0.20, 0.5
_DRIFT_SHARE, _DRIFT_TEXTURED = 0.12, 0.4
_LEAST_SHARE = 0.02
"""Less than this never breaks rest by motion or drift: cursors, small insets."""
_BUSY_RISE, _BUSY_FALL, _BUSY = 0.15, 0.02, 0.3
"""A block that keeps changing (a talking head's) says nothing about drift."""
_OFTEN_RATE, _OFTEN, _INSETS_SHARE = 0.05, 0.3, 0.35
"""A block that changed in this share of the last two seconds is an inset's, if they all are this share of the picture."""
_CAPTION_S = 10.0
"""What is built twice in one place within this time is a caption, not a slide's next line."""
_LOWEST, _CENTRED = 0.8, 0.2
"""A line below this share of the height, its middle no further from the picture's than this share of the width, is one at
first sight: there players and editors put captions, and slides hardly ever their next line. A few words may be all of it
that differs."""
_BUILD_SHARE = 0.012
_LINE_BLOCKS, _LINE_RATIO = 8, 2.5
_BUILD_S = 1.0
"""A connected new thing of this size that stays this long (a line of text, not a parked cursor) is another picture."""


@dataclass(frozen=True, slots=True)
class Rest:
    """A stretch in which the picture rests, seconds."""

    start_s: float
    end_s: float


class RestDetector:
    """Feed samples of reduced luma in order; what it says of the time before `settled_s` is final."""

    LAG_S = 1.2

    def __init__(self) -> None:
        self._recent: deque[tuple[float, np.ndarray]] = deque()
        self._calm_since_s: float | None = None
        self.resting_since_s: float | None = None
        """Where the present rest began; None while the picture moves."""
        self._reference: np.ndarray

    @property
    def settled_s(self) -> float:
        """No later call will begin or end a rest before this time."""
        return (self._recent[-1][0] if self._recent else -np.inf) - self.LAG_S

    def feed(self, time_s: float, luma: np.ndarray) -> Rest | None:
        """Takes one sample, luma (h, w) uint8; returns the rest that ended, if one did."""
        import cv2

        smooth = cv2.blur(luma, (3, 3))
        if not self._recent or self._recent[-1][1].shape != smooth.shape:
            ended = self._end(self._recent[-1][0]) if self._recent else None
            self._recent = deque([(time_s, smooth)])
            shape = _block_means(smooth).shape
            self._often = np.zeros(shape, np.float32)
            self._built_s, self._captions = np.full(shape, -np.inf), np.zeros(shape, bool)
            return ended
        last_s, last = self._recent[-1]
        self._recent.append((time_s, smooth))
        while self._recent[0][0] < time_s - self.LAG_S - 0.3:
            self._recent.popleft()
        step = _block_means(cv2.absdiff(smooth, last))
        limit = _NOISE_FLOOR + _NOISE_FACTOR * min(_MAX_NOISE, float(np.median(step)))
        changed = step > limit
        self._often += _OFTEN_RATE * (changed - self._often)
        beside = self._beside()
        if self.resting_since_s is None:
            calm = not _exceeds(changed & ~beside, _textured(smooth) & ~beside, _MOVING_SHARE, _MOVING_TEXTURED)
            if calm and self._calm_since_s is not None:
                self._begin(self._earlier(self._calm_since_s, smooth, limit), smooth)
            self._calm_since_s = last_s if calm else None
            return None
        self._busy += np.where(changed, _BUSY_RISE * (1 - self._busy), -_BUSY_FALL * self._busy)
        self._changed_s[changed] = time_s
        if _exceeds(changed & ~beside, self._texture & ~beside, _MOVING_SHARE, _MOVING_TEXTURED):
            return self._end(last_s)
        return self._compare(time_s, smooth, limit, beside)

    def finish(self) -> Rest | None:
        """The rest that lasts to the end."""
        return self._end(self._recent[-1][0]) if self._recent else None

    def _beside(self) -> np.ndarray:
        """Blocks that are no part of the picture: insets that keep moving, captions that keep changing."""
        insets = self._often > _OFTEN
        return insets | self._captions if insets.mean() <= _INSETS_SHARE else self._captions.copy()

    def _earlier(self, since_s: float, smooth: np.ndarray, limit: float) -> float:
        """Where the calm really began: an inset was not known as one at first."""
        import cv2

        beside, texture = self._beside(), _textured(smooth)
        for time_s, before in reversed(self._recent):
            if time_s >= since_s:
                continue
            changed = _block_means(cv2.absdiff(smooth, before)) > limit
            if _exceeds(changed & ~beside, texture & ~beside, _DRIFT_SHARE, _DRIFT_TEXTURED):
                break
            since_s = time_s
        return since_s

    def _compare(self, time_s: float, smooth: np.ndarray, limit: float, beside: np.ndarray) -> Rest | None:
        import cv2

        other = _block_means(cv2.absdiff(smooth, self._reference)) > limit
        other &= (self._busy < _BUSY) & ~beside
        self._other_s[~other] = np.inf
        self._other_s[other & np.isinf(self._other_s)] = time_s
        if _exceeds(other, self._texture & ~beside, _DRIFT_SHARE, _DRIFT_TEXTURED):
            return self._end(max(self.settled_s, float(np.median(self._other_s[other]))))
        stays = other & (time_s - np.maximum(self._other_s, self._changed_s) >= _BUILD_S - 0.01)
        if stays.sum() < _LINE_BLOCKS:
            return None
        count, labels, stats, _ = cv2.connectedComponentsWithStats(stays.astype(np.uint8), connectivity=8)
        part = labels == (1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()) if count > 1 else -1)
        if not _is_built(part):
            return None
        built_s = max(self.settled_s, float(np.median(self._other_s[part])))
        again = time_s - self._built_s[part] < _CAPTION_S
        self._built_s[part] = time_s
        if again.mean() >= 0.5 or _is_caption(part):
            rows, columns = (slice(axis.min(), axis.max() + 1) for axis in np.nonzero(part))
            self._captions[rows, columns] = True
            return None
        ended = self._end(built_s)
        self._begin(built_s, next((luma for at, luma in self._recent if at >= built_s - 1e-6), smooth))
        return ended

    def _begin(self, start_s: float, smooth: np.ndarray) -> None:
        self.resting_since_s, self._reference = start_s, smooth
        self._texture = _textured(smooth)
        self._busy = np.zeros(self._texture.shape, np.float32)
        self._changed_s = np.full(self._texture.shape, -np.inf)
        self._other_s = np.full(self._texture.shape, np.inf)

    def _end(self, end_s: float) -> Rest | None:
        start_s, self.resting_since_s, self._calm_since_s = self.resting_since_s, None, None
        return Rest(start_s, end_s) if start_s is not None and end_s > start_s else None


def _is_built(part: np.ndarray) -> bool:
    """Whether blocks that have changed for good are something new on the screen: large, or a line of text."""
    if part.sum() >= _BUILD_SHARE * part.size:
        return True
    rows, columns = (np.ptp(axis) + 1 if axis.size else 0 for axis in np.nonzero(part))
    return bool(columns >= _LINE_BLOCKS and columns >= _LINE_RATIO * rows)


def _is_caption(part: np.ndarray) -> bool:
    """Whether it lies where captions lie."""
    height, width = part.shape
    rows, columns = np.nonzero(part)
    beside = abs(columns.min() + columns.max() + 1 - width) / 2
    return bool(rows.min() >= _LOWEST * height and beside <= _CENTRED * width)


def _exceeds(changed: np.ndarray, texture: np.ndarray, share: float, textured_share: float) -> bool:
    count = int(changed.sum())
    if count <= _LEAST_SHARE * changed.size:
        return False
    return count > share * changed.size or int((changed & texture).sum()) > textured_share * int(texture.sum())


def _textured(smooth: np.ndarray) -> np.ndarray:
    import cv2

    return _block_means(cv2.absdiff(smooth, cv2.blur(smooth, (9, 9)))) > _TEXTURE


def _block_means(values: np.ndarray) -> np.ndarray:
    import cv2

    height, width = values.shape
    size = (max(1, width // BLOCK_PX), max(1, height // BLOCK_PX))
    whole = np.ascontiguousarray(values[: size[1] * BLOCK_PX, : size[0] * BLOCK_PX])
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA))


def temporal_median(frames: list[np.ndarray]) -> np.ndarray:
    """Per-value median of equally shaped uint8 arrays (of an even number, the lower middle).

    A partial bubble sort in strips that stay in the processor's cache: the vectorised minimum and maximum make it some
    ten times faster than `np.median`, without its float copies.
    """
    flat = [np.ascontiguousarray(f).reshape(-1) for f in frames]
    result = np.empty_like(flat[0])
    count, strip = len(flat), max(1, (1 << 18) // len(flat))
    spare = np.empty(strip, np.uint8)
    for at in range(0, result.size, strip):
        rows = [f[at : at + strip].copy() for f in flat]
        high = spare[: rows[0].size]
        for end in range(count - 1, (count - 1) // 2 - 1, -1):
            for i in range(end):
                np.maximum(rows[i], rows[i + 1], out=high)
                np.minimum(rows[i], rows[i + 1], out=rows[i])
                rows[i + 1], high = high, rows[i + 1]
        result[at : at + strip] = rows[(count - 1) // 2]
    return result.reshape(frames[0].shape)


class FrameStack:
    """At most `limit` frames of a rest, evenly spread: when full, every other one goes and the stride doubles."""

    def __init__(self, limit: int = 15, stride_s: float = 0.25) -> None:
        self._limit, self.stride_s = limit, stride_s
        self.frames: list[tuple[float, np.ndarray]] = []

    def wants(self, time_s: float) -> bool:
        """Whether a frame of this time would be kept."""
        return not self.frames or time_s >= self.frames[-1][0] + self.stride_s - 0.005

    def add(self, time_s: float, rgb: np.ndarray) -> None:
        """Keeps the frame if it is due."""
        if not self.wants(time_s):
            return
        self.frames.append((time_s, rgb))
        if len(self.frames) > self._limit:
            self.frames, self.stride_s = self.frames[::2], 2 * self.stride_s


def cursor_free(
    frames: list[tuple[float, np.ndarray]], cursor: list[tuple[float, float, float]], reach_px: float
) -> np.ndarray:
    """The median of `frames` (time_s, RGB); where a cursor rested too long for it, the median of the frames without.

    Args:
        frames: time_s and pixels (H, W, 3) uint8.
        cursor: time_s, x, y of the traced cursor in pixels of the frames, in time order.
        reach_px: half the edge of the square around the cursor that is not trusted.
    """
    image = temporal_median([rgb for _, rgb in frames])
    if not cursor:
        return image
    times = np.array([c[0] for c in cursor])
    at = [cursor[int(np.abs(times - t).argmin())] for t, _ in frames]
    for _, x, y in at:
        clear = [
            rgb
            for (t, rgb), (seen_s, u, v) in zip(frames, at, strict=True)
            if abs(seen_s - t) <= 0.3 and max(abs(u - x), abs(v - y)) > 2 * reach_px
        ]
        if len(clear) * 2 < len(frames) and len(clear) >= 2:
            rows = slice(max(0, int(y - reach_px)), max(0, int(y + reach_px)))
            columns = slice(max(0, int(x - reach_px)), max(0, int(x + reach_px)))
            image[rows, columns] = temporal_median([rgb[rows, columns] for rgb in clear])
    return image
