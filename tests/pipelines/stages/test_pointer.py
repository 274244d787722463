"""A cursor that lies still: found by what the rest of the video shows of it, not where a mark is part of the pictures."""

from dataclasses import replace

import numpy as np

from pipelines.stages.follow import Spot
from pipelines.stages.pointer import Pointer
from tests.pipelines.stages.cursors import (
    Point,
    draw_arrow,
    draw_disc,
    errors,
    lumas,
    path,
    tissue,
    trace_of,
    tracer_of,
    way,
)

PLACE = (420.0, 260.0)


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


def test_its_outline_makes_a_place_surer_where_it_is_hardly_recognised() -> None:
    pointer = Pointer()
    tracer_of(lumas([*path(8, rest=0), *way((500.0, 200.0), PLACE, 1)]), pointer)
    for level in (150, 250):
        still: list[Point | None] = [PLACE] * 40
        later = tracer_of(lumas(still, picture=np.full(tissue().shape, level, np.uint8)), pointer, start_s=9.0)
        pointer.parts[-1].spots = [Spot(9.0 + i / 10, *PLACE, 0.5) for i in range(40)]
        pointer._still()
        assert [s.score > 0.8 for s in later.spots] == [True] * 40
        pointer.parts.pop()


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
