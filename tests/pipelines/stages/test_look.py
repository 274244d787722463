"""The whole pass on rendered lectures whose truth is known."""

import functools
from collections.abc import Iterator

import numpy as np
import pytest

from pipelines.config import LookSettings
from pipelines.media import from_jpeg
from pipelines.stages.look import LookResult, _Run, look
from tests.pipelines.stages.rendered import (
    FPS,
    HEIGHT,
    SETTINGS,
    WIDTH,
    Render,
    Rendered,
    cursor_at,
    lecture,
    pan,
    picture,
    run,
    with_cursor,
)


def test_the_last_picture_stays_until_the_sound_ends() -> None:
    result, _ = run(lambda time_s: picture("retina"), 12, until_s=30.0)
    assert [(i.start_s, i.end_s) for i in result.intervals] == [pytest.approx((0, 30))]
    assert result.frames[-1].until_s == pytest.approx(30.0)


SLIDES = ("retina", "immunohistochemistry", "astronaut")


def one_after_the_other(begins: tuple[float, ...]) -> Render:
    return lambda time_s: picture(SLIDES[int(np.searchsorted(begins, time_s + 1e-6)) - 1])


def test_a_frame_for_each_slide_is_enough() -> None:
    begins = (0.0, 20.0, 40.0)
    result, stills = run(one_after_the_other(begins), 0, times=list(begins), until_s=60.0)
    assert [(i.start_s, i.end_s) for i in result.intervals] == [
        pytest.approx((0, 20), abs=0.5), pytest.approx((20, 40), abs=0.5), pytest.approx((40, 60), abs=0.5)
    ]  # fmt: skip
    assert [i.method for i in result.intervals] == ["median"] * 3
    for interval, name in zip(result.intervals, SLIDES, strict=True):
        assert np.abs(stills[interval.image_id].rgb.astype(int) - picture(name)).mean() < 4


def test_a_picture_that_came_between_two_samples_is_the_one_that_is_held() -> None:
    times = [*np.arange(0, 5, 0.1), 5.04, 35.0, *np.arange(35.1, 40, 0.1)]
    result, stills = run(one_after_the_other((0.0, 5.04, 35.0)), 0, times=[float(t) for t in times], until_s=40.0)
    held = next(i for i in result.intervals if i.start_s < 20 < i.end_s)
    assert (held.start_s, held.end_s) == pytest.approx((5.04, 35), abs=0.5)
    assert np.abs(stills[held.image_id].rgb.astype(int) - picture(SLIDES[1])).mean() < 4


def test_nothing_lasts_beyond_the_film() -> None:
    times = [*(float(t) for t in np.arange(0, 5, 0.1)), 65.0]
    result, _ = run(lambda time_s: picture("retina"), 0, times=times, until_s=66.0)
    assert max(i.end_s for i in result.intervals) == pytest.approx(66)
    assert result.frames[-1].until_s == pytest.approx(66)


