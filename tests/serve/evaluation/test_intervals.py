import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.evaluation.intervals import Point, difference, p_value, quotient, ratio

DRAW = {"seed": 0, "resamples": 2000, "confidence": 0.95}


def points(scores, sources=None, of=1.0):
    names = range(len(scores)) if sources is None else sources
    return [Point(source_id=str(n), score=float(s), score_of=of) for n, s in zip(names, scores, strict=True)]


def test_a_share_of_independent_questions_agrees_with_the_textbook():
    scores = np.random.default_rng(0).random(400) < 0.6
    got = ratio(points(scores), **DRAW)
    half = 1.96 * np.sqrt(scores.mean() * (1 - scores.mean()) / 400)
    assert got.value == pytest.approx(scores.mean())
    assert (got.low, got.high) == (pytest.approx(got.value - half, abs=0.01), pytest.approx(got.value + half, abs=0.01))


def test_questions_of_one_video_count_as_one_drawing():
    """Twenty videos, all questions of a video alike: the interval is that of twenty, not of 400."""
    per_video = np.arange(20) % 2
    clustered = ratio(points(np.repeat(per_video, 20), np.repeat(np.arange(20), 20)), **DRAW)
    naive = ratio(points(np.repeat(per_video, 20)), **DRAW)
    assert clustered.value == naive.value == 0.5
    assert clustered.high - clustered.low > 3 * (naive.high - naive.low)


def test_the_same_seed_gives_the_same_interval():
    scores = points([0, 1, 1, 0, 1, 1, 1])
    assert ratio(scores, **DRAW) == ratio(scores, **DRAW)


def test_all_right_is_not_certainty():
    got = ratio(points([1] * 10), **DRAW)
    assert (got.value, got.high, got.method) == (1.0, 1.0, "exact")
    assert got.low == pytest.approx(0.6915, abs=1e-3)
    assert ratio(points([0] * 10), **DRAW).high == pytest.approx(0.3085, abs=1e-3)


def test_where_nothing_can_be_said_nothing_is_said():
    assert ratio([], **DRAW) is None
    one = ratio(points([1, 0, 1], ["v", "v", "v"]), **DRAW)
    assert (one.value, one.low, one.high) == (pytest.approx(2 / 3), None, None)
    same = ratio(points([0.5] * 4), **DRAW)
    assert (same.value, same.low) == (0.5, None)


def test_quilts_ratio_is_of_means_not_the_mean_of_ratios():
    marks = [Point(source_id=str(i), score=m, score_of=r) for i, (m, r) in enumerate([(8, 8), (1, 10), (6, 7), (9, 5)])]
    assert ratio(marks, **DRAW).value == pytest.approx((8 + 1 + 6 + 9) / (8 + 10 + 7 + 5))


def test_a_paired_difference_is_narrower_than_two_intervals():
    rng = np.random.default_rng(1)
    hard = rng.random(200)
    a, b = points(hard > 0.5), points(hard > 0.4)
    got = difference(a, b, **DRAW)
    assert got.value == pytest.approx(np.mean(hard > 0.4) - np.mean(hard > 0.5))
    alone = ratio(a, **DRAW)
    assert 0 < got.low < got.value < got.high
    assert got.high - got.low < alone.high - alone.low
    assert p_value(a, b, seed=0, resamples=2000) < 0.01


def test_no_difference_has_no_small_p():
    a = points([1, 0] * 20)
    assert difference(a, a, **DRAW).value == 0
    assert p_value(a, a, seed=0, resamples=500) == 1.0
    assert p_value(a, points([0, 1] * 20), seed=0, resamples=500) > 0.5


def test_exchanging_whole_sources_needs_several():
    """A hundred questions of four videos cannot give p below 2/16, however one-sided."""
    sources = np.repeat(np.arange(4), 25)
    assert p_value(points([0] * 100, sources), points([1] * 100, sources), seed=0, resamples=2000) == pytest.approx(2 / 16)


def test_a_share_of_a_share():
    blind, shown = points([1, 0, 0, 1] * 10), points([1, 1, 0, 1] * 10)
    got = quotient(blind, shown, **DRAW)
    assert got.value == pytest.approx(20 / 30)
    assert got.low < got.value < got.high
    assert quotient(blind, points([0] * 40), **DRAW) is None
    assert quotient(blind, points([1] + [0] * 39), **DRAW).low is None


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=30))
def test_an_interval_holds_its_value(rows):
    got = ratio(points([s for s, _ in rows], [v for _, v in rows]), seed=0, resamples=200, confidence=0.95)
    assert 0 <= got.value <= 1
    if got.low is not None:
        assert -1e-9 <= got.low <= got.value + 1e-9
        assert got.value - 1e-9 <= got.high <= 1 + 1e-9


def test_the_test_is_of_the_difference_that_stands_beside_it():
    """Two runs with the same marks, of which one reference got more: the shares differ, and so it is said."""
    low, high = points([6.0] * 60, of=8.0), points([6.0] * 60, of=10.0)
    assert difference(low, high, **DRAW).value == pytest.approx(6 / 10 - 6 / 8)
    assert p_value(low, high, seed=0, resamples=500) < 0.01
    assert p_value(low, low, seed=0, resamples=500) == 1.0
