"""What a cursor looks like: learned from sightings, recognised on other backgrounds, its hot spot."""

import functools

import numpy as np
import pytest

from pipelines.stages.appearance import Appearance
from pipelines.stages.candidates import Candidate, Seen, candidates, sightings
from pipelines.stages.follow import FOUND, SURE
from pipelines.stages.looks import Looks
from tests.pipelines.stages.cursors import Draw, draw_arrow, draw_cross, draw_disc, draw_veil, lumas, path, tissue

WHOLE = np.full(tissue().shape, 255, np.uint8)
LIMIT = np.full(tissue().shape, 12, np.uint8)


@functools.cache
def seen(draw: Draw) -> list[Seen]:
    samples = lumas(path(4, rest=0), draw=draw)
    found = [candidates(luma, tissue(), LIMIT, WHOLE) for luma in samples]
    return sightings([i / 10 for i in range(len(samples))], samples, tissue(), found)


@functools.cache
def looks(draw: Draw) -> Looks:
    learned = Appearance.learn(seen(draw))
    assert learned is not None
    found = Looks()
    found.appearances.append(learned)
    return found


@pytest.mark.parametrize("draw", [draw_arrow, draw_cross, draw_disc, draw_veil])
def test_the_hot_spot_is_the_tip_of_an_arrow_and_the_centre_of_the_others(draw: Draw) -> None:
    (luma,) = lumas([(633, 377)], draw=draw, seed=9)
    match = looks(draw).at(luma, tissue(), 630, 380, 8)
    assert match is not None
    assert match.score > 0.6
    assert np.hypot(match.x - 633, match.y - 377) < 1.5


@pytest.mark.parametrize("draw", [draw_arrow, draw_cross, draw_veil])
def test_it_is_recognised_at_rest_without_a_background(draw: Draw) -> None:
    (luma, bare) = lumas([(633, 377), None], draw=draw, seed=9)
    match = looks(draw).at(luma, None, 633, 377, 1)
    assert match is not None
    assert match.score >= FOUND
    without = looks(draw).at(bare, None, 633, 377, 1)
    assert without is None or without.score < FOUND


def test_what_does_not_stand_out_from_its_surroundings_is_no_cursor_at_rest() -> None:
    (cross,) = looks(draw_cross).appearances
    white = np.full(tissue().shape, round(float(cross.seen[cross.mask > 0].mean())), np.uint8)
    assert looks(draw_cross).at(white, None, 633, 377, 1) is None


def test_what_the_background_has_as_well_is_no_cursor() -> None:
    (luma,) = lumas([(633, 377)])
    assert looks(draw_arrow).at(luma, luma, 633, 377, 3) is None
    (other,) = lumas([(633, 377)], draw=draw_cross)
    match = looks(draw_arrow).at(other, tissue(), 633, 377, 6)
    assert match is None or match.score < SURE


def test_how_much_of_the_background_shows_through() -> None:
    def through(draw: Draw) -> float:
        return looks(draw).appearances[0].through

    assert through(draw_arrow) == through(draw_cross) == 0.0
    assert through(draw_veil) == pytest.approx(0.5, abs=0.08)


def test_the_mask_holds_the_cursor_and_no_background() -> None:
    (appearance,) = looks(draw_cross).appearances
    assert 140 <= appearance.mask.sum() <= 260  # two bars of 25 x 3
    assert appearance.own[appearance.mask > 0].min() > 200
    assert appearance.energy == pytest.approx(appearance.mask.sum() * appearance.spread)


def test_nothing_is_learned_from_nothing_in_common() -> None:
    flat = np.full((20, 20), 100, np.float32)
    nothing = [Seen(i / 10, Candidate(0, 0, 14, 14, 0.0, True), flat, flat) for i in range(5)]
    learned = Appearance.learn(nothing)
    assert learned is None or learned.energy < 20 * 20 * 13  # the floor of the spread


def test_it_is_found_anywhere_in_a_picture_if_it_is_unmistakable() -> None:
    one, none = lumas([(633, 377), None])
    painted = tissue().copy()
    draw_arrow(painted, 200, 120)
    (two,) = lumas([(633, 377)], picture=painted)
    match = looks(draw_arrow).find(one, WHOLE)
    assert match is not None
    assert np.hypot(match.x - 633, match.y - 377) < 1.5
    assert looks(draw_arrow).find(none, WHOLE) is None
    assert looks(draw_arrow).find(two, WHOLE) is None  # which of the two?
    quiet = WHOLE.copy()
    quiet[350:420, 600:680] = 0
    assert looks(draw_arrow).find(one, quiet) is not None  # parked over captions, and perfectly seen
    faint = np.where(np.abs(one.astype(int) - none) > 60, 0.62 * one + 0.38 * none, one).astype(np.uint8)
    assert looks(draw_arrow).find(faint, WHOLE) is not None
    assert looks(draw_arrow).find(faint, quiet) is None


def test_a_component_leads_to_the_cursor_and_one_of_another_size_does_not() -> None:
    (luma,) = lumas([(633, 377)])
    (found, *_) = candidates(luma, tissue(), LIMIT, WHOLE)
    match = looks(draw_arrow).of(found, luma, tissue())
    assert match is not None
    assert np.hypot(match.x - 633, match.y - 377) < 1.5
    assert looks(draw_arrow).of(Candidate(600, 340, 70, 70, 100.0, True), luma, tissue()) is None
    assert looks(draw_arrow).of(Candidate(633, 377, 3, 3, 100.0, True), luma, tissue()) is None


def test_what_is_known_explains_its_sightings_and_no_others() -> None:
    (arrow,) = looks(draw_arrow).appearances
    assert sum(arrow.explains(s) for s in seen(draw_arrow)) >= 0.9 * len(seen(draw_arrow))
    assert not any(arrow.explains(s) for s in seen(draw_cross))


def test_appearances_of_one_cursor_are_of_one_size_and_share_the_hot_spot() -> None:
    (arrow,), (veil,) = looks(draw_arrow).appearances, looks(draw_veil).appearances
    assert arrow.resembles(arrow)
    assert not arrow.resembles(veil)
    assert arrow.beside(arrow).hot == arrow.hot
    (height, width), (h, w) = veil.shape, arrow.shape
    assert veil.beside(arrow).hot == pytest.approx((arrow.hot[0] * width / w, arrow.hot[1] * height / h))


def test_looks_that_know_nothing() -> None:
    nothing = Looks()
    (luma,) = lumas([(633, 377)])
    assert nothing.size == 0
    assert nothing.at(luma, None, 633, 377, 1) is None
    assert nothing.find(luma, WHOLE) is None


def test_the_part_covers_the_cursor() -> None:
    rows, columns = looks(draw_arrow).part(633, 377)
    assert rows.start <= 377
    assert rows.stop >= 377 + 19
    assert columns.start <= 633
    assert columns.stop >= 633 + 12
    assert 19 <= looks(draw_arrow).size <= 28
