"""Where the picture rests, the median, the bounded stack, and the cursor-free image."""

import functools

import numpy as np
import pytest
from skimage import data

from pipelines.stages.stable import FrameStack, Rest, RestDetector, cursor_free, temporal_median

HEIGHT, WIDTH = 270, 480


@functools.cache
def tissue() -> np.ndarray:
    import cv2

    grey = cv2.cvtColor(data.immunohistochemistry(), cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (WIDTH + 200, HEIGHT + 200), interpolation=cv2.INTER_AREA)


@functools.cache
def retina() -> np.ndarray:
    import cv2

    return cv2.resize(cv2.cvtColor(data.retina(), cv2.COLOR_RGB2GRAY), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def rests(frames: list[np.ndarray]) -> list[Rest]:
    """At ten samples a second, with noise."""
    detector, found = RestDetector(), []
    rng = np.random.default_rng(0)
    for i, frame in enumerate(frames):
        luma = np.clip(frame + rng.normal(0, 2.5, frame.shape), 0, 255).astype(np.uint8)
        found.append(detector.feed(i / 10, luma))
    found.append(detector.finish())
    return [r for r in found if r]


def test_rest_ends_with_the_last_sample_before_the_change() -> None:
    still = tissue()[:HEIGHT, :WIDTH]
    (first, second) = rests([still] * 60 + [retina()] * 60)
    assert first == Rest(0.0, 5.9)
    assert second == Rest(6.0, 11.9)


def test_cursor_and_talking_head_do_not_break_rest() -> None:
    frames = []
    rng = np.random.default_rng(1)
    for i in range(120):
        frame = retina().copy()
        frame[170:250, 380:460] = rng.integers(60, 200, (10, 10)).repeat(8, 0).repeat(8, 1)
        x, y = 40 + 2 * i, 100 + int(50 * np.sin(i / 9))
        frame[y : y + 16, x : x + 12] = 255
        frames.append(frame)
    assert rests(frames) == [Rest(0.0, 11.9)]


@pytest.mark.parametrize("pixels_per_second", [2.5, 10, 60])
def test_a_pan_however_slow_is_no_rest(pixels_per_second: float) -> None:
    import cv2

    wide = tissue().astype(np.float32)
    frames = []
    for i in range(100):
        shift = np.float32([[1, 0, -pixels_per_second * i / 10], [0, 1, 0]])
        frames.append(cv2.warpAffine(wide, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT))
    assert all(r.end_s - r.start_s < 3 for r in rests(frames))


def test_an_added_line_of_text_begins_another_rest() -> None:
    import cv2

    before = np.full((HEIGHT, WIDTH), 240, np.uint8)
    cv2.putText(before, "Acute stroke", (30, 60), 0, 1.2, 20, 2, cv2.LINE_AA)
    after = before.copy()
    cv2.putText(after, "Time is brain: treat within hours", (30, 130), 0, 0.7, 20, 2, cv2.LINE_AA)
    (first, second) = rests([before] * 50 + [after] * 60)
    assert first.end_s == pytest.approx(5.0, abs=0.11)
    assert second.start_s == pytest.approx(5.0, abs=0.11)
    assert second.end_s == pytest.approx(10.9)


def test_a_parked_cursor_begins_no_other_rest() -> None:
    moved = retina().copy()
    moved[100:118, 200:214] = 255
    assert rests([retina()] * 50 + [moved] * 50) == [Rest(0.0, 9.9)]


def test_a_large_inset_that_never_stops_breaks_no_rest() -> None:
    def frame(i: int) -> np.ndarray:
        shown = retina().copy() if i < 80 else tissue()[:HEIGHT, :WIDTH].copy()
        noise = np.random.default_rng(i).integers(60, 200, (18, 25)).astype(np.uint8)
        shown[110:254, 270:470] = noise.repeat(8, 0).repeat(8, 1)
        return shown

    found = [r for r in rests([frame(i) for i in range(160)]) if r.end_s - r.start_s > 3]
    assert len(found) == 2
    assert found[0].start_s == 0.0
    assert found[0].end_s == pytest.approx(7.9, abs=0.11)
    assert found[1].start_s == pytest.approx(8.0, abs=0.11)
    assert found[1].end_s == pytest.approx(15.9)


def captioned(text: str, top: int = 12) -> np.ndarray:
    import cv2

    frame = retina().copy()
    cv2.rectangle(frame, (60, top), (420, top + 30), 10, -1)
    cv2.putText(frame, text, (70, top + 22), 0, 0.7, 240, 2, cv2.LINE_AA)
    return frame


TEXTS = ("this tissue is stained", "and here are the cells", "they lie in one layer", "as on the next slide")


def test_captions_where_they_mostly_are_break_no_rest() -> None:
    frames = [retina()] * 30 + [captioned(TEXTS[i // 25 % 4], 228) for i in range(250)]
    assert rests(frames) == [Rest(0.0, 27.9)]


def test_a_line_that_is_built_lowest_on_the_left_begins_another_rest() -> None:
    import cv2

    before = np.full((HEIGHT, WIDTH), 240, np.uint8)
    after = before.copy()
    cv2.putText(after, "Time is brain", (30, 245), 0, 0.9, 20, 2, cv2.LINE_AA)
    assert [r.start_s for r in rests([before] * 50 + [after] * 60)] == pytest.approx([0, 5], abs=0.11)


def test_captions_break_no_rest_once_they_are_known() -> None:
    frames = [captioned(TEXTS[i // 25 % 4]) for i in range(250)]
    found = rests(frames)
    assert len(found) <= 3
    assert found[-1].start_s <= 5.1
    assert found[-1].end_s == pytest.approx(24.9)
    later = frames + [frames[-1]] * 120 + [captioned("after a long silence")] * 40
    assert [r.start_s for r in rests(later)] == [r.start_s for r in found]


def test_lines_that_are_built_one_below_the_other_are_rests_each() -> None:
    import cv2

    shown, frames = np.full((HEIGHT, WIDTH), 240, np.uint8), []
    for i, text in enumerate(("Acute stroke is frequent", "Time is brain in all", "Treat within the hours")):
        cv2.putText(shown, text, (30, 60 + 70 * i), 0, 0.9, 20, 2, cv2.LINE_AA)
        frames += [shown.copy()] * 40
    assert [r.start_s for r in rests(frames)] == pytest.approx([0, 4, 8], abs=0.11)


def test_another_size_ends_the_rest() -> None:
    (first, second) = rests([retina()] * 40 + [retina()[:180]] * 40)
    assert first == Rest(0.0, 3.9)
    assert second.end_s == pytest.approx(7.9)


def test_moving_video_never_rests() -> None:
    frames = [np.roll(tissue(), (7 * i, 11 * i), (0, 1))[:HEIGHT, :WIDTH] for i in range(60)]
    assert rests(frames) == []


@pytest.mark.parametrize("count", [1, 2, 3, 8, 15, 34])
def test_temporal_median_is_the_lower_median(count: int) -> None:
    values = np.random.default_rng(count).integers(0, 256, (count, 61, 83, 3), dtype=np.uint8)
    expected = np.sort(values, axis=0)[(count - 1) // 2]
    np.testing.assert_array_equal(temporal_median(list(values)), expected)


def test_the_stack_is_bounded_and_even_whatever_the_length() -> None:
    stack = FrameStack(limit=15, stride_s=0.25)
    for i in range(36000):
        stack.add(i / 10, np.zeros(1, np.uint8))
    times = [t for t, _ in stack.frames]
    assert 8 <= len(times) <= 15
    assert times[0] == 0
    assert np.ptp(np.diff(times)) < 1
    assert times[-1] > 3000


def test_cursor_free_even_where_the_cursor_rested_most_of_the_time() -> None:
    clean = np.repeat(retina()[..., None], 3, 2)
    frames, trace = [], []
    for i in range(15):
        x, y = (100, 100) if i < 10 else (200 + 20 * i, 60)
        shown = clean.copy()
        shown[y : y + 16, x : x + 10] = (255, 0, 0)
        frames.append((float(i), shown))
        trace.append((float(i), float(x), float(y)))
    plain = cursor_free(frames, [], 20)
    assert not np.array_equal(plain, clean)
    np.testing.assert_array_equal(cursor_free(frames, trace, 20), clean)
