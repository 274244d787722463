"""Cursors drawn over a stained section, with noise as a camera or a codec leaves it, whose places are known."""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from skimage import data

from pipelines.schema import TracePoint
from pipelines.stages.pointer import Pointer
from pipelines.stages.trace import CursorTracer

HEIGHT, WIDTH = 540, 960
ARROW = [
    "X", "XX", "X.X", "X..X", "X...X", "X....X", "X.....X", "X......X", "X.......X", "X........X", "X.........X",
    "X......XXXXX", "X...X..X", "X..XX..X", "X.X  X..X", "XX   X..X", "X     X..X", "      X..X", "       XX",
]  # fmt: skip
Point = tuple[float, float]
Draw = Callable[[np.ndarray, int, int], None]


@functools.cache
def tissue() -> np.ndarray:
    """The section, full size."""
    import cv2

    grey = cv2.cvtColor(data.immunohistochemistry(), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def draw_arrow(frame: np.ndarray, x: int, y: int) -> None:
    """The standard arrow, tip at (x, y)."""
    for dy, row in enumerate(ARROW):
        for dx, mark in enumerate(row):
            if mark != " " and y + dy < HEIGHT and x + dx < WIDTH:
                frame[y + dy, x + dx] = 0 if mark == "X" else 255


def draw_disc(frame: np.ndarray, x: int, y: int) -> None:
    """A laser dot."""
    import cv2

    cv2.circle(frame, (x, y), 9, 230, -1)


def draw_cross(frame: np.ndarray, x: int, y: int) -> None:
    """A thin cross, 25 px."""
    frame[y - 1 : y + 2, x - 12 : x + 13] = 255
    frame[y - 12 : y + 13, x - 1 : x + 2] = 255


def draw_veil(frame: np.ndarray, x: int, y: int) -> None:
    """A marker's disc: half of the picture shows through."""
    import cv2

    disc = np.zeros(frame.shape, np.uint8)
    cv2.circle(disc, (x, y), 14, 255, -1)
    inside = disc > 0
    frame[inside] = (0.5 * frame[inside] + 0.5 * 255).astype(np.uint8)


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


def way(start: Point, end: Point, seconds: float) -> list[Point]:
    """A smooth move."""
    u = np.linspace(0, 1, round(10 * seconds) + 1)[1:, None]
    return [(float(x), float(y)) for x, y in np.array(start) + (np.array(end) - start) * (u * u * (3 - 2 * u))]


def lumas(
    points: Sequence[Point | None],
    *,
    draw: Draw = draw_arrow,
    inset: bool = False,
    picture: np.ndarray | None = None,
    seed: int = 0,
) -> list[np.ndarray]:
    """Frames ten times a second, noisy."""
    noise = np.random.default_rng(seed).integers(-4, 5, (5, HEIGHT, WIDTH), dtype=np.int16)
    rng = np.random.default_rng(seed)
    found = []
    for i, point in enumerate(points):
        frame = (tissue() if picture is None else picture).copy()
        if inset:
            frame[380:520, 760:920] = rng.integers(60, 200, (14, 16)).repeat(10, 0).repeat(10, 1)
        if point:
            draw(frame, round(point[0]), round(point[1]))
        found.append(np.clip(frame + noise[i % 5], 0, 255).astype(np.uint8))
    return found


def tracer_of(
    samples: Sequence[np.ndarray], pointer: Pointer | None = None, *, start_s: float = 0.0, window_s: float = 20.0
) -> CursorTracer:
    """One rest, traced to its end."""
    import cv2

    tracer = CursorTracer(pointer or Pointer(), window_s=window_s)
    for i, fine in enumerate(samples):
        luma = cv2.resize(fine, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
        tracer.add(start_s + i / 10, luma, fine)
    tracer.finish()
    return tracer


def trace_of(tracer: CursorTracer) -> list[TracePoint]:
    """In pixels of the frame."""
    return list(tracer.trace(scale_x=1, scale_y=1))


def errors(trace: Sequence[TracePoint], points: Sequence[Point | None], start_s: float = 0.0) -> np.ndarray:
    """Distance to the truth for each sample, pixels; infinite where no cursor was."""
    found = []
    for p in trace:
        truth = points[round((p.time_s - start_s) * 10)]
        found.append(math.inf if truth is None else math.hypot(p.x - round(truth[0]), p.y - round(truth[1])))
    return np.array(found)
