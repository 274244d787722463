"""What moves on the screen and is no cursor: insets that never stop, clocks and captions that tick in their place."""

import itertools

import numpy as np

_BLOCK_PX, _OFTEN = 8, 0.08
_TICKS, _TICK_REACH, _TICK_SHARE = 3, 13, 0.2
"""So many lonely changes in one window make a clock or captions: nothing within 6 blocks changes before or after."""
_INSET_BLOCKS, _KNOWN_BLOCKS = 24, 12
"""So many neighbouring blocks changing at once are an inset; a cursor, where it was and where it is, touches fewer. Where an
inset was before, fewer suffice."""


class Beside:
    """The insets of a video, as far as they are known: most of them stay where they are."""

    def __init__(self) -> None:
        self._insets = np.zeros((0, 0), bool)

    def mask(self, lumas: list[np.ndarray]) -> np.ndarray:
        """Where no cursor is to be looked for (h, w) bool: what is larger and keeps moving, and what changes in its place.

        The first are insets: a talking head, a video in the slide. The second are clocks, carets and captions: they change
        at once, while just before and just after nothing near them does; a cursor comes from somewhere and goes somewhere.
        """
        import cv2

        height, width = lumas[0].shape
        size = (-(-width // _BLOCK_PX), -(-height // _BLOCK_PX))
        changes = []
        for before, after in itertools.pairwise(lumas):
            difference = cv2.absdiff(cv2.blur(before, (3, 3)), cv2.blur(after, (3, 3)))
            step = cv2.resize(difference, size, interpolation=cv2.INTER_AREA)
            changes.append((step > 2.0 + 2.5 * float(np.median(step))).astype(np.uint8))
        if not changes:
            return np.zeros(lumas[0].shape, bool)
        if self._insets.shape != changes[0].shape:  # the first samples, or the video goes on in another size
            self._insets = np.zeros(changes[0].shape, bool)
        found = _insets(changes, self._insets)
        self._insets |= found > 0
        mask = cv2.dilate(found | _tickers(changes), np.ones((3, 3), np.uint8))
        return np.asarray(np.kron(mask, np.ones((_BLOCK_PX, _BLOCK_PX), np.uint8))[:height, :width] > 0)


def _insets(changes: list[np.ndarray], known: np.ndarray) -> np.ndarray:
    import cv2

    often = np.mean(changes, axis=0) > _OFTEN
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        cv2.morphologyEx(often.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    )
    inset = np.zeros(labels.shape, np.uint8)
    for part in range(1, count):
        if stats[part, cv2.CC_STAT_AREA] < _INSET_BLOCKS:
            continue
        at_once = np.array([int(c[labels == part].sum()) for c in changes])
        least = _KNOWN_BLOCKS if known[labels == part].mean() > 0.5 else _INSET_BLOCKS
        if at_once.any() and float(np.median(at_once[at_once > 0])) >= least:
            inset[labels == part] = 1
    return inset


def _tickers(changes: list[np.ndarray]) -> np.ndarray:
    import cv2

    near = np.ones((_TICK_REACH, _TICK_REACH), np.uint8)
    around = [cv2.dilate(c, near) if c.any() else c for c in changes]
    ticks = np.zeros(changes[0].shape, np.int32)
    for before, change, after in zip(around, changes[1:], around[2:], strict=False):
        if 0 < change.sum() <= _TICK_SHARE * change.size:
            ticks += change & ~(before | after) & 1
    return (ticks >= _TICKS).astype(np.uint8)
