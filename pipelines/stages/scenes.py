"""What changes as the frames stream by: scene cuts, frames that show something new, insets that never stop.

A score detector cuts still domains, an adaptive one moving domains, as in MedicalNarratives (section 7) and PySceneDetect
(ContentDetector, AdaptiveDetector), but on reduced luma instead of HSV: the change between two frames is the mean
absolute difference of their luma, in grey levels. Added here: a cut must last (a flash is none), and a fade or dissolve
between two resting pictures is one cut, in its middle.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.config import LookSettings
from pipelines.job import Sample
from pipelines.media import to_jpeg

LASTING_S = 0.3
"""A cut is confirmed if the picture is still another one after this time; a camera flash is over by then."""
_STATIC_RATIO = 2.0
"""Steps of a fade, or of scrolling through slices, are like their neighbours."""
_SMALL_WIDTH, _FADE_WIDTH = 160, 64
_FADE_STEP_S = 0.1
_FADE_REST = 0.8
"""Mean change per step below which a picture rests: a cursor makes 0.1 to 0.3, a one-second fade 3 and more."""
_FADE_MAX_STEPS = 30
_BLOCK_PX = 8
_COVERS, _SHOWS, _CHANGED = 0.5, 2.0, 6.0
"""A cut changes this share of the blocks that show anything: deviation from their neighbourhood, change, grey levels."""
_FADE_RESIDUAL = 0.2
"""A fade's middle is a mix of its ends up to this share of their difference; a pan's middle is none (0.5 and more)."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One frame's change from the frame before, whose small luma is `before`."""

    time_s: float
    score: float
    before: np.ndarray


class SceneDetector:
    """Feed every decoded frame in order; cuts come out at most `lag_s` later (fades: when the picture rests again)."""

    def __init__(self, *, static: bool, settings: LookSettings) -> None:
        self._static, self._settings = static, settings
        self._floor = settings.static_threshold if static else settings.adaptive_min_content
        self._half_s = settings.adaptive_window_s / 2
        self.lag_s = max(LASTING_S, self._half_s)
        self._steps: deque[_Step] = deque()
        self._pending: deque[_Step] = deque()
        self._judged_s = -np.inf
        self._last_cut_s = -np.inf
        self._luma: np.ndarray | None = None
        self._small: np.ndarray | None = None
        self._fades = _FadeFinder(self._floor)

    def feed(self, time_s: float, luma: np.ndarray) -> tuple[float, ...]:
        """Takes the frame shown from `time_s`, luma (h, w) uint8; returns the cuts that it confirmed.

        A cut's time is the presentation time of the first frame of the new scene.
        """
        import cv2

        height, width = luma.shape
        small = cv2.resize(luma, (_SMALL_WIDTH, max(1, round(_SMALL_WIDTH * height / width))), interpolation=cv2.INTER_AREA)
        if self._luma is None or self._luma.shape != luma.shape:
            started = self._luma is None
            self._steps.clear()
            self._pending.clear()
            self._luma, self._small, self._fades = luma, small, _FadeFinder(self._floor)
            if started:
                self._last_cut_s = time_s
                return ()
            return self._accept(time_s)  # another picture size: another scene
        score = float(cv2.mean(cv2.absdiff(luma, self._luma))[0])
        assert self._small is not None
        self._pending.append(_Step(time_s, score, self._small))
        self._steps.append(self._pending[-1])
        self._luma, self._small = luma, small
        cuts = self._judge(time_s - self.lag_s)
        faded_s = self._fades.feed(time_s, small)
        return cuts + (self._accept(faded_s) if faded_s is not None else ())

    def finish(self) -> tuple[float, ...]:
        """The cuts of the last moments."""
        return self._judge(np.inf)

    def _judge(self, until_s: float) -> tuple[float, ...]:
        cuts: tuple[float, ...] = ()
        while self._pending and self._pending[0].time_s <= until_s:
            step = self._pending.popleft()
            self._judged_s = step.time_s
            if step.score >= self._floor and self._stands_out(step) and self._lasts(step):
                cuts += self._accept(step.time_s)
        while self._steps and self._steps[0].time_s < self._judged_s - 2 * self.lag_s:
            self._steps.popleft()
        return cuts

    def _stands_out(self, step: _Step) -> bool:
        reach_s, ratio = (LASTING_S, _STATIC_RATIO) if self._static else (self._half_s, self._settings.adaptive_ratio)
        near = [s.score for s in self._steps if s is not step and abs(s.time_s - step.time_s) <= reach_s]
        return not near or step.score >= ratio * sum(near) / len(near)

    def _lasts(self, step: _Step) -> bool:
        assert self._small is not None
        after = next((s.before for s in self._steps if s.time_s > step.time_s + LASTING_S), self._small)
        earlier = [s.before for s in self._steps if step.time_s - LASTING_S <= s.time_s <= step.time_s]
        lasts = min(mean_difference(before, after) for before in earlier) >= self._floor / 2
        return lasts and changed_share(step.before, after) >= _COVERS

    def _accept(self, time_s: float) -> tuple[float, ...]:
        if time_s - self._last_cut_s < self._settings.min_scene_s:
            return ()
        self._last_cut_s = time_s
        return (time_s,)


