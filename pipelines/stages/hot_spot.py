"""Which point of a cursor points: the middle of a cross, dot or disc, the tip of an arrow or hand."""

import numpy as np

from pipelines.stages.candidates import soft

_TIP_ABOVE = 0.4
"""A tip is thinner than a pixel, so the component begins below it: measured with the standard arrow."""
_SQUARE, _LARGE_SQUARE, _SYMMETRICAL, _ALL_SYMMETRICAL, _LEAST_EDGE_PX = 0.04, 0.08, 0.4, 0.95, 8
"""Crosses, dots and discs are as wide as high, and like themselves turned round; arrows and hands are higher than wide."""
_HAND_PX, _SAME_OUTLINE, _ALL_OUTLINE = (16, 24), 0.5, 0.8
"""A small hand is nearly as wide as high; its outline tells it: intersection over union with itself turned round."""


def hot_spot(strength: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Its place from the upper left corner, pixels; (h, w) float32 each.

    The centre of what is the same upside down (a cross, dot or disc); else the tip, at the top of an arrow or hand.
    """
    import cv2

    values = np.where(mask > 0, strength, 0.0).astype(np.float32)
    height, width = values.shape
    longer, shorter = sorted((int(np.ptp(axis)) + 1 for axis in np.nonzero(mask)), reverse=True)  # without its margin
    reach = max(2, min(height, width) // 4)
    wide = cv2.copyMakeBorder(values, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0.0)
    likeness = cv2.matchTemplate(soft(wide), soft(np.ascontiguousarray(values[::-1, ::-1])), cv2.TM_CCOEFF_NORMED)
    _, best, _, (dx, dy) = cv2.minMaxLoc(likeness)
    outline = _outline(mask, reach)
    square = longer - shorter <= max(1 + _SQUARE * longer, _LARGE_SQUARE * longer) and best >= _SYMMETRICAL
    square = square and (not _HAND_PX[0] <= min(height, width) < _HAND_PX[1] or outline >= _SAME_OUTLINE)
    if square or (min(height, width) >= _LEAST_EDGE_PX and best >= _ALL_SYMMETRICAL and outline >= _ALL_OUTLINE):
        return (width + dx - reach) / 2, (height + dy - reach) / 2
    strong = np.where(values > 0.4 * float(np.percentile(values[mask > 0], 90)), values, 0.0)
    rows, columns = np.flatnonzero(strong.any(axis=1)), np.flatnonzero(strong.any(axis=0))
    first = strong[rows[0] : rows[0] + max(1, round(np.ptp(rows) / 10))].sum(axis=0)
    tip = float(first @ (np.arange(width) + 0.5) / first.sum()) - 0.5
    return max(float(columns[0]), tip), max(0.0, float(rows[0]) - _TIP_ABOVE)


def _outline(mask: np.ndarray, reach: int) -> float:
    """Intersection over union of the mask with itself turned round, where they agree best."""
    import cv2

    wide = cv2.copyMakeBorder(mask, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0.0)
    both = float(cv2.matchTemplate(wide, np.ascontiguousarray(mask[::-1, ::-1]), cv2.TM_CCORR).max())
    return both / (2 * float(mask.sum()) - both)
