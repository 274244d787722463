"""The cursor by its outline: on grounds where it looks otherwise, only apart from all else, only where it is no part."""

import functools

import numpy as np
import pytest

from pipelines.stages import outline
from pipelines.stages.looks import Looks
from pipelines.stages.outline import Thing, expected, unmistakable
from pipelines.stages.pointer import Pointer
from tests.pipelines.stages.cursors import (
    Draw,
    draw_arrow,
    draw_cross,
    draw_disc,
    draw_veil,
    lumas,
    path,
    tissue,
    tracer_of,
)

WHOLE = np.full(tissue().shape, 255, np.uint8)
PLACE = (420.0, 260.0)


@functools.cache
def looks_of(draw: Draw) -> Looks:
    """Learned over the section."""
    pointer = Pointer()
    tracer_of(lumas(path(8, rest=0), draw=draw), pointer)
    pointer.settle()
    assert pointer.looks.appearances
    return pointer.looks


def plain(level: int, draw: Draw | None = None) -> np.ndarray:
    """A ground of one level, as noisy as the others."""
    picture = np.full(tissue().shape, level, np.uint8)
    return lumas([PLACE if draw else None], draw=draw or draw_arrow, picture=picture)[0]


@pytest.mark.parametrize("draw", [draw_arrow, draw_cross, draw_disc, draw_veil])
@pytest.mark.parametrize("level", [10, 150])
def test_it_is_found_on_a_ground_on_which_it_was_never_seen(draw: Draw, level: int) -> None:
    looks = looks_of(draw)
    for found in (expected(looks, plain(level, draw), WHOLE, PLACE, 12), unmistakable(looks, plain(level, draw), WHOLE)):
        assert isinstance(found, Thing)
        assert np.hypot(found.x - PLACE[0], found.y - PLACE[1]) < 3
        assert found.shown_in(plain(level, draw), plain(level, draw))
        assert not found.shown_in(plain(level), plain(level, draw))
    assert expected(looks, plain(level), WHOLE, PLACE, 12) is None
    assert unmistakable(looks, plain(level), WHOLE) is None


def test_a_dark_edge_on_a_white_ground_is_enough_for_an_arrow() -> None:
    found = unmistakable(looks_of(draw_arrow), plain(250, draw_arrow), WHOLE)
    assert found is not None
    assert np.hypot(found.x - PLACE[0], found.y - PLACE[1]) < 3


def test_further_away_than_it_may_have_gone_it_is_not_expected() -> None:
    looks, picture = looks_of(draw_arrow), plain(150, draw_arrow)
    assert expected(looks, picture, WHOLE, (PLACE[0] + 10, PLACE[1]), 12)
    assert expected(looks, picture, WHOLE, (PLACE[0] + 20, PLACE[1]), 12) is None


def test_among_other_things_it_is_nothing() -> None:
    looks, picture = looks_of(draw_arrow), plain(150, draw_arrow)
    picture[240:300, 436:442] = 250
    assert expected(looks, picture, WHOLE, PLACE, 12) is None


def test_what_is_there_twice_is_not_unmistakable() -> None:
    looks, picture = looks_of(draw_arrow), plain(150, draw_arrow)
    draw_arrow(picture, 700, 400)
    assert unmistakable(looks, picture, WHOLE) is None
    assert expected(looks, picture, WHOLE, PLACE, 12)


def test_another_shape_of_its_size_is_not_it() -> None:
    looks, picture = looks_of(draw_arrow), plain(150)
    picture[258:278, 418:434] = 250
    assert unmistakable(looks, picture, WHOLE) is None


def test_nothing_is_looked_for_where_insets_move() -> None:
    quiet = WHOLE.copy()
    quiet[200:320, 300:500] = 0
    assert unmistakable(looks_of(draw_arrow), plain(150, draw_arrow), quiet) is None


def test_nothing_known_nothing_found() -> None:
    assert outline.things(Pointer().looks, plain(150, draw_arrow), WHOLE) == []
