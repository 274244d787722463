"""A window of samples, kept small: the resting picture once, and of each sample only the tiles that differ from it.

So what was seen can be looked at again when more is known of the cursor, for a few megabytes a minute.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.stages.candidates import Candidate

_TILE_PX = 16
_MOST_CHANGED = 0.25
"""If more of a sample differs, insets move: of them nothing is kept."""


@dataclass(frozen=True, slots=True)
class Window:
    """Samples of one rest over one background. The first `count` are this window's own, the others the next one's too."""

    times: tuple[float, ...]
    count: int
    background: np.ndarray
    limit: np.ndarray
    quiet: np.ndarray
    found: tuple[tuple[Candidate, ...], ...]
    """The cursor-like components of each sample."""
    tiles: tuple[tuple[np.ndarray, np.ndarray], ...]
    """Of each sample which tiles differ (rows, columns) bool, and their pixels (n, tile, tile) uint8."""

    @staticmethod
    def of(
        times: list[float],
        count: int,
        lumas: list[np.ndarray],
        background: np.ndarray,
        limit: np.ndarray,
        quiet: np.ndarray,
        found: list[list[Candidate]],
    ) -> "Window":
        """Keeps what differs by more than `limit`, and the tiles around."""
        tiles = tuple(_changed(luma, background, limit, quiet) for luma in lumas)
        return Window(tuple(times), count, background, limit, quiet, tuple(tuple(f) for f in found), tiles)

    def lumas(self) -> list[np.ndarray]:
        """The samples again (h, w) uint8; where they hardly differed from the background, the background."""
        return [self._luma(which, pixels) for which, pixels in self.tiles]

    def own(self) -> Iterator[tuple[float, np.ndarray]]:
        """Times and samples of this window's own, one held at a time."""
        for time_s, tiles in zip(self.times[: self.count], self.tiles, strict=False):
            yield time_s, self._luma(*tiles)

    def _luma(self, which: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        height, width = self.background.shape
        whole = _padded(self.background)
        _tiled(whole)[which] = pixels
        return np.ascontiguousarray(whole[:height, :width])


def _changed(
    luma: np.ndarray, background: np.ndarray, limit: np.ndarray, quiet: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    import cv2

    over = cv2.compare(cv2.absdiff(luma, background), limit, cv2.CMP_GT)
    which = _any(over)
    if which.mean() > _MOST_CHANGED:
        which = _any(cv2.bitwise_and(over, quiet))
    which = cv2.dilate(which.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return which, _tiled(_padded(luma))[which]


def _any(over: np.ndarray) -> np.ndarray:
    import cv2

    padded = _padded(over, edge=False)
    size = padded.shape[1] // _TILE_PX, padded.shape[0] // _TILE_PX
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA)) > 0


def _padded(image: np.ndarray, *, edge: bool = True) -> np.ndarray:
    """A copy whose edges are whole tiles."""
    import cv2

    below, right = -image.shape[0] % _TILE_PX, -image.shape[1] % _TILE_PX
    return np.asarray(
        cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE if edge else cv2.BORDER_CONSTANT, value=0)
    )


def _tiled(image: np.ndarray) -> np.ndarray:
    """A view by tiles: (rows, columns, tile, tile)."""
    height, width = image.shape
    return image.reshape(height // _TILE_PX, _TILE_PX, width // _TILE_PX, _TILE_PX).swapaxes(1, 2)
