import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.budget import film_size, film_tokens, frame_times
from train.config import VisionSettings

PUBLISHED = VisionSettings()


@given(st.integers(20, 4000), st.integers(20, 4000), st.integers(1, 420))
def test_a_film_keeps_to_the_budget_in_multiples_of_28(width, height, frames):
    w, h = film_size(width, height, frames, PUBLISHED)
    assert w % 28 == h % 28 == 0
    assert min(w, h) >= 56
    assert film_tokens(w, h, frames) <= 16_384
    assert w <= max(width + 56, 56)


@pytest.mark.parametrize(("frames", "least"), [(60, 0.8), (168, 0.85), (300, 0.8), (420, 0.8)])
def test_the_budget_is_used(frames, least):
    """Published: 14,050 of 16,384 tokens on average, sizes such as 392x224 and 588x336 from 16:9."""
    w, h = film_size(1280, 720, frames, PUBLISHED)
    assert film_tokens(w, h, frames) > least * 16_384
    assert math.isclose(w / h, 16 / 9, rel_tol=0.1)


def test_an_odd_last_frame_counts_too():
    """By the published count a single frame is half of what the model makes of it."""
    assert film_tokens(*film_size(4000, 4000, 1, PUBLISHED), 1) <= 16_384
    assert film_tokens(*film_size(1920, 1080, 3, PUBLISHED), 3) <= 16_384


def test_a_film_that_fits_keeps_its_size():
    assert film_size(640, 480, 10, PUBLISHED) == (644, 476)


def test_one_frame_a_second_and_420_at_most():
    assert frame_times(10.0, 13.5, PUBLISHED) == (10.0, 11.0, 12.0)
    assert len(frame_times(0.0, 420.0, PUBLISHED)) == 420
    spread = frame_times(0.0, 840.0, PUBLISHED)
    assert len(spread) == 420
    assert spread[1] - spread[0] == pytest.approx(2.0)
    assert frame_times(5.0, 5.2, PUBLISHED) == (5.0,)
