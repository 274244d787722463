"""The middle of a disc, the tip of an arrow."""

import cv2
import numpy as np
import pytest

from pipelines.stages.hot_spot import hot_spot


@pytest.mark.parametrize("edge", [44, 30, 12])
def test_a_disc_is_meant_by_its_middle(edge: int) -> None:
    mask = np.zeros((edge + 6, edge + 6), np.float32)
    cv2.circle(mask, (edge // 2 + 3, edge // 2 + 3), edge // 2, 1.0, -1)
    assert hot_spot(60 * mask, mask) == pytest.approx((edge / 2 + 3, edge / 2 + 3), abs=1.5)


def test_an_arrow_is_meant_by_its_tip() -> None:
    mask = np.zeros((40, 30), np.float32)
    cv2.fillPoly(mask, [np.array([(4, 4), (4, 32), (22, 24)])], 1.0)
    x, y = hot_spot(60 * mask, mask)
    assert (x, y) == (pytest.approx(4, abs=1.5), pytest.approx(4, abs=1.5))
