"""The cursor's path: error, rests, shapes, insets, no trace where there is no cursor, what rests of one video share."""

import numpy as np
import pytest

from pipelines.schema import CursorState
from pipelines.stages.follow import Spot
from pipelines.stages.looks import Looks
from pipelines.stages.pointer import Pointer
from pipelines.stages.trace import CursorTracer
from pipelines.stages.windows import Part
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


@pytest.mark.parametrize("inset", [False, True])
def test_the_tip_of_an_arrow_is_found(inset: bool) -> None:
    points: list[Point | None] = list(path(25))
    trace = trace_of(tracer_of(lumas(points, inset=inset)))
    error = errors(trace, points)
    assert len(trace) >= 0.97 * len(points)
    assert np.median(error) < 1
    assert np.percentile(error, 95) < 2
    assert all(0.2 < p.confidence <= 1 for p in trace)


@pytest.mark.parametrize("draw", [draw_disc, draw_cross, draw_veil])
def test_a_round_cursor_is_found_at_its_centre(draw: Draw) -> None:
    points: list[Point | None] = list(path(15, rest=0.2))
    dim = (0.7 * tissue()).astype(np.uint8)
    error = errors(trace_of(tracer_of(lumas(points, draw=draw, picture=dim))), points)
    assert len(error) >= 0.95 * len(points)
    assert np.median(error) < 2


def test_a_cursor_that_rests_most_of_the_window_keeps_its_place() -> None:
    points: list[Point | None] = [(300.0, 200.0)] * 120 + list(path(8, rest=0))
    trace = trace_of(tracer_of(lumas(points)))
    resting = [p for p in trace if p.time_s < 11.9]
    assert len(resting) >= 110
    assert np.percentile(errors(trace, points), 95) < 5


def test_a_cursor_parked_for_whole_windows_is_still_there() -> None:
    points: list[Point | None] = [*path(5, rest=0), *way((450.0, 260.0), (300.0, 200.0), 0.5), *[(300.0, 200.0)] * 120]
    trace = trace_of(tracer_of(lumas(points), window_s=4.0))
    assert sum(p.time_s > 6 for p in trace) >= 110
    assert np.percentile(errors(trace, points), 95) < 5


@pytest.mark.parametrize("inset", [False, True])
def test_no_cursor_no_trace(inset: bool) -> None:
    assert trace_of(tracer_of(lumas([None] * 120, inset=inset))) == []


def test_what_merely_appears_is_no_cursor() -> None:
    assert trace_of(tracer_of(lumas([None] * 70 + [(300.0, 200.0)] * 50))) == []


def test_a_cursor_that_never_moves_is_unknown() -> None:
    tracer = tracer_of(lumas([(300.0, 200.0)] * 100))
    assert trace_of(tracer) == []
    assert tracer.cursor_size == 0


def test_a_clock_is_no_cursor() -> None:
    import cv2

    pictures = []
    for i in range(120):
        picture = tissue().copy()
        cv2.rectangle(picture, (20, 20), (130, 60), 235, -1)
        cv2.putText(picture, f"00:{i // 10:02d}", (26, 50), 0, 0.9, 20, 2, cv2.LINE_AA)
        pictures.append(lumas([None], picture=picture, seed=i)[0])
    assert trace_of(tracer_of(pictures)) == []


def test_a_hidden_cursor_gives_no_points() -> None:
    points: list[Point | None] = [*path(8, rest=0), *([None] * 60), *path(6, seed=9, rest=0)]
    trace = trace_of(tracer_of(lumas(points)))
    assert np.isfinite(errors(trace, points)).all()
    assert len(trace) >= 0.95 * 140


def test_states_tell_moving_from_resting() -> None:
    here, there = (300.0, 200.0), (640.0, 380.0)
    points = [*path(5, rest=0), *way((400.0, 250.0), here, 0.5), *[here] * 30, *way(here, there, 1.5), *[there] * 30]
    states = {round(10 * p.time_s): p.state for p in trace_of(tracer_of(lumas(points)))}
    assert all(states[i] is CursorState.RESTING for i in [*range(60, 82), *range(105, 128)])
    assert sum(states.get(i) is CursorState.MOVING for i in range(88, 97)) >= 8


def test_before_and_after_a_leap_it_moves() -> None:
    tracer = tracer_of(lumas(path(5)))
    spots = [Spot(i / 10, 300.0 if i < 5 else 500.0, 200.0, 0.9) for i in range(12)]
    tracer.parts = [Part(None, spots, first=True)]
    assert [i for i, moving in enumerate(tracer._moving()) if moving] == [3, 4, 5, 6]


def test_two_rests_share_what_is_known_of_the_cursor() -> None:
    points, pointer = path(10, rest=0.2), Pointer()
    tracer_of(lumas(points), pointer)
    other = np.ascontiguousarray(np.flipud(tissue()))
    still = [points[-1]] * 40
    resting = trace_of(tracer_of(lumas(still, picture=other), pointer, start_s=10.0))
    assert len(resting) >= 36
    assert np.median(errors(resting, still, 10.0)) < 4


def test_a_known_cursor_that_rests_elsewhere_from_the_start_is_found() -> None:
    pointer = Pointer()
    tracer_of(lumas(path(10, rest=0.2)), pointer)
    still: list[Point | None] = [(640.0, 150.0)] * 40
    trace = trace_of(tracer_of(lumas(still, picture=np.ascontiguousarray(np.flipud(tissue()))), pointer, start_s=10.0))
    assert len(trace) >= 36
    assert np.median(errors(trace, still, 10.0)) < 2