class _FadeFinder:
    """Finds a resting picture that turns into another one by mixing: both ends rest, the middle is a sum of them."""

    def __init__(self, floor: float) -> None:
        self._floor = floor
        self._anchor: np.ndarray | None = None
        self._last: np.ndarray | None = None
        self._between: list[tuple[float, np.ndarray]] = []
        self._next_s = -np.inf

    def feed(self, time_s: float, small: np.ndarray) -> float | None:
        """The time of the fade's middle, once it is over."""
        if time_s < self._next_s:
            return None
        self._next_s = time_s + _FADE_STEP_S - 0.005
        small = _narrow(small, _FADE_WIDTH)  # averages noise away
        last, self._last = self._last, small
        if last is None:
            return None
        if mean_difference(last, small) >= _FADE_REST:
            if len(self._between) < _FADE_MAX_STEPS:
                self._between.append((time_s, small))
            else:
                self._anchor = None
            return None
        anchor, between = self._anchor, self._between
        self._anchor, self._between = small, []
        if anchor is None or len(between) < 3:
            return None
        return self._middle(anchor, small, between)

    def _middle(self, first: np.ndarray, last: np.ndarray, between: list[tuple[float, np.ndarray]]) -> float | None:
        apart = mean_difference(first, last)
        if apart < self._floor:
            return None
        time_s, middle = between[len(between) // 2]
        ends = np.stack([first.ravel(), last.ravel(), np.ones(first.size)], axis=1).astype(np.float64)
        weights, *_ = np.linalg.lstsq(ends, middle.ravel().astype(np.float64), rcond=None)
        residual = float(np.abs(ends @ weights - middle.ravel()).mean())
        mixes = min(mean_difference(middle, first), mean_difference(middle, last)) >= 0.1 * apart
        return time_s if mixes and residual < _FADE_RESIDUAL * apart else None


def changed_share(before: np.ndarray, after: np.ndarray) -> float:
    """Of the blocks that show anything in either picture (h, w), the share that shows something else: 0 to 1.

    A new slide changes all that stands on it; a line that is added, an inset's cut or a caption only their own blocks.
    """
    import cv2

    size = (-(-before.shape[1] // _BLOCK_PX), -(-before.shape[0] // _BLOCK_PX))

    def blocks(values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))

    shows = [blocks(cv2.absdiff(picture, cv2.blur(picture, (9, 9)))) > _SHOWS for picture in (before, after)]
    either = shows[0] | shows[1]
    changed = blocks(cv2.absdiff(before, after)) > _CHANGED
    return float((changed & either).sum() / max(1, either.sum()))


def _narrow(luma: np.ndarray, width: int) -> np.ndarray:
    import cv2

    height = max(1, round(width * luma.shape[0] / luma.shape[1]))
    return np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA))


def mean_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference of two luma pictures of one shape, grey levels."""
    import cv2

    return float(cv2.mean(cv2.absdiff(a, b))[0])


class FrameSampler:
    """One frame per interval for the classifier, its longest edge 256 px at most, none where it would show the same again;
    bounded by `max_frames`, and kept as JPEG: six hundred pictures would be 70 MB."""

    _EDGE_PX = 256
    _WIDTH = 96
    _SAME = 1.5
    """Mean change of the luma at `_WIDTH`, grey levels, up to which the former frame's answer holds."""

    def __init__(self, settings: LookSettings) -> None:
        self._interval_s, self._max_frames = settings.frame_interval_s, settings.max_frames
        self._next_s = -np.inf
        self._last: np.ndarray | None = None
        self._frames: list[tuple[float, bytes]] = []

    def feed(self, time_s: float, luma: np.ndarray, rgb: Callable[[], np.ndarray]) -> None:
        """Takes a frame; asks for its full size only if it is due and new."""
        if time_s < self._next_s - 0.005:
            return
        self._next_s = time_s + self._interval_s
        small = _narrow(luma, self._WIDTH)
        last = self._last
        if last is not None and last.shape == small.shape and mean_difference(last, small) < self._SAME:
            return
        self._last = small
        self._frames.append((time_s, to_jpeg(self._reduced(rgb()))))
        if len(self._frames) > self._max_frames:
            self._thin()

    def finish(self, end_s: float) -> tuple[Sample, ...]:
        """All sampled frames; each stands until the next, the last until `end_s`."""
        until = [t for t, _ in self._frames[1:]] + [end_s]
        return tuple(Sample(time_s=t, until_s=u, jpeg=jpeg) for (t, jpeg), u in zip(self._frames, until, strict=False))

    def _reduced(self, rgb: np.ndarray) -> np.ndarray:
        import cv2

        height, width = rgb.shape[:2]
        scale = min(1.0, self._EDGE_PX / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))

    def _thin(self) -> None:
        """Doubles the interval: of the frames that stood shorter than that, every other one goes; then of all."""
        self._interval_s *= 2
        kept = self._frames[:1]
        for frame, following in zip(self._frames[1:], [*self._frames[2:], (np.inf, None)], strict=True):
            if frame[0] - kept[-1][0] >= self._interval_s - 0.01 or following[0] - frame[0] >= self._interval_s - 0.01:
                kept.append(frame)
        self._frames = kept if len(kept) <= self._max_frames else kept[::2]
