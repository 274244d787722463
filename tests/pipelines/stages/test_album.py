"""The pictures that are kept of one video."""

import numpy as np
import pytest

from pipelines.stages.album import Album, Still


def album(max_images: int) -> tuple[Album, list[Still]]:
    kept: list[Still] = []

    def keep(still: Still) -> str:
        kept.append(still)
        return f"image-{len(kept)}"

    return Album(max_images=max_images, window_s=20.0, keep=keep), kept


def still(seed: int, start_s: float, end_s: float, method: str = "median") -> Still:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    return Still(start_s=start_s, end_s=end_s, method=method, rgb=coarse.repeat(20, 0).repeat(20, 1))


def test_a_slide_shown_again_shares_its_image() -> None:
    book, kept = album(10)
    for seed, start_s in ((1, 0), (2, 10), (1, 20)):
        book.add(still(seed, start_s, start_s + 10))
    assert [i.image_id for i in book.intervals()] == ["image-1", "image-2", "image-1"]
    assert len(kept) == 2
    assert (book.intervals()[0].width, book.intervals()[0].height) == (320, 180)


def test_the_longest_rests_stay() -> None:
    book, _ = album(3)
    lengths = [5, 9, 4, 3, 12, 7, 6]
    for i, length in enumerate(lengths):
        if book.has_room(length):
            book.add(still(i, 20 * i, 20 * i + length))
    assert [round(i.end_s - i.start_s) for i in book.intervals()] == [9, 12, 7]


def test_key_frames_are_thinned_evenly_and_give_way_to_rests() -> None:
    book, kept = album(8)
    for i in range(200):
        if book.has_room_for_key_frame(20.0 * i):
            book.add(still(i, 20.0 * i, 20.0 * i + 20, "key_frame"))
    starts = [i.start_s for i in book.intervals()]
    assert len(starts) <= 8
    assert starts[-1] > 2500
    assert np.diff(starts).max() <= 3 * np.diff(starts).min()
    assert len(kept) < 60
    book.add(still(999, 5000, 5004))
    assert book.intervals()[-1].method == "median"
    assert len(book.intervals()) <= 8


def test_pictures_of_another_size_are_others() -> None:
    book, kept = album(10)
    one = still(1, 0, 5)
    book.add(one)
    book.add(Still(start_s=10, end_s=15, method="median", rgb=one.rgb[::2, ::2]))
    assert len(kept) == 2


def test_a_little_difference_is_none_and_a_new_line_is_one() -> None:
    book, kept = album(10)
    plain = np.full((180, 320, 3), 240, np.uint8)
    noisy = plain + np.random.default_rng(0).integers(0, 5, plain.shape, dtype=np.uint8)
    line = plain.copy()
    line[60:72, 40:200] = 20
    for i, rgb in enumerate((plain, noisy, line)):
        book.add(Still(start_s=10.0 * i, end_s=10.0 * i + 9, method="median", rgb=rgb))
    assert [i.image_id for i in book.intervals()] == ["image-1", "image-1", "image-2"]
    assert len(kept) == 2


def test_key_frames_keep_their_distance() -> None:
    book, _ = album(8)
    book.add(still(1, 0, 20, "key_frame"))
    assert not book.has_room_for_key_frame(15.0)
    assert book.has_room_for_key_frame(20.0)


def test_no_key_frame_takes_the_place_of_a_rest() -> None:
    book, _ = album(2)
    book.add(still(1, 0, 5))
    book.add(still(2, 10, 15))
    assert not book.has_room_for_key_frame(40.0)
    assert not book.has_room(5.0)
    assert book.has_room(5.5)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_intervals_come_in_time_order(order: tuple[int, ...]) -> None:
    book, _ = album(5)
    for i in order:
        book.add(still(i, 10.0 * i, 10.0 * i + 5))
    assert [i.start_s for i in book.intervals()] == [0, 10, 20]
