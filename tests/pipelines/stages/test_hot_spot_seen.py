"""A learned hot spot is corrected where a net sees it elsewhere at most places, and only there."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from actors.cursor_net import CursorNet
from pipelines.stages.hot_spot_seen import point
from pipelines.stages.pointer import Pointer
from pipelines.stages.recogniser import Likely
from tests.pipelines.stages.cursors import lumas, path, tracer_of


class Sees:
    """A net that answers for the n-th question with a likelihood and an offset from where it was asked."""

    def __init__(self, answer: Callable[[int], tuple[float, float, float]]) -> None:
        self._answer, self.asked = answer, 0

    def places(self, luma: np.ndarray, least: float) -> list[Likely]:
        return []

    def near(self, lumas: Iterable[np.ndarray], x: float, y: float, reach: float) -> list[Likely]:
        found = []
        for _ in lumas:
            likelihood, dx, dy = self._answer(self.asked)
            found.append(Likely(likelihood, x + dx, y + dy, 17.0))
            self.asked += 1
        return found


def followed() -> Pointer:
    pointer = Pointer()
    tracer_of(lumas(list(path(12, rest=0))), pointer)
    return pointer


def moved_by(net: Sees | CursorNet, pointer: Pointer) -> np.ndarray:
    """How far each spot and the learned hot spot were moved, (n + 1, 2) pixels."""
    before = np.concatenate([part.numbers[:, 1:3] for part in pointer.parts])
    (hot, *_) = (a.hot for a in pointer.looks.appearances)
    point(net, pointer.looks, pointer.parts)
    after = np.concatenate([part.numbers[:, 1:3] for part in pointer.parts])
    return np.vstack([after - before, np.subtract(pointer.looks.appearances[0].hot, hot)])


def test_the_hot_spot_moves_with_every_spot_to_where_the_net_sees_it() -> None:
    moved = moved_by(Sees(lambda n: (0.9, 3.0, -4.0)), followed())
    assert moved == pytest.approx(np.tile((3.0, -4.0), (len(moved), 1)), abs=1e-6)


def test_a_third_that_is_not_seen_does_not_matter() -> None:
    moved = moved_by(Sees(lambda n: (0.1 if n % 3 == 0 else 0.9, 3.0, -4.0)), followed())
    assert moved == pytest.approx(np.tile((3.0, -4.0), (len(moved), 1)), abs=1e-6)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda n: (0.9 if n % 2 else 0.1, 3.0, -4.0), id="seen at half of the places"),
        pytest.param(lambda n: (0.9, 12.0 * (n % 2), -9.0), id="seen on two sides"),
        pytest.param(lambda n: (0.9, 0.8, -0.9), id="no better than what was learned"),
    ],
)
def test_it_stays_where_the_net_does_not_say_otherwise(answer: Callable[[int], tuple[float, float, float]]) -> None:
    assert not moved_by(Sees(answer), followed()).any()


def test_one_place_says_nothing() -> None:
    pointer = followed()
    for part in pointer.parts:
        part.numbers[:, 1:3] = (300.0, 200.0)
    net = Sees(lambda n: (0.9, 3.0, -4.0))
    assert not moved_by(net, pointer).any()
    assert net.asked == len(pointer.parts)


def test_the_learned_net_puts_a_wrong_hot_spot_right() -> None:
    right, wrong = followed(), followed()
    wrong.looks.point(9.0, 7.0)
    for part in wrong.parts:
        part.numbers[:, 1:3] += (9.0, 7.0)
    point(CursorNet(), wrong.looks, wrong.parts)
    for one, other in zip(right.parts, wrong.parts, strict=True):
        assert np.hypot(*(one.numbers - other.numbers)[:, 1:3].T).max() < 2
