"""The middle of a disc, also where a part of it is hidden; the tip of an arrow."""

import cv2
import numpy as np
import pytest

from pipelines.stages.hot_spot import hot_spot


def disc(edge: int, seen: int) -> tuple[np.ndarray, np.ndarray]:
    """A disc in a cut of (edge + 6) square, of which the upper `seen` rows are the cursor's own pixels."""
    mask = np.zeros((edge + 6, edge + 6), np.float32)
    cv2.circle(mask, (edge // 2 + 3, edge // 2 + 3), edge // 2, 1.0, -1)
    mask[3 + seen :] = 0
    return 60 * mask, mask


@pytest.mark.parametrize(("edge", "seen"), [(44, 44), (44, 35), (30, 30), (12, 12)])
def test_a_disc_is_meant_by_its_middle(edge: int, seen: int) -> None:
    x, y = hot_spot(*disc(edge, seen))
    assert x == pytest.approx(edge / 2 + 3, abs=1.5)
    assert y == pytest.approx(3 + seen / 2, abs=2.5)  # the middle of what is seen: nearer than the upper edge


def test_an_arrow_is_meant_by_its_tip() -> None:
    mask = np.zeros((40, 30), np.float32)
    cv2.fillPoly(mask, [np.array([(4, 4), (4, 32), (22, 24)])], 1.0)
    x, y = hot_spot(60 * mask, mask)
    assert (x, y) == (pytest.approx(4, abs=1.5), pytest.approx(4, abs=1.5))
