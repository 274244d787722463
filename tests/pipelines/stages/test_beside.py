"""What moves on the screen and is no cursor."""

import functools
from collections.abc import Callable

import numpy as np
from skimage import data

from pipelines.stages.beside import Beside

Paint = Callable[[np.ndarray, int], None]


@functools.cache
def retina() -> np.ndarray:
    import cv2

    return cv2.resize(cv2.cvtColor(data.retina(), cv2.COLOR_RGB2GRAY), (320, 180), interpolation=cv2.INTER_AREA)


def lumas(*paints: Paint, count: int = 80) -> list[np.ndarray]:
    frames = []
    for i in range(count):
        frame = retina().copy()
        for paint in paints:
            paint(frame, i)
        noise = np.random.default_rng(i).normal(0, 2, frame.shape)
        frames.append(np.clip(frame + noise, 0, 255).astype(np.uint8))
    return frames


def talking_head(frame: np.ndarray, i: int) -> None:
    rng = np.random.default_rng(1000 + i)
    frame[100:164, 240:304] = rng.integers(60, 200, (8, 8)).repeat(8, 0).repeat(8, 1)


def circling_cursor(frame: np.ndarray, i: int) -> None:
    x, y = int(80 + 12 * np.cos(i / 3)), int(60 + 12 * np.sin(i / 3))
    frame[y : y + 10, x : x + 6] = 255


def clock(frame: np.ndarray, i: int) -> None:
    rng = np.random.default_rng(2000 + i // 10)
    frame[10:20, 270:300] = 40
    frame[11:19, 272:296] = rng.integers(0, 256, (2, 6)).repeat(4, 0).repeat(4, 1)


def caption(frame: np.ndarray, i: int) -> None:
    import cv2

    cv2.rectangle(frame, (40, 160), (240, 178), 10, -1)
    text = ("tissue is stained", "and now the cells", "lie in one layer")[i // 15 % 3]
    cv2.putText(frame, text, (44, 174), 0, 0.5, 240, 1, cv2.LINE_AA)


def test_a_talking_head_is_beside_and_a_circling_cursor_is_not() -> None:
    mask = Beside().mask(lumas(talking_head, circling_cursor))
    assert mask.shape == (180, 320)
    assert mask[104:160, 244:300].all()
    assert not mask[40:90, 60:110].any()
    assert mask.mean() < 0.15


def test_a_clock_and_captions_are_beside() -> None:
    mask = Beside().mask(lumas(clock, caption, circling_cursor))
    assert mask[11:19, 274:294].all()
    assert mask[164:174, 60:120].mean() > 0.6
    assert not mask[40:90, 60:110].any()


def test_a_cursor_that_hops_is_not_beside() -> None:
    def hopping(frame: np.ndarray, i: int) -> None:
        x = 60 + 40 * (i // 8)
        x += 4 * (i % 8) if i % 8 < 6 else 24
        frame[90:100, x % 300 : x % 300 + 6] = 255

    assert not Beside().mask(lumas(hopping)).any()


def test_a_cursor_that_waves_about_a_large_thing_is_not_beside() -> None:
    def waving(frame: np.ndarray, i: int) -> None:
        x, y = int(100 + 22 * np.sin(i * 0.71)), int(80 + 22 * np.sin(i * 1.13))
        frame[y : y + 10, x : x + 8] = 255

    assert not Beside().mask(lumas(waving)).any()


def test_a_still_picture_has_nothing_beside() -> None:
    assert not Beside().mask(lumas()).any()
    assert not Beside().mask(lumas(count=1)).any()


def test_what_ticks_twice_is_no_clock_yet() -> None:
    def twice(frame: np.ndarray, i: int) -> None:
        frame[90:100, 100:110] = 255 if 20 <= i < 50 else 0

    def often(frame: np.ndarray, i: int) -> None:
        frame[90:100, 100:110] = 255 if (i // 12) % 2 else 0

    assert not Beside().mask(lumas(twice)).any()
    assert Beside().mask(lumas(often))[92:98, 102:108].all()


def test_the_whole_picture_changing_is_no_tick() -> None:
    def slides(frame: np.ndarray, i: int) -> None:
        frame[:] = np.roll(retina(), 40 * (i // 10), axis=1)

    assert not Beside().mask(lumas(slides)).any()


def test_where_an_inset_was_it_is_known_again_though_less_of_it_moves() -> None:
    def quieter(frame: np.ndarray, i: int) -> None:
        rng = np.random.default_rng(3000 + i)
        frame[100:164, 240:304] = 120
        frame[104:136, 248:280] = rng.integers(60, 200, (4, 4)).repeat(8, 0).repeat(8, 1)
        if i % 6 == 0:
            frame[136:160, 248:280] = rng.integers(60, 200, (3, 4)).repeat(8, 0).repeat(8, 1)

    assert not Beside().mask(lumas(quieter))[104:136, 248:280].all()
    beside = Beside()
    beside.mask(lumas(talking_head))
    assert beside.mask(lumas(quieter))[104:136, 248:280].all()
    assert not beside.mask(lumas()).any()


def test_a_video_may_go_on_in_another_size() -> None:
    beside = Beside()
    assert beside.mask([luma[::2, ::2] for luma in lumas(talking_head)]).shape == (90, 160)
    assert beside.mask(lumas(talking_head))[104:160, 244:300].all()
