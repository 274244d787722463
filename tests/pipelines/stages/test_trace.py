"""The cursor's path: error, rests, shapes, insets, and no trace where there is no cursor."""

import functools
import math

import numpy as np
import pytest
from skimage import data

from pipelines.schema import TracePoint
from pipelines.stages.trace import Candidate, CursorTracer, _Seen, best_path, candidates, ghosts

SCALE = 2
HEIGHT, WIDTH = 540, 960
ARROW = [
    "X", "XX", "X.X", "X..X", "X...X", "X....X", "X.....X", "X......X", "X.......X", "X........X", "X.........X",
    "X......XXXXX", "X...X..X", "X..XX..X", "X.X  X..X", "XX   X..X", "X     X..X", "      X..X", "       XX",
]  # fmt: skip
Point = tuple[float, float]


@functools.cache
def tissue() -> np.ndarray:
    import cv2

    grey = cv2.cvtColor(data.immunohistochemistry(), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def draw_arrow(frame: np.ndarray, x: int, y: int) -> None:
    for dy, row in enumerate(ARROW):
        for dx, mark in enumerate(row):
            if mark != " " and y + dy < HEIGHT and x + dx < WIDTH:
                frame[y + dy, x + dx] = 0 if mark == "X" else 255


def draw_disc(frame: np.ndarray, x: int, y: int) -> None:
    import cv2

    cv2.circle(frame, (x, y), 9, 230, -1)


def path(seconds: float, seed: int = 5, rest: float = 0.4) -> list[Point]:
    """Ten points a second: rests and smooth moves between random places."""
    rng = np.random.default_rng(seed)
    at, points = np.array([400.0, 250.0]), []
    while len(points) < 10 * seconds:
        if rng.random() < rest:
            points += [tuple(at)] * int(rng.integers(5, 25))
            continue
        to = rng.uniform((150, 80), (800, 450))
        steps = int(4 + np.hypot(*(to - at)) / 40)
        u = np.linspace(0, 1, steps + 1)[1:, None]
        points += [tuple(p) for p in at + (to - at) * (u * u * (3 - 2 * u))]
        at = to
    return points[: int(10 * seconds)]


def traced(points: list[Point | None], *, draw=draw_arrow, inset: bool = False, window_s: float = 20.0) -> list[TracePoint]:
    import cv2

    rng = np.random.default_rng(0)
    tracer = CursorTracer(window_s=window_s)
    for i, point in enumerate(points):
        frame = tissue().copy()
        if inset:
            frame[380:520, 760:920] = rng.integers(60, 200, (14, 16)).repeat(10, 0).repeat(10, 1)
        if point:
            draw(frame, round(point[0]), round(point[1]))
        luma = cv2.resize(frame, (WIDTH // SCALE, HEIGHT // SCALE), interpolation=cv2.INTER_AREA)
        luma = np.clip(luma + rng.integers(-4, 5, luma.shape), 0, 255).astype(np.uint8)
        tracer.add(i / 10, luma)
    return list(tracer.finish(scale_x=SCALE, scale_y=SCALE))


def errors(trace: list[TracePoint], points: list[Point | None]) -> np.ndarray:
    found = []
    for p in trace:
        truth = points[round(p.time_s * 10)]
        found.append(math.inf if truth is None else math.hypot(p.x - round(truth[0]), p.y - round(truth[1])))
    return np.array(found)


@pytest.mark.parametrize("inset", [False, True])
def test_the_tip_of_an_arrow_is_found(inset: bool) -> None:
    points: list[Point | None] = list(path(25))
    trace = traced(points, inset=inset)
    error = errors(trace, points)
    assert len(trace) >= 0.97 * len(points)
    assert np.median(error) < 2.5
    assert np.percentile(error, 95) < 5
    assert all(0.2 < p.confidence <= 1 for p in trace)


def test_a_disc_is_found_at_its_centre() -> None:
    points: list[Point | None] = list(path(20, rest=0.2))
    error = errors(traced(points, draw=draw_disc), points)
    assert len(error) >= 0.95 * len(points)
    assert np.median(error) < 2


def test_a_cursor_that_rests_most_of_the_window_keeps_its_place() -> None:
    points: list[Point | None] = [(300.0, 200.0)] * 120 + list(path(8, rest=0))
    trace = traced(points)
    resting = [p for p in trace if p.time_s < 11.9]
    assert len(resting) >= 110
    assert np.percentile(errors(trace, points), 95) < 5


@pytest.mark.parametrize("inset", [False, True])
def test_no_cursor_no_trace(inset: bool) -> None:
    assert traced([None] * 120, inset=inset) == []


def test_what_merely_appears_is_no_cursor() -> None:
    assert traced([None] * 70 + [(300.0, 200.0)] * 50) == []


def test_a_hidden_cursor_gives_no_points() -> None:
    points: list[Point | None] = [*path(8, rest=0), *([None] * 60), *path(6, seed=9, rest=0)]
    trace = traced(points)
    assert np.isfinite(errors(trace, points)).all()
    assert len(trace) >= 0.95 * 140


def test_a_whole_frame_change_gives_no_candidates() -> None:
    luma = np.full((90, 160), 100, np.uint8)
    quiet, limit = np.full(luma.shape, 255, np.uint8), np.full(luma.shape, 10, np.uint8)
    spot = luma.copy()
    spot[20:28, 40:46] = 250
    (found,) = candidates(spot, luma, limit, quiet)
    assert (found.left, found.top, found.right, found.bottom) == (40, 20, 46, 28)
    assert found.contrast == 150
    assert candidates(luma + 40, luma, limit, quiet) == []
    assert candidates(spot, luma, limit, 255 - quiet) == []


def test_a_ghost_is_told_from_the_cursor() -> None:
    clean = np.full((90, 160), 100, np.uint8)
    background = clean.copy()
    background[10:18, 10:16] = 250
    quiet, limit = np.full(clean.shape, 255, np.uint8), np.full(clean.shape, 10, np.uint8)
    lumas = [background] * 12
    for i in range(10):
        shown = clean.copy()
        shown[40:48, 40 + 10 * i : 46 + 10 * i] = 250
        lumas.append(shown)
    (ghost,) = ghosts(lumas, background, [candidates(luma, background, limit, quiet) for luma in lumas])
    assert [i for i, _ in ghost] == list(range(12, 22))
    assert all((c.left, c.top) == (10, 10) for _, c in ghost)


def test_the_path_prefers_what_a_hand_can_do() -> None:
    def spot(x: float, contrast: float) -> Candidate:
        return Candidate(x, 50, x + 6, 60, tip_x=x, lean=0.1, contrast=contrast)

    samples = [(i / 10, [spot(100 + 3 * i, 30), spot(400 if i % 2 else 20, 40)]) for i in range(20)]
    chosen = best_path(samples, 480, _Seen(-0.1, spot(97, 30)))
    assert [s.candidate.left for s in chosen] == [100 + 3 * i for i in range(20)]


def test_memory_and_delay_are_bounded_by_the_window() -> None:
    tracer = CursorTracer(window_s=4.0)
    luma = np.zeros((27, 48), np.uint8)
    for i in range(600):
        tracer.add(i / 10, luma)
        assert len(tracer._samples) <= 41
