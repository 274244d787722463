"""What may be a cursor, and what among it has moved."""

import numpy as np
import pytest

from pipelines.stages.candidates import (
    Candidate,
    Seen,
    alike,
    arrived,
    candidates,
    candidates_again,
    merged,
    recurring,
    same_size,
    sightings,
    strength,
)
from tests.pipelines.stages.cursors import draw_arrow, draw_cross, draw_disc, lumas, path, tissue

CLEAN = np.full((90, 160), 100, np.uint8)
QUIET, LIMIT = np.full(CLEAN.shape, 255, np.uint8), np.full(CLEAN.shape, 10, np.uint8)


def spot(x: int, y: int, width: int = 6, height: int = 8, level: int = 250) -> np.ndarray:
    shown = CLEAN.copy()
    shown[y : y + height, x : x + width] = level
    return shown


def test_a_component_is_found_with_its_contrast() -> None:
    (found,) = candidates(spot(40, 20), CLEAN, LIMIT, QUIET)
    assert (found.x, found.y, found.width, found.height) == (40, 20, 6, 8)
    assert found.contrast == 150
    assert found.alone
    assert strength(found) == pytest.approx(150 * np.sqrt(48))


def test_a_whole_frame_change_gives_no_candidates() -> None:
    assert candidates(CLEAN + 40, CLEAN, LIMIT, QUIET) == []
    dots = CLEAN.copy()
    for x in range(5, 150, 8):
        for y in range(5, 85, 8):
            dots[y : y + 3, x : x + 4] = 250
    assert candidates(dots, CLEAN, LIMIT, QUIET) == []


def test_what_is_not_quiet_or_below_the_limit_or_too_large_is_none() -> None:
    assert candidates(spot(40, 20), CLEAN, LIMIT, 255 - QUIET) == []
    assert candidates(spot(40, 20, level=109), CLEAN, LIMIT, QUIET) == []
    assert candidates(spot(40, 20, width=15), CLEAN, LIMIT, QUIET) == []  # 0.085 of 160 px is 13
    assert candidates(spot(40, 20, width=1), CLEAN, LIMIT, QUIET) == []


def test_the_arms_of_a_cross_are_one_candidate_too() -> None:
    wide = np.full((270, 480), 100, np.uint8)
    shown = wide.copy()
    arms = (100, 108, 8, 2), (112, 108, 8, 2), (109, 98, 2, 8), (109, 112, 2, 8)
    for x, y, w, h in (*arms, (300, 10, 9, 9), (20, 240, 9, 9)):
        shown[y : y + h, x : x + w] = 250
    found = candidates(shown, wide, np.full(wide.shape, 10, np.uint8), np.full(wide.shape, 255, np.uint8))
    assert (100, 98, 20, 22) in {(c.x, c.y, c.width, c.height) for c in found}


def test_a_component_does_not_grow_to_the_edge_of_what_changed() -> None:
    wide = np.full((720, 1280), 100, np.uint8)
    shown = wide.copy()
    shown[300:321, 400:414] = 250
    found = candidates(shown, wide, np.full(wide.shape, 10, np.uint8), np.full(wide.shape, 255, np.uint8))
    assert {(c.x, c.y, c.width, c.height) for c in found} == {(400, 300, 14, 21)}


def test_after_a_part_of_the_background_has_changed_the_same_is_found_as_from_anew() -> None:
    wide = np.full((270, 480), 100, np.uint8)
    limit, quiet = np.full(wide.shape, 10, np.uint8), np.full(wide.shape, 255, np.uint8)
    shown, dirty = wide.copy(), wide.copy()
    for image, x, y in ((shown, 100, 50), (dirty, 200, 120), (shown, 206, 128)):
        image[y : y + 10, x : x + 8] = 250
    before = candidates(shown, dirty, limit, quiet)
    again = candidates_again(before, shown, wide, limit, quiet, [(slice(118, 132), slice(198, 210))])
    assert sorted(map(repr, again)) == sorted(map(repr, candidates(shown, wide, limit, quiet)))
    assert before != again


def test_only_the_mended_part_is_looked_at_again() -> None:
    part = [(slice(18, 30), slice(38, 48))]
    ghost = candidates(CLEAN, spot(40, 20), LIMIT, QUIET)
    assert len(ghost) == 1
    assert candidates_again(ghost, CLEAN, CLEAN, LIMIT, QUIET, part) == []  # the background is mended: nothing differs now
    assert candidates_again([], spot(40, 20), CLEAN, LIMIT, QUIET, part) == candidates(spot(40, 20), CLEAN, LIMIT, QUIET)
    far = candidates(spot(120, 60), CLEAN, LIMIT, QUIET)
    assert candidates_again(far, spot(120, 60), CLEAN, LIMIT, QUIET, part) == far


