"""The net that knows cursors: on pictures and drawings of the lectures, which it never learned from."""

import numpy as np
import pytest
from skimage import data

from actors.cursor_net import CursorNet
from pipelines.media import RED_WEIGHT
from tests.lectures.grounding.cursors import put

HEIGHT, WIDTH = 270, 481


@pytest.fixture(scope="module")
def net() -> CursorNet:
    return CursorNet()


def picture(kind: str | None = None, px: float = 20, x: float = 200, y: float = 120) -> np.ndarray:
    """A part of the retina with a cursor in it, as `pointer_luma` shows it."""
    import cv2

    rgb = np.ascontiguousarray(data.retina()[300 : 300 + HEIGHT, 400 : 400 + WIDTH])
    if kind:
        put(rgb, kind, px, x, y)
    luma, red, _ = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))
    return cv2.addWeighted(luma, 1.0, red, -RED_WEIGHT, 128 * RED_WEIGHT)


@pytest.mark.parametrize(("kind", "px"), [
    ("white_arrow", 12), ("white_arrow", 30), ("black_arrow", 24), ("hand", 24), ("crosshair", 20), ("laser_green", 18),
    ("highlight", 40),
])  # fmt: skip
def test_each_kind_is_found_at_its_hot_spot(net: CursorNet, kind: str, px: float) -> None:
    best, *_ = net.places(picture(kind, px), 0.5)
    assert np.hypot(best.x - 200, best.y - 120) < 3
    assert 0.4 * px < best.size < 1.6 * px
    (near,) = net.near([picture(kind, px)], 203, 117, 8)
    assert np.hypot(near.x - best.x, near.y - best.y) < 2


def test_a_picture_without_one_holds_none(net: CursorNet) -> None:
    assert net.places(picture(), 0.5) == []
    assert net.near([picture()], 200, 120, 10)[0].likelihood < 0.3


def test_only_what_is_in_reach_is_near(net: CursorNet) -> None:
    at, away = picture("white_arrow"), picture("white_arrow", x=230, y=120)
    near = net.near(iter([at, away] * 20), 200, 120, 10)
    assert [n.likelihood > 0.5 for n in near] == [True, False] * 20
    assert all(np.hypot(n.x - 200, n.y - 120) <= 10 for n in near if n.likelihood > 0.1)


@pytest.mark.parametrize(("x", "y"), [(3, 4), (WIDTH - 20, 5), (6, HEIGHT - 30)])
def test_at_the_edge_of_a_picture_of_any_size(net: CursorNet, x: float, y: float) -> None:
    shown = picture("white_arrow", 20, x, y)
    best, *_ = net.places(shown, 0.3)
    assert np.hypot(best.x - x, best.y - y) < 3
    (near,) = net.near([shown], x, y, 5)
    assert near.likelihood > 0.3


def test_a_picture_is_the_same_beside_others(net: CursorNet) -> None:
    one, *others = (picture("hand", 20, 200 + i, 120) for i in range(3))
    (alone,) = net.near([one], 200, 120, 8)
    first, *_ = net.near([one, *others], 200, 120, 8)
    assert (alone.x, alone.y) == pytest.approx((first.x, first.y), abs=1e-3)
    assert alone.likelihood == pytest.approx(first.likelihood, abs=1e-4)
