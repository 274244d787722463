"""A small cursor that is only seen to rest."""

import numpy as np
import pytest

from pipelines.stages.appearance import Appearance
from pipelines.stages.doubt import doubtful, drop_doubtful
from pipelines.stages.follow import Spot
from pipelines.stages.looks import Looks
from pipelines.stages.windows import Part


def looks(pixels: int) -> Looks:
    shape = (1, pixels)
    own, mask = np.full(shape, 200.0, np.float32), np.ones(shape, np.float32)
    known = Looks()
    known.appearances.append(Appearance(own=own, seen=own, mask=mask, through=0.0, spread=80.0, hot=(0.0, 0.0)))
    return known


def stay(since_s: float, x: float, y: float, score: float, count: int = 20) -> list[Spot]:
    return [Spot(since_s + i / 10, x, y, score) for i in range(count)]


def moves(since_s: float, x: float, y: float) -> list[Spot]:
    return [Spot(since_s + i / 10, x + 40 * i, y, 0.6) for i in range(4)]


def test_where_it_was_neither_seen_to_come_nor_to_leave_it_must_be_recognised_well() -> None:
    alone = stay(5.0, 900, 600, 0.6)
    assert doubtful(looks(20), alone, 1280) == [range(20)]
    assert doubtful(looks(20), stay(5.0, 900, 600, 0.8), 1280) == []
    assert doubtful(looks(100), alone, 1280) == []


@pytest.mark.parametrize("comes", [True, False])
def test_where_it_came_or_left_it_may_be_recognised_worse(comes: bool) -> None:
    way = moves(4.6 if comes else 7.0, 760 if comes else 930, 600)
    assert doubtful(looks(20), sorted([*stay(5.0, 900, 600, 0.6), *way], key=lambda s: s.time_s), 1280) == []


def test_a_leap_is_no_way() -> None:
    there, away = stay(5.0, 900, 600, 0.6), stay(7.0, 200, 100, 0.9)
    assert doubtful(looks(20), [*there, *away], 1280) == [range(20)]


def test_a_place_is_one_across_rests() -> None:
    before, after = stay(5.0, 900, 600, 0.6), stay(20.0, 900, 600, 0.6)
    assert doubtful(looks(20), [*moves(4.6, 760, 600), *before, *after], 1280) == []


def test_where_it_came_from_before_them_counts_too() -> None:
    there = stay(5.0, 900, 600, 0.6)
    assert doubtful(looks(20), there, 1280, Spot(4.7, 800, 600, 0.9)) == []
    assert doubtful(looks(20), there, 1280, Spot(2.0, 800, 600, 0.9)) == [range(20)]


def test_they_are_taken_out_of_the_parts() -> None:
    wrong, right = stay(5.0, 900, 600, 0.6), stay(20.0, 300, 200, 0.9)
    parts = [Part(None, spots, first=True) for spots in (wrong, right)]
    drop_doubtful(looks(20), parts, 1280)
    assert [part.spots for part in parts] == [[], right]