def test_where_it_rested_before_it_first_moved_is_found_once_it_moves_in_a_later_rest() -> None:
    pointer, place = Pointer(), (420.0, 260.0)
    parked: list[Point | None] = [place] * 50
    earlier = tracer_of(lumas(parked), pointer)
    assert trace_of(earlier) == []
    other = np.ascontiguousarray(np.flipud(tissue()))
    moving = [place, *way(place, (600.0, 380.0), 1), *path(10, rest=0)]
    tracer_of(lumas(moving, picture=other), pointer, start_s=5.0)
    pointer.settle()
    trace = trace_of(earlier)
    assert [p.time_s for p in trace] == pytest.approx([i / 10 for i in range(50)])
    assert errors(trace, parked).max() < 5
    assert {p.state for p in trace} == {CursorState.RESTING}


def test_the_trace_is_in_pixels_of_the_full_picture() -> None:
    tracer = tracer_of(lumas(path(8, rest=0)))
    once, thrice = tracer.trace(scale_x=1, scale_y=1), tracer.trace(scale_x=3, scale_y=2)
    assert len(once) > 70
    assert [p.x for p in thrice] == pytest.approx([3 * p.x for p in once], abs=0.02)
    assert [p.y for p in thrice] == pytest.approx([2 * p.y for p in once], abs=0.02)
    assert 19 <= tracer.cursor_size <= 26  # the arrow is 12 x 19 px


def test_memory_and_delay_are_bounded_by_the_window() -> None:
    pointer = Pointer()
    tracer = CursorTracer(pointer, window_s=2.0)
    held = [np.ascontiguousarray(luma[::2, ::2]) for luma in lumas(path(6, rest=0.2))]
    for i in range(200):
        tracer.add(i / 10, held[i % len(held)], held[i % len(held)])
        assert len(tracer._samples) <= 21
    assert list(tracer.spots)[-1].time_s > 17
    assert len(pointer.sightings) <= 192


def test_a_finished_rest_keeps_its_spots_and_no_picture() -> None:
    tracer = CursorTracer(Pointer(), window_s=2.0)
    for i, luma in enumerate(lumas(path(6, rest=0.2))):
        tracer.add(i / 10, luma, luma)
    tracer.finish()
    assert list(tracer.spots)
    assert not tracer._samples
    assert not any(isinstance(held, np.ndarray) for held in vars(tracer).values())


def test_windows_without_a_cursor_are_kept_in_small_number() -> None:
    pointer = Pointer()
    tracer, luma = CursorTracer(pointer, window_s=2.0), np.zeros((27, 48), np.uint8)
    for i in range(600):
        tracer.add(i / 10, luma, luma)
    assert 8 <= len(pointer.parts) <= 16


def test_letters_that_recur_on_a_line_are_no_cursor_and_do_not_hide_one() -> None:
    rng = np.random.default_rng(2)
    points = path(12, rest=0.2)
    pictures = []
    for i in range(len(points)):
        picture = tissue().copy()
        if i // 4 % 2:
            draw_cross(picture, int(rng.integers(200, 760)), 500)
        pictures.append(lumas([points[i]], picture=picture, seed=i)[0])
    pointer = Pointer()
    trace = trace_of(tracer_of(pictures, pointer))
    pointer.settle()
    assert np.percentile(errors(trace, points), 95) < 3
    alone = [lumas([None], picture=p, seed=i)[0] for i, p in enumerate(_with_letters(rng, 100))]
    pointer = Pointer()
    tracer = tracer_of(alone, pointer)
    pointer.settle()
    assert trace_of(tracer) == []


def _with_letters(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    pictures = [tissue().copy() for _ in range(count)]
    for picture in pictures:
        draw_cross(picture, int(rng.integers(200, 760)), 500)
    return pictures


def test_wrong_looks_are_forgotten_when_the_video_shows_better() -> None:
    pointer = Pointer()
    points = path(10, rest=0)
    tracer = tracer_of(lumas(points), pointer)
    known = pointer.looks
    pointer.looks = Looks()
    for part in pointer.parts:
        part.spots = []
    pointer.settle()
    assert pointer.looks.size == known.size
    assert len(trace_of(tracer)) >= 0.9 * len(points)


def test_the_background_of_another_rest_does_not_count() -> None:
    pointer = Pointer()
    tracer_of(lumas(path(8, rest=0.2)), pointer)
    tracer_of(lumas(path(3, rest=0.2)), pointer, start_s=8.0)
    assert [p.first for p in pointer.parts] == [True, True]


def test_an_arrow_on_two_backgrounds_has_one_hot_spot() -> None:
    bright = tissue().copy()
    bright[:, 480:] = 245
    points = [*path(6, rest=0), *way((400.0, 250.0), (560.0, 200.0), 1), *way((560.0, 200.0), (900.0, 420.0), 3),
              *way((900.0, 420.0), (600.0, 120.0), 3)]  # fmt: skip
    trace = trace_of(tracer_of(lumas(points, draw=draw_arrow, picture=bright)))
    assert len(trace) >= 0.9 * len(points)
    assert np.percentile(errors(trace, points), 90) < 5
