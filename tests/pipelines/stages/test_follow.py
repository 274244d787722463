"""The cursor's way through a window once its looks are known."""

import functools

import numpy as np

from pipelines.stages.appearance import Appearance
from pipelines.stages.candidates import candidates, sightings
from pipelines.stages.follow import FOUND, SURE, Spot, cleaned, follow, limits, unchanged
from pipelines.stages.looks import Looks
from pipelines.stages.stable import temporal_median
from tests.pipelines.stages.cursors import Point, draw_arrow, lumas, path, tissue, way

WHOLE = np.full(tissue().shape, 255, np.uint8)


@functools.cache
def looks() -> Looks:
    samples = lumas(path(4, rest=0))
    found = Looks()
    limit = limits(samples, tissue())
    seen = [candidates(luma, tissue(), limit, WHOLE) for luma in samples]
    learned = Appearance.learn(sightings([i / 10 for i in range(len(samples))], samples, tissue(), seen))
    assert learned is not None
    found.appearances.append(learned)
    return found


def followed(
    points: list[Point | None],
    last: Spot | None = None,
    picture: np.ndarray | None = None,
    unseen: int = 0,
    gone_from: int | None = None,
) -> list[Spot]:
    """Over the picture without a cursor; in the first `unseen` samples and from `gone_from` on nothing differs."""
    samples = lumas(points, picture=picture, seed=3)
    background = tissue() if picture is None else picture
    limit = limits(samples, temporal_median(samples))
    found = [candidates(luma, background, limit, WHOLE) for luma in samples]
    found[:unseen] = [[]] * unseen
    if gone_from is not None:
        found[gone_from:] = [[]] * (len(found) - gone_from)
    return follow(looks(), [i / 10 for i in range(len(samples))], samples, background, found, last)


def gaps(spots: list[Spot], points: list[Point | None]) -> list[float]:
    at = [points[round(s.time_s * 10)] for s in spots]
    return [float(np.hypot(s.x - p[0], s.y - p[1])) if p else np.inf for s, p in zip(spots, at, strict=True)]


def test_it_is_followed_over_moves_and_rests() -> None:
    points: list[Point | None] = list(path(6))
    spots = followed(points)
    assert len(spots) == len(points)
    assert max(gaps(spots, points)) < 3
    assert min(s.score for s in spots) >= FOUND


def test_where_it_stays_until_nothing_differs_it_is_still_found() -> None:
    place = (300.0, 200.0)
    parked: list[Point | None] = [place] * 20
    assert followed(parked, unseen=20) == []
    spots = followed(parked, Spot(-0.1, *place, 0.9), unseen=20)
    assert len(spots) == 20
    assert max(gaps(spots, parked)) < 3


def test_it_is_followed_to_where_it_comes_to_rest() -> None:
    points: list[Point | None] = [(300.0, 200.0)] * 20
    spots = followed(points, Spot(-0.1, 500, 300, 0.9), gone_from=5)
    assert len(spots) == 20
    assert max(gaps(spots, points)) < 3


def test_it_is_followed_backward_too() -> None:
    points: list[Point | None] = [(300.0, 200.0)] * 20
    spots = followed(points, unseen=15)
    assert len(spots) == 20
    assert max(gaps(spots, points)) < 3


def test_gone_is_gone() -> None:
    points: list[Point | None] = [*way((300.0, 200.0), (600.0, 300.0), 2), *[None] * 20]
    spots = followed(points)
    assert len(spots) >= 20
    assert all(s.time_s <= 2.05 for s in spots)


def test_an_arrow_in_the_picture_is_no_resting_cursor() -> None:
    painted = tissue().copy()
    draw_arrow(painted, 300, 200)
    points: list[Point | None] = [*way((600.0, 300.0), (310.0, 206.0), 2), *[None] * 30]
    spots = followed(points, Spot(-0.1, 600, 300, 0.9), painted)
    assert len(spots) >= 17
    assert max(gaps(spots, points)) < 4


def test_a_place_that_looks_like_the_cursor_while_it_is_elsewhere_is_struck_off() -> None:
    painted = tissue().copy()
    draw_arrow(painted, 300, 200)
    points: list[Point | None] = [*[None] * 10, *way((640.0, 380.0), (350.0, 230.0), 3)]
    spots = followed(points, Spot(-0.1, 300, 200, 0.9), painted)
    assert len(spots) >= 29
    assert max(gaps(spots, points)) < 3


def test_a_cursor_is_taken_out_of_the_background_where_samples_show_it_clear() -> None:
    place = (300.0, 200.0)
    samples = lumas([*[place] * 20, *way(place, (600.0, 300.0), 1.2)])
    background = temporal_median(samples)
    limit = limits(samples, background)
    found = [candidates(luma, background, limit, WHOLE) for luma in samples]
    part = (slice(198, 222), slice(298, 314))
    before = np.abs(background[part].astype(int) - tissue()[part]).mean()
    assert cleaned(looks(), samples, background, found, None)
    assert np.abs(background[part].astype(int) - tissue()[part]).mean() < 4 < before


def test_a_cursor_is_taken_out_of_the_background_by_the_window_before() -> None:
    samples = lumas([(300.0, 200.0)] * 20)
    background = temporal_median(samples)
    nothing: list[list] = [[] for _ in samples]
    assert not cleaned(looks(), samples, background, nothing, None)
    assert cleaned(looks(), samples, background, nothing, temporal_median(lumas([None] * 5, seed=4)))
    part = (slice(198, 222), slice(298, 314))
    assert np.abs(background[part].astype(int) - tissue()[part]).mean() < 4


def test_noise_raises_the_limit_where_it_is() -> None:
    samples = lumas([None] * 15)
    samples = [s.copy() for s in samples]
    for i, luma in enumerate(samples):
        luma[:200, :200] = np.random.default_rng(i).integers(60, 200, (200, 200))
    limit = limits(samples, temporal_median(samples))
    assert limit[20:180, 20:180].min() > 60
    assert limit[220:].max() < 30
    assert FOUND <= SURE


def test_what_is_there_with_and_without_the_cursor_is_the_picture() -> None:
    painted = tissue().copy()
    draw_arrow(painted, 300, 200)
    with_it, without = lumas([(300.0, 200.0)] * 5, seed=3), lumas([(600.0, 300.0)] * 5, seed=4)
    spot = Spot(0.0, 300, 200, 0.9)
    assert not unchanged(looks(), with_it, without, spot)
    assert unchanged(looks(), lumas([None] * 5, picture=painted), lumas([None] * 5, picture=painted, seed=5), spot)
    assert not unchanged(looks(), with_it, without[:2], spot)  # too few to say
