"""The pictures that are kept of one video: different ones, at most so many, the longest rests first."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.schema import StableInterval


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """A picture to keep: RGB uint8 (H, W, 3), `method` is `median` (of a rest) or `key_frame`."""

    start_s: float
    end_s: float
    method: str
    rgb: np.ndarray


class Album:
    """At most `max_images` different pictures of one video: the longest rests, then key frames, evenly thinned."""

    _WIDTH, _PIXEL, _SHARE = 96, 10, 0.004
    """Two pictures are one if at most this share of their luma at this width differs by more than `_PIXEL`."""

    def __init__(self, *, max_images: int, window_s: float, keep: Callable[[Still], str]) -> None:
        self._max_images, self._keep = max_images, keep
        self._small: dict[str, tuple[tuple[int, ...], np.ndarray]] = {}
        self._entries: list[StableInterval] = []
        self.key_spacing_s = window_s
        """Key frames of a long moving stretch are this far apart; it grows where there are too many."""

    def has_room(self, length_s: float) -> bool:
        """Whether a rest of this length would stay."""
        return len(self._small) < self._max_images or (length_s, 0.0) > self._rank(self._weakest())

    def has_room_for_key_frame(self, start_s: float) -> bool:
        """Whether a key frame from `start_s` would stay: at most one per `key_spacing_s`, none in place of a rest."""
        keys = [e for e in self._entries if e.method == "key_frame"]
        if keys and start_s - keys[-1].start_s < self.key_spacing_s - 0.2:
            return False
        return len(self._small) < self._max_images or len(keys) > 1

    def add(self, still: Still) -> None:
        """Takes a picture, or lets its interval share an equal one."""
        height, width = still.rgb.shape[:2]
        small = self._reduced(still.rgb)
        image_id = next((i for i, (s, p) in self._small.items() if s == still.rgb.shape and self._same(p, small)), None)
        if image_id is None:
            if len(self._small) >= self._max_images:
                self._drop(self._weakest())
            image_id = self._keep(still)
            self._small[image_id] = (still.rgb.shape, small)
        self._entries.append(
            StableInterval(
                start_s=still.start_s,
                end_s=still.end_s,
                image_id=image_id,
                method=still.method,
                width=width,
                height=height,
            )
        )

    def intervals(self) -> tuple[StableInterval, ...]:
        """What stayed, in time order."""
        return tuple(sorted(self._entries, key=lambda e: e.start_s))

    def _rank(self, image_id: str) -> tuple[float, float]:
        """Length of its longest rest; for a key frame 0 and the gap to the key frame before."""
        mine = [e for e in self._entries if e.image_id == image_id]
        rest_s = max((e.end_s - e.start_s for e in mine if e.method == "median"), default=0.0)
        earlier = [e.start_s for e in self._entries if e.method == "key_frame" and e.start_s < mine[0].start_s]
        return rest_s, mine[0].start_s - max(earlier, default=-np.inf)

    def _weakest(self) -> str:
        return min(self._small, key=self._rank)

    def _drop(self, image_id: str) -> None:
        rest_s, gap_s = self._rank(image_id)
        if rest_s == 0 and np.isfinite(gap_s):
            self.key_spacing_s = max(self.key_spacing_s, 2 * gap_s - 0.5)
        del self._small[image_id]
        self._entries = [e for e in self._entries if e.image_id != image_id]

    def _reduced(self, rgb: np.ndarray) -> np.ndarray:
        import cv2

        luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        height = max(1, round(self._WIDTH * rgb.shape[0] / rgb.shape[1]))
        return np.asarray(cv2.resize(luma, (self._WIDTH, height), interpolation=cv2.INTER_AREA))

    def _same(self, a: np.ndarray, b: np.ndarray) -> bool:
        return float((np.abs(a.astype(np.int16) - b) > self._PIXEL).mean()) <= self._SHARE
