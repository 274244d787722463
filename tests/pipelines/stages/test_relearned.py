"""What was learned is given up where a net sees no cursor in it, and learned from what the net knows for one."""

import cv2
import numpy as np
import pytest

from actors.cursor_net import CursorNet
from pipelines.stages.candidates import Seen
from pipelines.stages.pointer import Pointer
from pipelines.stages.relearned import is_none, known
from tests.pipelines.stages.cursors import Point, errors, lumas, path, trace_of, tracer_of


def write(frame: np.ndarray, words: str, x: int, y: int) -> None:
    cv2.putText(frame, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 0, 1)


def with_words(points: list[Point]) -> list[np.ndarray]:
    """The arrow's film, and in every sample other words, higher or lower."""
    rng = np.random.default_rng(3)
    frames = lumas(points)
    for frame in frames:
        write(frame, "".join(rng.choice(list("eeea st"), 30)), 60, int(rng.integers(240, 320)))
    return frames


@pytest.fixture(scope="module")
def letters() -> list[Seen]:
    """Sightings of a letter that goes about by itself."""
    rng, pointer = np.random.default_rng(3), Pointer()
    frames = lumas([None] * 120)
    for frame in frames:
        write(frame, "e", *(int(v) for v in rng.integers((20, 240), (120, 340))))
    tracer_of(frames, pointer)
    return pointer.sightings


POINTS = path(24, rest=0.6)


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return with_words(POINTS)


def traced_by(net: CursorNet | None, frames: list[np.ndarray], letters: list[Seen]) -> tuple[Pointer, np.ndarray]:
    """What is known in the end of a cursor of which only a letter was seen to move, and the errors of its trace."""
    pointer = Pointer(net)
    tracer = tracer_of(frames, pointer)
    pointer.sightings = letters
    pointer.settle()
    return pointer, errors(trace_of(tracer), POINTS)


def test_a_cursor_that_a_letter_was_taken_for_is_found_with_the_net(frames: list[np.ndarray], letters: list[Seen]) -> None:
    misled, found = traced_by(None, frames, letters)
    assert misled.looks.size < 14
    assert len(found) < 0.1 * len(POINTS)
    pointer, found = traced_by(CursorNet(), frames, letters)
    assert pointer.looks.size > 14
    assert len(found) > 0.9 * len(POINTS)
    assert np.quantile(found, 0.95) < 3


def test_only_what_the_net_is_sure_of_is_learned_from(frames: list[np.ndarray]) -> None:
    pointer = Pointer()
    tracer_of(frames, pointer)
    seen = known(CursorNet(), pointer.parts)
    truth = [POINTS[round(10 * s.time_s)] for s in seen]
    right = [np.hypot(s.candidate.x - x, s.candidate.y - y) < 5 for s, (x, y) in zip(seen, truth, strict=True)]
    assert len(right) >= 10
    assert np.mean(right) > 0.9


def test_a_cursor_is_not_given_up() -> None:
    pointer = Pointer()
    tracer_of(lumas(list(path(12, rest=0))), pointer)
    assert not is_none(CursorNet(), pointer.looks, pointer.parts)