def test_parts_that_overlap_become_the_one_around_them() -> None:
    first, second, third = ((slice(i, i + 10), slice(i, i + 10)) for i in (0, 5, 40))
    assert merged([first, third, second]) == [third, (slice(0, 15), slice(0, 15))]
    bridge = (slice(0, 50), slice(8, 45))
    assert merged([first, third, bridge]) == [(slice(0, 50), slice(0, 50))]
    assert merged([]) == []


def test_a_part_of_something_larger_is_not_alone() -> None:
    shown = CLEAN.copy()
    for x in range(40, 75, 7):
        for y in (20, 35, 50):
            shown[y : y + 12, x : x + 4] = 250
    found = {(c.x, c.y): c.alone for c in candidates(shown, CLEAN, LIMIT, QUIET)}
    assert not found[54, 35]
    assert found[40, 20]


def test_sizes_may_differ_by_half_or_by_two_pixels() -> None:
    def of(width: int, height: int) -> Candidate:
        return Candidate(0, 0, width, height, 100.0, True)

    assert same_size(of(4, 20), of(6, 29))
    assert not same_size(of(4, 20), of(4, 31))
    assert not same_size(of(10, 20), of(16, 20))


def test_arrived_is_what_was_not_there_before() -> None:
    (found,) = candidates(spot(40, 20), CLEAN, LIMIT, QUIET)
    assert arrived(found, CLEAN, spot(40, 20), CLEAN)
    assert not arrived(found, spot(40, 20), spot(40, 20), CLEAN)


def test_nothing_is_cut_at_the_edge() -> None:
    (found,) = candidates(spot(1, 20), CLEAN, LIMIT, QUIET)
    assert Seen.cut(0.0, found, spot(1, 20), CLEAN) is None


def seen(draw, x: int, y: int, time_s: float = 0.0) -> Seen:
    (luma,) = lumas([(x, y)], draw=draw, seed=x)
    limit, whole = np.full(luma.shape, 12, np.uint8), np.full(luma.shape, 255, np.uint8)
    found = candidates(luma, tissue(), limit, whole)
    cut = Seen.cut(time_s, found[0], luma, tissue())
    assert cut is not None
    return cut


def test_one_cursor_in_two_places_is_alike_and_two_cursors_are_not() -> None:
    assert alike(seen(draw_arrow, 300, 200), seen(draw_arrow, 611, 377))
    assert not alike(seen(draw_arrow, 300, 200), seen(draw_cross, 611, 377))
    assert not alike(seen(draw_cross, 300, 200), seen(draw_disc, 611, 377))


def test_recurring_is_what_was_seen_often_in_different_places() -> None:
    places = [(300, 200), (420, 260), (560, 300), (611, 377)]
    arrows = [seen(draw_arrow, x, y, i / 10) for i, (x, y) in enumerate(places)]
    cross = seen(draw_cross, 700, 200, 0.9)
    assert recurring([*arrows, cross]) == arrows
    assert recurring([*arrows[:3], cross]) == []
    assert recurring([seen(draw_arrow, 300, 200, i / 10) for i in range(6)]) == []
    assert recurring([]) == []
    on_a_line = [seen(draw_arrow, x, 300, i / 10) for i, x in enumerate((300, 420, 560, 611))]
    assert recurring(on_a_line) == []


def test_sightings_are_what_moves_and_stays_the_same() -> None:
    samples = lumas(path(2, rest=0))
    times = [i / 10 for i in range(len(samples))]
    limit, whole = np.full(tissue().shape, 12, np.uint8), np.full(tissue().shape, 255, np.uint8)
    found = [candidates(luma, tissue(), limit, whole) for luma in samples]
    assert len({s.time_s for s in sightings(times, samples, tissue(), found)}) >= 18
    assert sightings([3 * t * 3 for t in times], samples, tissue(), found) == []  # too far apart in time to be pairs
    still = lumas([(300.0, 200.0)] * 20)
    found = [candidates(luma, tissue(), limit, whole) for luma in still]
    assert sightings(times, still, tissue(), found) == []
