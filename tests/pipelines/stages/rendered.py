"""Lectures drawn frame by frame, whose truth is known, and the whole pass over them."""

import functools
from collections.abc import Callable, Iterator

import numpy as np
from skimage import data

from pipelines.config import LookSettings
from pipelines.stages.look import LookResult, Still, look

HEIGHT, WIDTH, FPS = 270, 480, 10
SETTINGS = LookSettings(analysis_width_px=240)
Render = Callable[[float], np.ndarray]


class Rendered:
    """A frame that counts how often its costly full size is asked for."""

    full_size = 0

    def __init__(self, time_s: float, rgb: np.ndarray) -> None:
        self.time_s, self._rgb = time_s, rgb
        self.height, self.width = rgb.shape[:2]

    def halved_luma(self, max_width: int) -> np.ndarray:
        import cv2

        assert max_width >= self.width
        return cv2.cvtColor(self._rgb, cv2.COLOR_RGB2GRAY)

    def pointer_luma(self, max_width: int) -> np.ndarray:
        return self.halved_luma(max_width)

    def rgb(self) -> np.ndarray:
        Rendered.full_size += 1
        return self._rgb


@functools.cache
def picture(name: str) -> np.ndarray:
    import cv2

    source = getattr(data, name)()
    return cv2.resize(source[: source.shape[1] * 9 // 16], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def with_cursor(image: np.ndarray, x: float, y: float) -> np.ndarray:
    shown = image.copy()
    shown[round(y) : round(y) + 14, round(x) : round(x) + 9] = 0
    shown[round(y) + 1 : round(y) + 13, round(x) + 1 : round(x) + 8] = 255
    return shown


def cursor_at(time_s: float) -> tuple[float, float]:
    return 220 + 140 * np.sin(time_s * 1.1), 130 + 70 * np.sin(time_s * 0.7)


def pan(time_s: float) -> np.ndarray:
    wide = np.tile(picture("immunohistochemistry"), (1, 3, 1))
    x = int(50 * time_s) % WIDTH
    return np.ascontiguousarray(wide[:, x : x + WIDTH])


def run(
    render: Render,
    seconds: float,
    *,
    static: bool = False,
    settings: LookSettings = SETTINGS,
    times: list[float] | None = None,
    until_s: float = 0.0,
) -> tuple[LookResult, dict[str, Still]]:
    stills: dict[str, Still] = {}

    def keep(still: Still) -> str:
        return stills.setdefault(f"image-{len(stills)}", still) and f"image-{len(stills) - 1}"

    def pictures() -> Iterator[Rendered]:
        noise = np.random.default_rng(0).integers(-3, 4, (7, HEIGHT, WIDTH, 1), dtype=np.int16)
        for i, time_s in enumerate(times if times is not None else np.arange(0, seconds, 1 / FPS)):
            yield Rendered(float(time_s), np.clip(render(time_s) + noise[i % 7], 0, 255).astype(np.uint8))

    return look(pictures(), static=static, settings=settings, keep=keep, until_s=until_s), stills


def lecture(time_s: float) -> np.ndarray:
    name = "retina" if 10 <= time_s < 20 else "immunohistochemistry"
    return with_cursor(picture(name), *cursor_at(time_s))
