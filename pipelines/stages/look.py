"""The full pass over an accepted video: one decode gives scenes, rests, pictures, cursor traces and sampled frames.

Samples wait in a short queue until it is settled which rest they belong to; full-size pictures are taken rarely and by
even, doubling strides; so memory does not grow with the video's length.
"""

import bisect
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from pipelines import job
from pipelines.config import LookSettings
from pipelines.schema import StableInterval, Trace
from pipelines.stages.album import Album, Still
from pipelines.stages.doubt import drop_doubtful
from pipelines.stages.pointer import Pointer
from pipelines.stages.recogniser import Recogniser
from pipelines.stages.scenes import FrameSampler, SceneDetector
from pipelines.stages.stable import FrameStack, Rest, RestDetector, cursor_free
from pipelines.stages.stretches import Moving, OpenRest, Sample, reduced, sharpness
from pipelines.stages.trace import CursorTracer

__all__ = ["LookResult", "Picture", "Still", "look"]

_SNAP_S = 0.35
"""A rest that begins or ends this near to a cut begins or ends at the cut."""
_KEY_CANDIDATE_S = 2.0
_TRACED_S = 1.0
"""In a shorter rest what rests cannot be told from what moves."""
_HELD_STEP_S = 0.9
"""Between samples of a picture that is held; over 1 s apart (`pointing.max_gap_s`) they would be no stretch of a trace."""


