"""The bench's measures of representative images on pictures made by hand."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bench.grounding.found import Found, Interval, Tally
from tests.bench.grounding.pictures import Album, duplicates, errors, floor_tallies, image_tallies, outside
from tests.lectures.grounding.truth import Rest, Truth

WIDTH, HEIGHT = 320, 180


def picture(seed: int) -> np.ndarray:
    """Blobs that differ from seed to seed."""
    small = np.random.default_rng(seed).integers(40, 200, (9, 16, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


@pytest.fixture
def album(tmp_path: Path) -> Album:
    rests = []
    for i in range(2):
        Image.fromarray(picture(i)).save(tmp_path / f"{i}.png")
        rests.append(Rest(start_s=10.0 * i, end_s=10.0 * i + 9, scene=i, picture=f"{i}.png", ignore=((0, 0, 20, 20),)))
    cursor = tuple((t / 10, 100.0, 90.0, True) for t in range(200))
    return Album(
        Truth(size=(WIDTH, HEIGHT), fps=10.0, duration_s=20.0, domain="ct", factors={}, changes=(), builds_s=(),
              scenes=((0.0, 10.0, "picture"), (10.0, 20.0, "picture")), rests=tuple(rests), cursor=cursor, cursor_px=4.0,
              episodes=(), spoken=(), words=()),
        tmp_path,
    )  # fmt: skip


def measured(album: Album, *images: np.ndarray) -> dict[str, float | None]:
    intervals = tuple(Interval(start_s=10.0 * i, end_s=10.0 * i + 9, image=i) for i in range(len(images)))
    return {t.metric: t.value for t in image_tallies(Found(intervals=intervals, images=images), album)}


def test_the_clean_pictures_have_no_error(album: Album) -> None:
    expected = {"image.luma": 0.0, "image.rgb": 0.0, "image.ghost": 0.0, "image.missing": 0.0, "image.right": 1.0,
                "image.duplicates": 0.0}  # fmt: skip
    assert measured(album, picture(0), picture(1)) == pytest.approx(expected, abs=1e-4)


def test_error_counts_outside_the_ignored_boxes_only(album: Album) -> None:
    image = picture(0)
    image[:20, :20] = 255
    assert measured(album, image)["image.luma"] == pytest.approx(0.0, abs=1e-4)
    brighter = (picture(0).astype(int) + 3).astype(np.uint8)
    assert measured(album, brighter)["image.luma"] == pytest.approx(3.0, abs=1e-3)
    assert measured(album, brighter)["image.missing"] == 0.5


def test_a_ghost_shows_where_the_cursor_was(album: Album) -> None:
    image = picture(0)
    image[87:93, 97:103] = 255  # the whole square at this size
    found = measured(album, image)
    assert found["image.ghost"] is not None
    assert found["image.ghost"] > 50
    assert found["image.luma"] is not None
    assert found["image.luma"] < 0.2


def test_ghost_is_weighed_by_the_time_spent() -> None:
    clean = np.zeros((720, 720, 3), np.uint8)
    image = clean.copy()
    image[88:112, 88:112] = 100
    off = errors(image, clean, outside((720, 720), ()), [(100.0, 100.0)] * 3 + [(400.0, 400.0)])
    assert off.ghost == pytest.approx(75.0)


def test_pictures_in_each_others_place_are_wrong(album: Album) -> None:
    assert measured(album, picture(1), picture(0))["image.right"] == 0.0


def test_duplicates_are_seen_through_noise_and_lines_of_text_are_not(album: Album) -> None:
    noisy = np.clip(picture(0) + np.random.default_rng(5).normal(0, 2, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
    assert duplicates([picture(0), noisy, picture(1)]) == 1
    line = picture(0)
    line[100:108, 40:200:4] = 0
    assert duplicates([picture(0), line]) == 0


def test_the_codecs_floor_leaves_the_cursor_out(album: Album) -> None:
    frames = []
    for i in range(5):
        frame = (picture(0).astype(int) + 1).astype(np.uint8)
        frame[84:96, 94:106] = 255  # rests there in all frames: only where it is not can be judged
        frames.append((float(i), frame))
    (found,) = floor_tallies(iter([(0, frames)]), album)
    assert found.value == pytest.approx(1.0, abs=1e-3)
    off = frames.copy()
    off[0] = (0.0, np.full_like(frames[0][1], 255))
    (found,) = floor_tallies(iter([(0, off)]), album)  # one frame of another picture does not move the median
    assert isinstance(found, Tally)
    assert found.value == pytest.approx(1.0, abs=1e-3)