def test_a_film_may_go_on_in_another_size() -> None:
    import cv2

    def render(time_s: float) -> np.ndarray:
        image = with_cursor(picture("retina"), *cursor_at(time_s))
        return image if time_s < 8 else cv2.resize(image, (WIDTH * 2 // 3, HEIGHT * 2 // 3), interpolation=cv2.INTER_AREA)

    def pictures() -> Iterator[Rendered]:
        yield from (Rendered(float(t), render(t)) for t in np.arange(0, 16, 1 / FPS))

    result = look(pictures(), static=True, settings=SETTINGS, keep=lambda still: str(still.start_s), until_s=16.0)
    assert [(i.width, i.height) for i in result.intervals] == [(WIDTH, HEIGHT), (WIDTH * 2 // 3, HEIGHT * 2 // 3)]
    assert [(i.start_s, i.end_s) for i in result.intervals] == [
        pytest.approx((0, 8), abs=0.5), pytest.approx((8, 16), abs=0.5)
    ]  # fmt: skip


def test_a_film_that_changes_its_size_while_it_moves_knows_its_cursor_anew() -> None:
    import cv2

    size = WIDTH * 2 // 3, HEIGHT * 2 // 3

    def render(time_s: float) -> np.ndarray:
        if time_s < 8:
            return with_cursor(picture("retina"), *cursor_at(time_s))
        if time_s < 10:
            return pan(time_s)
        shown = cv2.resize(picture("immunohistochemistry"), size, interpolation=cv2.INTER_AREA)
        return with_cursor(shown, *(2 / 3 * c for c in cursor_at(time_s)))

    def pictures() -> Iterator[Rendered]:
        for t in np.arange(0, 18, 1 / FPS):
            image = render(float(t))
            yield Rendered(float(t), image if t < 9 or t >= 10 else cv2.resize(image, size, interpolation=cv2.INTER_AREA))

    whole = _Run(static=True, settings=SETTINGS, keep=lambda still: str(still.start_s), net=None)
    for shown in pictures():
        whole.feed(shown)
    last = whole.finish(18.0).intervals[-1]
    assert len(whole._pointers) == 2
    assert (last.width, last.height) == size
    true = [(2 / 3 * x + 4.5, 2 / 3 * y + 7) for x, y in (cursor_at(p.time_s) for p in last.trace)]
    gaps = [np.hypot(p.x - x, p.y - y) for p, (x, y) in zip(last.trace, true, strict=True)]
    assert len(gaps) > 40
    assert np.percentile(gaps, 95) < 2.5


@pytest.mark.parametrize("static", [True, False])
def test_slides_with_a_cursor(static: bool) -> None:
    result, stills = run(lecture, 30, static=static)
    assert result.scene_cuts_s == pytest.approx((10.0, 20.0))
    assert [(i.start_s, i.end_s) for i in result.intervals] == [
        pytest.approx((0, 10)), pytest.approx((10, 20)), pytest.approx((20, 30))
    ]  # fmt: skip
    assert all(i.method == "median" and (i.width, i.height) == (WIDTH, HEIGHT) for i in result.intervals)
    first, second, third = (i.image_id for i in result.intervals)
    assert first == third != second
    assert len(stills) == 2
    for image_id, name in ((first, "immunohistochemistry"), (second, "retina")):
        difference = np.abs(stills[image_id].rgb.astype(int) - picture(name))
        assert difference.mean() < 1.5
        assert difference.max() < 25
    for interval in result.intervals:
        assert len(interval.trace) >= 0.95 * FPS * (interval.end_s - interval.start_s)
        assert all(interval.start_s <= p.time_s <= interval.end_s for p in interval.trace)
        # the rectangle leans to no side, so its hot spot is its centre
        gaps = [np.hypot(p.x - cursor_at(p.time_s)[0] - 4.5, p.y - cursor_at(p.time_s)[1] - 7) for p in interval.trace]
        assert np.percentile(gaps, 95) < 2.5


def test_between_two_builds_the_cursor_is_known_and_the_picture_a_key_frame() -> None:
    import cv2

    def render(time_s: float) -> np.ndarray:
        if time_s < 10:
            return lecture(time_s)
        shown = np.full((HEIGHT, WIDTH, 3), 240, np.uint8)
        for i, text in enumerate(("Acute stroke is frequent", "Time is brain in all", "Treat within the hours")):
            if time_s >= 10 + 2 * i:
                cv2.putText(shown, text, (30, 60 + 70 * i), 0, 0.9, (20, 20, 20), 2, cv2.LINE_AA)
        return with_cursor(shown, *cursor_at(time_s))

    result, _ = run(render, 16)
    rest, built = result.intervals
    assert (rest.method, built.method) == ("median", "key_frame")
    assert [p.time_s for p in built.trace] == pytest.approx(np.arange(10, 16, 1 / FPS))
    gaps = [np.hypot(p.x - cursor_at(p.time_s)[0] - 4.5, p.y - cursor_at(p.time_s)[1] - 7) for p in built.trace]
    assert np.percentile(gaps, 95) < 2.5


def test_sampled_frames_cover_the_video_once_a_slide() -> None:
    frames = run(lecture, 30)[0].frames
    assert [f.time_s for f in frames] == pytest.approx([0, 10, 20])
    assert [f.until_s for f in frames] == pytest.approx([10, 20, 30])
    assert all(max(from_jpeg(f.jpeg).shape) == 256 for f in frames)


def test_full_size_is_asked_for_rarely() -> None:
    Rendered.full_size = 0
    run(lambda t: picture("retina"), 24)
    assert Rendered.full_size < 42


def test_a_moving_video_has_key_frames_and_no_medians() -> None:
    result, stills = run(pan, 45)
    assert {i.method for i in result.intervals} == {"key_frame"}
    assert len(result.intervals) == len(stills) == 4
    assert [i.start_s for i in result.intervals] == pytest.approx([0, 12, 24, 36], abs=0.3)
    assert all(not i.trace for i in result.intervals)
    assert len(result.frames) > 80


def test_the_sharpest_frame_is_the_key_frame() -> None:
    import cv2

    def focusing(time_s: float) -> np.ndarray:
        return pan(time_s) if 7.9 < time_s < 8.3 else cv2.blur(pan(time_s), (7, 7))

    _, stills = run(focusing, 11)
    (still,) = stills.values()
    assert np.abs(still.rgb.astype(int) - pan(8.0)).mean() < 4


def test_even_the_shortest_video_has_a_picture() -> None:
    result, stills = run(lambda t: picture("retina"), 1.0)
    assert [i.method for i in result.intervals] == ["key_frame"]
    assert list(stills) == [result.intervals[0].image_id]


def test_a_video_without_frames_gives_nothing() -> None:
    result, stills = run(lambda t: picture("retina"), 0)
    assert result == LookResult(scene_cuts_s=(), intervals=(), frames=())
    assert stills == {}


def test_a_recording_with_frames_only_on_change_rests_in_between() -> None:
    times = [0, 0.1, 0.2, 0.3, 12.0, 12.1, 12.2, 12.3, 25.0]
    result, _ = run(lambda t: picture("retina" if t < 12 else "immunohistochemistry"), 0, times=times)
    assert result.scene_cuts_s == (12.0,)
    assert (result.intervals[0].start_s, result.intervals[0].end_s) == pytest.approx((0, 12))
    assert result.intervals[1].start_s == pytest.approx(12)
    assert result.intervals[1].end_s >= 25


def test_max_images_keeps_the_longest_rests() -> None:
    def slides(time_s: float) -> np.ndarray:
        return slide(sum(time_s >= end_s for end_s in (5, 14, 18)))

    @functools.cache
    def slide(number: int) -> np.ndarray:
        return np.roll(picture("retina"), 37 * number, axis=0)

    result, _ = run(slides, 30, settings=LookSettings(analysis_width_px=240, max_images=2))
    assert [(round(i.start_s), round(i.end_s)) for i in result.intervals] == [(5, 14), (18, 30)]


def test_what_is_held_does_not_grow_with_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr("pipelines.stages.pointer._MAX_WINDOWS", 2)  # full after 4 s, as 16 of 12 s are after 3 minutes
    settings = LookSettings(analysis_width_px=120, window_s=2.0)

    def look(seconds: float) -> None:
        run(lambda t: with_cursor(picture("retina"), *cursor_at(t)), seconds, settings=settings)

    def peak(seconds: float) -> int:
        tracemalloc.start()
        look(seconds)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    look(3)  # what is loaded once is nobody's length
    assert peak(18) < 1.25 * peak(6)