class Picture(Protocol):
    """One decoded frame, upright, shown from `time_s` on; `width`, `height` of the full size."""

    time_s: float
    width: int
    height: int

    def halved_luma(self, max_width: int) -> np.ndarray:
        """(h, w) uint8, halved until it is at most `max_width` wide; cheap."""

    def pointer_luma(self, max_width: int) -> np.ndarray:
        """(h, w) uint8 of the same size, on which coloured cursors stand out too; a copy of its own."""

    def rgb(self) -> np.ndarray:
        """(height, width, 3) uint8, full size; costly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookResult:
    """What the full pass found, all in time order."""

    scene_cuts_s: tuple[float, ...]
    intervals: tuple[StableInterval, ...]
    frames: tuple[job.Sample, ...]


def look(
    pictures: Iterator[Picture],
    *,
    static: bool,
    settings: LookSettings,
    keep: Callable[[Still], str],
    net: Recogniser | None = None,
    until_s: float = 0.0,
) -> LookResult:
    """Scenes, rests, pictures, traces and sampled frames of one video, in one pass.

    Args:
        pictures: every frame in presentation order; each may be used until the one behind the next is asked for.
        static: whether the domain shows still pictures (score detector) or moving ones (adaptive detector).
        settings: as configured.
        keep: stores a still and returns its image id. It may get a few stills that no interval names in the end.
        net: knows cursors that lie still; without it only those are found that were seen to move.
        until_s: the video's end, where its sound outlasts its last frame: that frame is on show until then.
    """
    import cv2

    cv2.setNumThreads(1)
    run = _Run(static, settings, keep, net)
    for picture in pictures:
        run.feed(picture)
    return run.finish(until_s)


class _Run:
    def __init__(
        self, static: bool, settings: LookSettings, keep: Callable[[Still], str], net: Recogniser | None
    ) -> None:
        self._settings, self._net = settings, net
        self._scenes = SceneDetector(static=static, settings=settings)
        self._detector = RestDetector()
        self._frames = FrameSampler(settings)
        self._album = Album(max_images=settings.max_images, window_s=settings.window_s, keep=keep)
        self._cuts: list[float] = []
        self._pointers: list[Pointer] = []
        self._traced: list[tuple[float, CursorTracer, tuple[float, float]]] = []
        self._rests: deque[Rest] = deque()
        self._queue: deque[Sample] = deque()
        self._open: OpenRest | None = None
        self._moving = Moving(0.0)
        self._lag_s = max(RestDetector.LAG_S, self._scenes.lag_s + 0.05)
        self._next_sample_s = self._next_key_s = -np.inf
        self._taken = FrameStack()
        self._taken_for: float | None = None
        self._time_s, self._step_s = 0.0, 0.0
        self._pause_s = 1 / settings.sample_fps
        self._latest: tuple[Picture, np.ndarray, Callable[[], np.ndarray]] | None = None
        self._fine_shape: tuple[int, ...] | None = None

    def feed(self, picture: Picture) -> None:
        luma = reduced(picture.halved_luma(self._settings.trace_width_px), self._settings.analysis_width_px)
        time_s, pause_s = picture.time_s, self._pause_s
        cuts = self._scenes.feed(time_s, luma)
        if cuts:
            self._cuts = sorted([*self._cuts, *cuts])
            self._taken = FrameStack()
        self._hold(time_s)
        self._step_s, self._time_s = time_s - self._time_s, time_s
        full: list[np.ndarray] = []

        def rgb() -> np.ndarray:
            if not full:
                full.append(picture.rgb())
            return full[0]

        self._frames.feed(time_s, luma, rgb)
        if time_s >= self._next_sample_s - 0.005:
            self._next_sample_s = max(time_s, min(self._next_sample_s, time_s) + pause_s)
            self._next_sample_s = max(self._next_sample_s, time_s + pause_s / 2)
            self._sample(time_s, luma, picture.pointer_luma(self._settings.trace_width_px), rgb)
        self._latest = (picture, luma, rgb)

    def _hold(self, until_s: float) -> None:
        """A recording that has frames only where something changes: the last picture was on show all the while."""
        gap_s, pause_s = until_s - self._time_s, self._pause_s
        if self._latest is None or gap_s <= 2.5 * pause_s:
            return
        picture, luma, rgb = self._latest
        fine = picture.pointer_luma(self._settings.trace_width_px)
        step_s = max(pause_s, min(gap_s / 40, _HELD_STEP_S))
        for at in [*np.arange(self._time_s + pause_s, until_s - 1.5 * pause_s, step_s), until_s - pause_s]:
            self._sample(float(at), luma, fine, rgb)

    def _sample(self, time_s: float, luma: np.ndarray, fine: np.ndarray, rgb: Callable[[], np.ndarray]) -> None:
        ended = self._detector.feed(time_s, luma)
        if ended:
            self._rests.append(ended)
        pixels, focus = None, 0.0
        if self._wants(time_s):
            pixels, focus = rgb(), sharpness(luma)
        self._queue.append(Sample(time_s, luma, fine, pixels, focus))
        self._drain(time_s - self._lag_s)

    def _wants(self, time_s: float) -> bool:
        """Whether this sample's full size is needed: for a rest's median, or as a key frame."""
        since_s = self._detector.resting_since_s
        if since_s != self._taken_for:
            self._taken, self._taken_for = FrameStack(), since_s
        key = since_s is None and time_s >= self._next_key_s
        if key:
            self._next_key_s = time_s + _KEY_CANDIDATE_S
        if since_s is not None and self._taken.wants(time_s):
            self._taken.add(time_s, np.empty(0))
            return True
        return key

    def _drain(self, until_s: float) -> None:
        while self._queue and self._queue[0].time_s <= until_s:
            sample = self._queue.popleft()
            if sample.fine.shape != self._fine_shape:
                self._resized(sample)
            while self._rests and self._rests[0].end_s <= sample.time_s - 1e-6:
                self._close(self._rests.popleft().end_s)
            cut_s = self._cut_before(sample.time_s)
            if cut_s is not None:
                self._close(cut_s)
                self._stop_moving(cut_s)
            since_s = self._rests[0].start_s if self._rests else self._detector.resting_since_s
            if since_s is not None and sample.time_s >= since_s - 1e-6:
                if self._open is None:
                    self._open = OpenRest(max(since_s, self._moving.start_s), self._pointers[-1], self._settings)
                self._open.add(sample)
            else:
                self._moving.add(sample)
                if sample.time_s - self._moving.start_s >= self._album.key_spacing_s:
                    self._stop_moving(sample.time_s)

    def _resized(self, sample: Sample) -> None:
        """The film begins, or goes on in another size: what is known of the cursor is in pixels of the former."""
        self._close(sample.time_s)
        self._fine_shape = sample.fine.shape
        self._pointers.append(Pointer(self._net))

    def _cut_before(self, time_s: float) -> float | None:
        """The cut between the open stretch's beginning and `time_s`."""
        start_s = self._open.start_s if self._open else self._moving.start_s
        found = [c for c in self._cuts[bisect.bisect_right(self._cuts, start_s + 1e-6) :] if c <= time_s + 1e-6]
        return found[-1] if found else None

    def _close(self, end_s: float) -> None:
        rest, self._open = self._open, None
        if rest is None:
            return
        start_s, end_s = self._snapped(rest.start_s, after=False), self._snapped(end_s, after=True)
        if end_s - start_s >= min(_TRACED_S, self._settings.min_stable_s) and rest.frames.frames:
            rest.tracer.finish()
            self._traced.append((start_s, rest.tracer, rest.scale))
        if end_s - start_s < self._settings.min_stable_s or not rest.frames.frames:
            self._moving.join(rest.best)  # no picture of its own, but where the cursor was in it is known
            return
        self._stop_moving(start_s)
        self._add(rest, start_s, end_s)
        self._moving = Moving(end_s)

    def _add(self, rest: "OpenRest", start_s: float, end_s: float) -> None:
        scale, shape = rest.scale, rest.frames.frames[-1][1].shape
        frames = [(t, rgb) for t, rgb in rest.frames.frames if rgb.shape == shape]
        if self._album.has_room(end_s - start_s):
            path = [(p.time_s, p.x, p.y) for p in rest.tracer.trace(scale_x=scale[0], scale_y=scale[1])]
            rgb = cursor_free(frames, path, (rest.tracer.cursor_size + 3) * scale[0])
            self._album.add(Still(start_s=start_s, end_s=end_s, method="median", rgb=rgb))

    def _snapped(self, time_s: float, *, after: bool) -> float:
        low, high = (time_s - 1e-6, time_s + _SNAP_S) if after else (time_s - _SNAP_S, time_s + 1e-6)
        near = [c for c in self._cuts if low <= c <= high]
        return min(near, key=lambda c: abs(c - time_s)) if near else time_s

    def _stop_moving(self, end_s: float) -> None:
        moving, self._moving = self._moving, Moving(end_s)
        if moving.best and end_s - moving.start_s >= self._settings.min_stable_s:
            self._add_key_frame(moving.best, moving.start_s, end_s)

    def _add_key_frame(self, best: "Sample", start_s: float, end_s: float) -> None:
        assert best.rgb is not None
        if self._album.has_room_for_key_frame(start_s):
            self._album.add(Still(start_s=start_s, end_s=end_s, method="key_frame", rgb=best.rgb))

    def finish(self, until_s: float) -> LookResult:
        end_s = until_s if until_s > self._time_s else self._time_s + min(self._step_s, 2.5 * self._pause_s)
        self._cuts = sorted([*self._cuts, *self._scenes.finish()])
        self._hold(end_s)
        ended = self._detector.finish()
        if ended:
            self._rests.append(replace(ended, end_s=end_s))
        self._drain(np.inf)
        self._close(end_s)
        moving = self._moving
        self._stop_moving(end_s)
        if not self._album.intervals() and moving.best:
            self._add_key_frame(moving.best, moving.start_s, end_s)
        return LookResult(
            scene_cuts_s=tuple(self._cuts), intervals=self._with_traces(), frames=self._frames.finish(end_s)
        )

    def _with_traces(self) -> tuple[StableInterval, ...]:
        """Only now, because a cursor that moves late in the video shows where it rested before."""
        for pointer in self._pointers:
            pointer.settle()
            tracers = [tracer for _, tracer, _ in self._traced if tracer.pointer is pointer]
            parts = [part for tracer in tracers for part in tracer.parts]
            drop_doubtful(pointer.looks, parts, max((t.shape[1] for t in tracers if t.shape), default=0))
        traces = [(start_s, tracer.trace(scale_x=x, scale_y=y)) for start_s, tracer, (x, y) in self._traced]
        return tuple(
            replace(i, trace=Trace(p for start_s, trace in traces if i.start_s <= start_s < i.end_s for p in trace))
            for i in self._album.intervals()
        )
