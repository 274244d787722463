"""Cuts, fades, flashes, and what must not cut; sampled frames."""

import functools

import numpy as np
import pytest
from skimage import data

from pipelines.config import LookSettings
from pipelines.media import from_jpeg
from pipelines.stages.scenes import FrameSampler, SceneDetector, changed_share

FPS = 25
SETTINGS = LookSettings()


@functools.cache
def picture(which: int) -> np.ndarray:
    import cv2

    source = (data.immunohistochemistry(), data.retina(), data.cell())[which]
    grey = source if source.ndim == 2 else cv2.cvtColor(source, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (320, 180), interpolation=cv2.INTER_AREA)


def noisy(frame: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 2, frame.shape)
    return np.clip(frame + noise, 0, 255).astype(np.uint8)


def cuts(frames: list[np.ndarray], *, static: bool, times: list[float] | None = None) -> list[float]:
    detector = SceneDetector(static=static, settings=SETTINGS)
    found: list[float] = []
    for i, frame in enumerate(frames):
        found += detector.feed(times[i] if times else i / FPS, noisy(frame, i))
    return found + list(detector.finish())


def pan(frames: int) -> list[np.ndarray]:
    wide = np.tile(picture(0), (1, 3))
    return [wide[:, 2 * i : 2 * i + 320] for i in range(frames)]


@pytest.mark.parametrize("static", [True, False])
def test_hard_cuts_at_the_first_frame_of_the_new_scene(static: bool) -> None:
    frames = [picture(0)] * 60 + [picture(1)] * 60 + [picture(2)] * 60
    assert cuts(frames, static=static) == pytest.approx([60 / FPS, 120 / FPS])


def test_times_are_presentation_times_whatever_the_frame_rate() -> None:
    times = [0.0, 0.5, 1.7, 1.75, 3.1, 3.11, 5.0, 6.0]
    frames = [picture(0)] * 4 + [picture(1)] * 4
    assert cuts(frames, static=True, times=times) == [3.1]


def test_the_adaptive_detector_cuts_between_pans_but_not_in_them() -> None:
    frames = pan(75) + [np.flipud(f) for f in pan(75)]
    assert cuts(frames, static=False) == pytest.approx([75 / FPS])


def test_a_flash_is_no_cut() -> None:
    frames = [picture(0)] * 60 + [np.full((180, 320), 250, np.uint8)] * 3 + [picture(0)] * 60
    assert cuts(frames, static=True) == []


def test_scenes_have_a_minimum_length() -> None:
    frames = [picture(0)] * 60 + [picture(1)] * 15 + [picture(2)] * 60
    assert cuts(frames, static=True) == pytest.approx([60 / FPS])


@pytest.mark.parametrize("static", [True, False])
@pytest.mark.parametrize("through_black", [True, False])
def test_a_fade_is_one_cut_in_its_middle(static: bool, through_black: bool) -> None:
    a, b = picture(0).astype(float), picture(2).astype(float)
    steps = np.linspace(0, 1, 40)
    if through_black:
        mixed = [a * max(0, 1 - 2 * u) + b * max(0, 2 * u - 1) for u in steps]
    else:
        mixed = [a * (1 - u) + b * u for u in steps]
    frames = [picture(0)] * 60 + [m.astype(np.uint8) for m in mixed] + [picture(2)] * 60
    assert cuts(frames, static=static) == pytest.approx([80 / FPS], abs=0.25)


