"""A window of samples, kept small: the resting picture once, and of each sample only the tiles that differ from it.

So what was seen can be looked at again when more is known of the cursor, for a few megabytes a minute.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.stages.candidates import Candidate
from pipelines.stages.follow import Spot

_TILE_PX = 16
_MOST_CHANGED = 0.25
"""If more of a sample differs, insets move: of them nothing is kept."""
_KEPT = 40
"""Grey levels by which what differs is kept in any case: where a dot trembles, the limit for a cursor is far higher."""
_HARDLY, _STRAY = 0.5, 0.1
"""A window in which it was found for less of the samples is looked at once more, for a cursor that lies still in it; so few
are stray ones."""
SAME_PX = 2
"""A match wavers no further."""


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
        """Keeps what differs by more than `limit`, or by much, and the tiles around."""
        kept = np.minimum(limit, np.uint8(_KEPT))
        tiles = tuple(_changed(luma, background, kept, quiet) for luma in lumas)
        return Window(tuple(times), count, background, limit, quiet, tuple(tuple(f) for f in found), tiles)

    def lumas(self) -> list[np.ndarray]:
        """The samples again (h, w) uint8; where they hardly differed from the background, the background."""
        return [self.luma(i) for i in range(len(self.tiles))]

    def own(self) -> Iterator[tuple[float, np.ndarray]]:
        """Times and samples of this window's own, one held at a time."""
        for number in range(self.count):
            yield self.times[number], self.luma(number)

    def luma(self, number: int) -> np.ndarray:
        """One sample again (h, w) uint8."""
        which, pixels = self.tiles[number]
        height, width = self.background.shape
        whole = _padded(self.background)
        _tiled(whole)[which] = pixels
        return np.ascontiguousarray(whole[:height, :width])


class Part:
    """A window of a rest, and where the cursor was in its own samples. The window goes when no more can be learned."""

    __slots__ = ("first", "numbers", "window")

    def __init__(self, window: Window | None, spots: Sequence[Spot], first: bool) -> None:
        self.window, self.spots = window, spots
        self.first = first
        """Of its rest: the window before shows another picture."""

    @property
    def spots(self) -> list[Spot]:
        """In time order. Held as `numbers` (n, 4), a column for each field: a video's parts are kept to its end."""
        return [Spot(*row) for row in self.numbers.tolist()]

    @spots.setter
    def spots(self, spots: Sequence[Spot]) -> None:
        self.numbers = np.array([(s.time_s, s.x, s.y, s.score) for s in spots]).reshape(-1, 4)

    def lie(self, spots: Sequence[Spot]) -> None:
        """It lies there at those times; at others it stays where it was found."""
        at = {s.time_s: s for s in (*self.spots, *spots)}
        self.spots = [at[t] for t in sorted(at)]

    @property
    def hardly(self) -> bool:
        """Whether it was found for too little of the window to be believed where it could lie still somewhere else."""
        assert self.window is not None
        return len(self.numbers) < _HARDLY * self.window.count

    @property
    def believed(self) -> bool:
        """Whether it was found often enough to be looked for where it was first or last."""
        assert self.window is not None
        return len(self.numbers) > 0 and len(self.numbers) >= _STRAY * self.window.count

    @property
    def lies(self) -> bool:
        """Whether it was found, at one place only."""
        return len(self.numbers) > 0 and bool(np.ptp(self.numbers[:, 1:3], axis=0).max() <= SAME_PX)


def elsewhere(parts: Collection[Part], x: float, y: float, reach: float) -> Iterator[Window]:
    """The windows in which the cursor was mostly further than `reach` from (x, y): what is there then is not the cursor."""
    known = np.concatenate([part.numbers for part in parts])
    for part in parts:
        window = part.window
        assert window is not None
        at = known[(known[:, 0] >= window.times[0] - 1e-6) & (known[:, 0] <= window.times[-1] + 1e-6)]
        far = np.maximum(np.abs(at[:, 1] - x), np.abs(at[:, 2] - y)) > reach
        if far.sum() > len(window.times) / 2:
            yield window


def stays(numbers: np.ndarray) -> Iterator[np.ndarray]:
    """The spots (n, 4) in pieces, each of one place; where it moves of one spot or a few."""
    start = 0
    for i in range(1, len(numbers) + 1):
        if i == len(numbers) or np.abs(numbers[i, 1:3] - numbers[start, 1:3]).max() > SAME_PX:
            yield numbers[start:i]
            start = i


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
