"""The cursor by its outline: on grounds where it looks otherwise, only apart from all else, only where it is no part."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from pipelines.stages import outline
from pipelines.stages.looks import Looks
from pipelines.stages.outline import Thing, expected, unmistakable
from pipelines.stages.pointer import Pointer
from tests.pipelines.stages.cursors import (
    Draw,
    Point,
    draw_arrow,
    draw_cross,
    draw_disc,
    draw_veil,
    errors,
    lumas,
    path,
    tissue,
    trace_of,
    tracer_of,
    way,
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


def draw_marker(frame: np.ndarray, x: int, y: int) -> None:
    """An arrow in a yellow disc that lets most of the ground through."""
    import cv2

    disc = np.zeros(frame.shape, np.uint8)
    cv2.circle(disc, (x, y), 22, 255, -1)
    frame[disc > 0] = (0.55 * frame[disc > 0] + 0.45 * 200).astype(np.uint8)
    draw_arrow(frame, x, y)


BLACK = np.full(tissue().shape, 5, np.uint8)


def test_a_cursor_that_lies_still_before_it_first_moves_is_found_on_another_ground() -> None:
    pointer, parked = Pointer(), [PLACE] * 50
    earlier = tracer_of(lumas(parked, picture=BLACK, draw=draw_marker), pointer)
    moving = [PLACE, *way(PLACE, (600.0, 380.0), 1), *path(10, rest=0)]
    tracer_of(lumas(moving, draw=draw_marker), pointer, start_s=5.0)
    pointer.settle()
    trace = trace_of(earlier)
    assert len(trace) == 50
    assert errors(trace, parked).max() < 5


def test_it_gives_no_points_once_it_is_hidden() -> None:
    pointer = Pointer()
    tracer_of(lumas([*path(8, rest=0), *way((500.0, 200.0), PLACE, 1)], draw=draw_marker), pointer)
    hides: list[Point | None] = [*[PLACE] * 40, *[None] * 20]
    later = tracer_of(lumas(hides, picture=BLACK, draw=draw_marker), pointer, start_s=9.0)
    pointer.settle()
    trace = trace_of(later)
    assert len(trace) == 40
    assert np.isfinite(errors(trace, hides, 9.0)).all()


def test_where_its_looks_say_nothing_its_outline_does() -> None:
    pointer = Pointer()
    tracer_of(lumas([*path(8, rest=0), *way((500.0, 200.0), PLACE, 1)]), pointer)
    still: list[Point | None] = [PLACE] * 40
    later = tracer_of(lumas(still, picture=np.full(tissue().shape, 150, np.uint8)), pointer, start_s=9.0)
    pointer.looks.appearances[:] = [replace(a, own=255 - a.own, seen=255 - a.seen) for a in pointer.looks.appearances]
    pointer.parts[-1].spots = []
    pointer._still()
    trace = trace_of(later)
    assert len(trace) == 40
    assert errors(trace, still, 9.0).max() < 3


def test_a_mark_of_its_shape_in_every_picture_is_no_cursor() -> None:
    ground = np.full(tissue().shape, 150, np.uint8)
    draw_disc(ground, 700, 400)
    pointer = Pointer()
    tracer_of(lumas(path(8, rest=0), draw=draw_disc, picture=ground), pointer)
    later = tracer_of(lumas([None] * 40, picture=ground), pointer, start_s=8.0)
    pointer.settle()
    assert trace_of(later) == []


def test_a_cursor_that_lies_in_two_pictures_and_was_never_seen_near_is_found() -> None:
    pointer, place = Pointer(), (420.0, 260.0)
    tracer_of(lumas(path(8, rest=0)), pointer)
    still: list[Point | None] = [place] * 40
    # letters of the arrow's shape, elsewhere in each picture: in neither of them is it unmistakable
    pictures = [np.ascontiguousarray(tissue()[::-1]), np.ascontiguousarray(tissue()[:, ::-1])]
    for number, picture in enumerate(pictures):
        draw_arrow(picture, 700 - 300 * number, 120)
    laid = [tracer_of(lumas(still, picture=p), pointer, start_s=9.0 + 4 * i) for i, p in enumerate(pictures)]
    pointer.settle()
    for number, tracer in enumerate(laid):
        trace = trace_of(tracer)
        assert len(trace) >= 36
        assert errors(trace, still, 9.0 + 4 * number).max() < 3


def test_what_lies_in_two_pictures_that_are_alike_is_part_of_them() -> None:
    pointer, picture = Pointer(), np.ascontiguousarray(tissue()[::-1])
    tracer_of(lumas(path(8, rest=0)), pointer)
    for x in (300, 700):
        draw_arrow(picture, x, 120)
    looks, (one, other) = pointer.looks, (lumas([None], picture=picture, seed=i)[0] for i in range(2))
    assert looks.find_both(one, other) is None
    picture[:, :500] = np.ascontiguousarray(tissue()[:, :500])
    draw_arrow(picture, 300, 120)
    found = looks.find_both(one, lumas([None], picture=picture)[0])
    assert found is not None
    assert np.hypot(found.x - 300, found.y - 120) < 3