@pytest.mark.parametrize("static", [True, False])
def test_a_cursor_a_talking_head_and_a_build_do_not_cut(static: bool) -> None:
    frames = []
    for i in range(150):
        frame = picture(1).copy()
        frame[20 + i // 2 : 36 + i // 2, i : i + 12] = 255
        frame[130:170, 250:300] = 90 + 60 * np.sin(i / 3 + np.arange(50) / 8)
        if i > 75:
            frame[150:158, 20:120] = 255
        frames.append(frame)
    assert cuts(frames, static=static) == []


def test_another_picture_size_is_another_scene() -> None:
    assert cuts([picture(0)] * 40 + [picture(0)[:90]] * 40, static=True) == pytest.approx([40 / FPS])


def test_agrees_with_pyscenedetect_on_hard_cuts() -> None:
    scenedetect = pytest.importorskip("scenedetect")
    from scenedetect.detectors import AdaptiveDetector

    frames = pan(75) + [picture(1)] * 75 + [np.flipud(f) for f in pan(75)]
    detector, theirs = AdaptiveDetector(min_scene_len=FPS), []
    for i, frame in enumerate(frames):
        at = scenedetect.FrameTimecode(i, float(FPS))
        theirs += detector.process_frame(at, np.repeat(noisy(frame, i)[..., None], 3, 2))
    expected = sorted(cut.frame_num / FPS for cut in theirs)
    assert expected == pytest.approx([3.0, 6.0])
    assert cuts(frames, static=False) == pytest.approx(expected)


def sampled(pictures: list[np.ndarray], settings: LookSettings) -> tuple[FrameSampler, int]:
    sampler, asked = FrameSampler(settings), []
    for i, frame in enumerate(pictures):

        def rgb(frame: np.ndarray = frame) -> np.ndarray:
            asked.append(1)
            return np.repeat(frame[..., None], 3, 2)

        sampler.feed(i / 4, frame, rgb)
    return sampler, len(asked)


def test_an_unchanged_picture_is_sampled_once_and_stands_until_the_next() -> None:
    sampler, asked = sampled([picture(0)] * 40 + [picture(1)] * 40, SETTINGS)
    frames = sampler.finish(20.0)
    assert [(f.time_s, f.until_s) for f in frames] == [(0.0, 10.0), (10.0, 20.0)]
    assert asked == 2
    assert max(from_jpeg(frames[0].jpeg).shape) == 256


def test_sampled_frames_are_bounded_and_keep_what_stood_long() -> None:
    moving = [np.roll(picture(0), 9 * i, axis=1) for i in range(300)]
    pictures = moving[:150] + [picture(1)] * 100 + moving[150:]
    frames = sampled(pictures, LookSettings(max_frames=20))[0].finish(100.0)
    assert 8 <= len(frames) <= 20
    assert frames[-1].until_s == 100.0
    (long,) = [f for f in frames if f.until_s - f.time_s > 20]
    assert long.time_s == pytest.approx(37.5, abs=4)


def slide(*lines: str) -> np.ndarray:
    import cv2

    frame = np.full((180, 320), 235, np.uint8)
    for i, text in enumerate(lines):
        cv2.putText(frame, text, (10, 40 + 40 * i), 0, 0.7, 20, 2, cv2.LINE_AA)
    return frame


def test_changed_share_is_of_what_shows_anything() -> None:
    first, other = slide("Acute stroke", "Time is brain"), slide("", "", "Kidney", "Cortex, medulla")
    assert changed_share(first, first) == 0.0
    assert changed_share(first, other) > 0.65
    assert changed_share(first, slide("Acute stroke", "Time is brain", "Treat")) < 0.35
    assert changed_share(slide(), slide()) == 0.0
    assert changed_share(first, np.clip(first.astype(int) - 5, 0, 255).astype(np.uint8)) == 0.0


@pytest.mark.parametrize("static", [True, False])
def test_a_new_slide_cuts_and_another_line_on_it_does_not(static: bool) -> None:
    one, two = slide("Acute stroke", "Time is brain"), slide("Acute stroke", "Time is brain", "Treat early")
    other = slide("", "Kidneys have a", "cortex and a", "medulla, a pelvis")
    found = cuts([one] * 60 + [two] * 60 + [other] * 60, static=static)
    assert found == pytest.approx([120 / FPS])


@pytest.mark.parametrize("static", [True, False])
def test_a_picture_that_is_added_to_a_slide_does_not_cut(static: bool) -> None:
    one = slide("Acute stroke of the", "brain is frequent and", "is treated early")
    two = one.copy()
    two[130:175, 90:220] = 60
    assert np.abs(two.astype(int) - one).mean() > SETTINGS.static_threshold
    assert cuts([one] * 60 + [two] * 60, static=static) == []
