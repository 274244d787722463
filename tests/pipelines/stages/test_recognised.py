"""A cursor that lies still is recognised by a net; here a net that knows one place stands for it, and then the real one."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from actors.cursor_net import CursorNet
from pipelines.stages.follow import Spot
from pipelines.stages.pointer import Pointer
from pipelines.stages.recognised import recognise
from pipelines.stages.recogniser import Likely, Recogniser
from tests.pipelines.stages.cursors import HEIGHT, WIDTH, Point, draw_arrow, errors, lumas, path, tissue, trace_of, tracer_of

PARKED = (700.0, 330.0)


def night() -> np.ndarray:
    """Another picture: dark, so that the same cursor shows other parts of itself."""
    return (255 - np.clip(1.6 * tissue()[::-1], 0, 255)).astype(np.uint8)


def striped() -> np.ndarray:
    """Arrows everywhere: neither looks nor outline say which of them is the cursor."""
    picture = night()
    for x in range(40, WIDTH - 40, 90):
        for y in range(40, HEIGHT - 40, 70):
            draw_arrow(picture, x, y)
    return picture


class Oracle:
    """Sees an arrow at one place, where there is one, in whole pictures; of their parts it does not know the place."""

    def __init__(self, likely: Likely) -> None:
        self._likely = likely

    def _at(self, luma: np.ndarray) -> float:
        drawn = luma.copy()
        draw_arrow(drawn, round(self._likely.x), round(self._likely.y))
        differs = np.abs(drawn.astype(int) - luma)[drawn != luma]  # little, where it is drawn already
        return self._likely.likelihood if differs.size == 0 or differs.mean() < 10 else 0.0

    def places(self, luma: np.ndarray, least: float) -> list[Likely]:
        if luma.shape != (HEIGHT, WIDTH):
            return []
        found = Likely(self._at(luma), self._likely.x, self._likely.y, self._likely.size)
        return [found] if found.likelihood >= least else []

    def near(self, lumas: Iterable[np.ndarray], x: float, y: float, reach: float) -> list[Likely]:
        far = np.hypot(x - self._likely.x, y - self._likely.y) > reach
        return [Likely(0.0 if far else self._at(luma), self._likely.x, self._likely.y, self._likely.size) for luma in lumas]


class Glint(Oracle):
    """Sees one there in every picture."""

    def _at(self, luma: np.ndarray) -> float:
        return self._likely.likelihood


def traced(net: Recogniser | None, parked: list[Point | None], picture: np.ndarray) -> np.ndarray:
    """First it moves over the tissue and is learned, then it lies in another picture: errors of its trace there."""
    pointer = Pointer(net)
    tracer_of(lumas(list(path(12, rest=0))), pointer)
    tracer = tracer_of(lumas(parked, picture=picture), pointer, start_s=20.0)
    pointer.settle()
    return errors(trace_of(tracer), parked, 20.0)


def recognised(
    net: Recogniser, parked: list[Point | None], picture: np.ndarray | None = None, known: Sequence[Spot] = ()
) -> list[float]:
    """The same, where nothing but the net has found it in the other picture: when it is seen there, seconds."""
    pointer = Pointer()
    tracer_of(lumas(list(path(12, rest=0))), pointer)
    shown = lumas(parked, picture=striped() if picture is None else picture)
    (part,) = tracer_of(shown, pointer, start_s=20.0).parts
    part.spots = known
    recognise(net, pointer.looks, pointer.parts)
    assert all(np.hypot(s.x - PARKED[0], s.y - PARKED[1]) < 3 for s in part.spots)
    return [round(s.time_s - 20, 1) for s in part.spots]


SURE = Likely(0.9, *PARKED, 17)


def test_what_only_lies_there_is_found_by_the_net() -> None:
    parked: list[Point | None] = [PARKED] * 60
    assert len(traced(None, parked, striped())) == 0
    found = traced(Oracle(SURE), parked, striped())
    assert len(found) == 60
    assert found.max() < 3


def test_a_sample_without_it_has_no_point() -> None:
    assert recognised(Oracle(SURE), [PARKED] * 40 + [None] * 20) == [i / 10 for i in range(40)]


def test_a_short_stay_is_found_in_the_middle_of_what_is_unseen() -> None:
    assert recognised(Oracle(SURE), [None] * 40 + [PARKED] * 15) == [i / 10 for i in range(40, 55)]


class _InGrey(Oracle):
    """Sees one in a picture in which nothing is, so that the looks are no second witness."""

    def _at(self, luma: np.ndarray) -> float:
        return self._likely.likelihood if luma.std() < 10 else 0.0


GREY = np.full((HEIGHT, WIDTH), 128, np.uint8)


def test_it_is_followed_from_where_it_is_known() -> None:
    unlikely = _InGrey(Likely(0.3, *PARKED, 17))
    assert recognised(unlikely, [None] * 30, GREY) == []
    assert len(recognised(unlikely, [None] * 30, GREY, [Spot(21.5, *PARKED, 0.9)])) == 30


class _OfParts(CursorNet):
    """Looks at no whole picture."""

    def places(self, luma: np.ndarray, least: float, most: int = 8) -> list[Likely]:
        return [] if luma.shape == (HEIGHT, WIDTH) else super().places(luma, least, most)


@pytest.mark.parametrize(("in_the_picture", "found"), [(False, 10), (True, 5)])
def test_it_is_followed_over_a_leap_if_the_resting_picture_has_none_there(in_the_picture: bool, found: int) -> None:
    there, picture, pointer = (PARKED[0] - 90, PARKED[1] + 20), night(), Pointer()
    if in_the_picture:
        draw_arrow(picture, round(there[0]), round(there[1]))
    tracer_of(lumas(list(path(12, rest=0))), pointer)
    shown: list[Point | None] = [PARKED] * 5 + [there] * 5
    (part,) = tracer_of(lumas(shown + [None] * 40, picture=picture), pointer, start_s=20.0).parts
    part.spots = [Spot(20.0, *PARKED, 0.9)]
    recognise(_OfParts(), pointer.looks, pointer.parts)
    assert [(s.x, s.y) for s in part.spots] == [pytest.approx(at, abs=3) for at in shown[:found]]


class _Doubtful(_OfParts):
    """Is sure of nothing."""

    def near(self, lumas: Iterable[np.ndarray], x: float, y: float, reach: float) -> list[Likely]:
        return [replace(n, likelihood=0.6 * n.likelihood) for n in super().near(lumas, x, y, reach)]


@pytest.mark.parametrize(("net", "found"), [(_OfParts(), 3), (_Doubtful(), 0)])
def test_it_is_met_where_it_moves_if_the_net_is_sure(net: CursorNet, found: int) -> None:
    pointer = Pointer()
    tracer_of(lumas(list(path(12, rest=0))), pointer)
    shown: list[Point | None] = [None] * 9 + [PARKED] * 3 + [None] * 38
    (part,) = tracer_of(lumas(shown, picture=night()), pointer, start_s=20.0).parts
    part.spots = []
    recognise(net, pointer.looks, pointer.parts)
    assert [(s.x, s.y) for s in part.spots] == [pytest.approx(PARKED, abs=3)] * found


@pytest.mark.parametrize("wrong", [Likely(0.5, *PARKED, 17), Likely(0.9, *PARKED, 40), Likely(0.9, *PARKED, 4)])
def test_what_is_unlikely_or_of_another_size_is_none(wrong: Likely) -> None:
    assert recognised(_InGrey(wrong), [None] * 30, GREY) == []
    assert len(recognised(_InGrey(SURE), [None] * 30, GREY)) == 30


def test_what_is_there_while_it_is_elsewhere_is_part_of_the_picture() -> None:
    assert recognised(Glint(SURE), [None] * 60) == []


class Blind:
    """Knows no cursor."""

    def places(self, luma: np.ndarray, least: float) -> list[Likely]:
        return []

    def near(self, lumas: Iterable[np.ndarray], x: float, y: float, reach: float) -> list[Likely]:
        return [Likely(0.0, x, y, 17) for _ in lumas]


@pytest.mark.parametrize(("net", "taken_back"), [(CursorNet(), True), (Blind(), False)])
def test_where_the_net_sees_none_it_does_not_lie_if_the_net_knows_it(net: Recogniser, taken_back: bool) -> None:
    pointer, wrong = Pointer(), (200.0, 100.0)
    tracer_of(lumas(list(path(12, rest=0))), pointer)
    (part,) = tracer_of(lumas([PARKED] * 60, picture=night()), pointer, start_s=20.0).parts
    part.spots = [Spot(20 + i / 10, *wrong, 0.7) for i in range(30)]
    recognise(net, pointer.looks, pointer.parts)
    lies = [(s.x, s.y) == wrong for s in part.spots]
    assert len(lies) >= 57 if taken_back else len(lies) == 30
    assert not any(lies) if taken_back else all(lies)


def test_of_a_film_in_which_none_moved_nothing_is_asked() -> None:
    class Silent:
        def places(self, luma: np.ndarray, least: float) -> list[Likely]:
            raise AssertionError

        def near(self, lumas: Iterable[np.ndarray], x: float, y: float, reach: float) -> list[Likely]:
            raise AssertionError

    pointer = Pointer(Silent())
    tracer = tracer_of(lumas([PARKED] * 60), pointer)
    pointer.settle()
    assert trace_of(tracer) == []


def test_the_real_net_finds_an_arrow_among_stains() -> None:
    parked: list[Point | None] = [PARKED] * 60
    found = traced(CursorNet(), parked, night())
    assert len(found) >= 57
    assert np.percentile(found, 95) < 3
