"""The drawn pictures from which the cursor net is learned."""

import numpy as np
import pytest

from train.cursor_backgrounds import SIDE_PX
from train.cursor_pictures import KINDS, _with_cursor, drawn


def test_a_seed_draws_the_same_picture() -> None:
    one, other = (drawn(np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one[0], other[0])
    assert one[1] == other[1]
    assert not np.array_equal(one[0], drawn(np.random.default_rng(8))[0])


def test_pictures_are_of_one_size_and_hold_none_to_three() -> None:
    rng = np.random.default_rng(0)
    found = [drawn(rng) for _ in range(40)]
    assert {luma.shape for luma, _ in found} == {(SIDE_PX, SIDE_PX)}
    assert all(luma.dtype == np.uint8 for luma, _ in found)
    assert {len(shown) for _, shown in found} == {0, 1, 2, 3}


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_cursor_is_where_it_is_said_to_be(kind: str) -> None:
    whole = 0
    for seed in range(8):
        grey = np.full((SIDE_PX, SIDE_PX, 3), 128, np.float32)
        shown, x, y = _with_cursor(grey, np.random.default_rng(seed), kind, 16)
        if not (20 < x < SIDE_PX - 20 and 20 < y < SIDE_PX - 20):
            continue  # a part of it lies outside
        whole += 1
        rows, columns = np.nonzero(np.abs(shown - 128).max(axis=-1) > 8)
        assert columns.min() - 2 <= x <= columns.max() + 3
        assert rows.min() - 2 <= y <= rows.max() + 3
        assert 6 <= max(np.ptp(rows), np.ptp(columns)) <= 24
        if kind in ("white", "black", "hand"):  # they point with their upper end
            assert abs(rows.min() - y) < 3
    assert whole >= 3
