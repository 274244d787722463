"""The cursor's path over a rest: where the picture differs from the temporal median and looks like the cursor.

MedicalNarratives (3.2.5): B = median of the stable chunk's frames, R_t = |F_t - B|, values under a noise threshold and
in face boxes zeroed, cursor = arg-max of R_t. That gives a point whatever happens, and loses a cursor that rests until
it is part of the median. Here the difference only proposes places; the cursor's learned appearance decides,
also where the cursor stayed and nothing differs any more, and in the pictures before it first moved.
"""

import itertools
from collections import deque
from collections.abc import Iterator

import numpy as np

from pipelines.schema import CursorState, Trace, TracePoint
from pipelines.stages.candidates import candidates, sightings, unit
from pipelines.stages.follow import Spot, limits
from pipelines.stages.pointer import Pointer, traced
from pipelines.stages.stable import temporal_median
from pipelines.stages.windows import Part, Window

_BACKGROUND_SAMPLES = 31
_NEAR_S, _STIRS = 0.25, 1.0


class CursorTracer:
    """Feed the samples of one rest in order; the trace follows half a window behind, so memory is bounded."""

    def __init__(self, pointer: Pointer, *, window_s: float) -> None:
        self.pointer, self._window_s = pointer, window_s
        self._samples: deque[tuple[float, np.ndarray, np.ndarray]] = deque()
        self._background: np.ndarray | None = None
        self.parts: list[Part] = []
        self.shape: tuple[int, ...] = ()

    @property
    def spots(self) -> Iterator[Spot]:
        """Where the cursor was, as far as is known by now."""
        return itertools.chain.from_iterable(part.spots for part in self.parts)

    def add(self, time_s: float, luma: np.ndarray, fine: np.ndarray) -> None:
        """Takes one sample: reduced luma (h, w) uint8, and the finer one on which the cursor is placed."""
        self._samples.append((time_s, luma, fine))
        self.shape = fine.shape
        if time_s - self._samples[0][0] >= self._window_s:
            half_s = self._samples[0][0] + self._window_s / 2
            self._trace(sum(t < half_s for t, *_ in self._samples))

    def finish(self) -> None:
        """The rest is over: its last samples are traced."""
        if self._samples:
            self._trace(len(self._samples))
        self._background = None  # the tracers of all rests are kept to the end

    def trace(self, *, scale_x: float, scale_y: float) -> Trace:
        """The cursor's path in pixels of the full picture, which is `scale_x`, `scale_y` times the finer luma."""
        return Trace(
            TracePoint(
                time_s=s.time_s,
                x=round(s.x * scale_x, 2),
                y=round(s.y * scale_y, 2),
                confidence=round(min(1.0, max(0.0, s.score)), 3),
                state=CursorState.MOVING if moving else CursorState.RESTING,
            )
            for s, moving in zip(self.spots, self._moving(), strict=True)
        )

    def _moving(self) -> np.ndarray:
        """Of each spot whether those just before or after lie further away than a match wavers."""
        if not self.parts:
            return np.zeros(0, bool)
        at = np.concatenate([part.numbers for part in self.parts])
        away = np.zeros(len(at))
        for step in (1, 2):
            seconds, x, y, _ = (at[step:] - at[:-step]).T
            far = np.where((seconds > 0) & (seconds <= _NEAR_S), np.hypot(x, y), 0.0)
            away[step:] = np.maximum(away[step:], far)
            away[:-step] = np.maximum(away[:-step], far)
        return away > _STIRS * unit(self.shape[1])

    @property
    def cursor_size(self) -> int:
        """Its longer edge, pixels of the finer luma; 0 if none is known."""
        return self.pointer.looks.size

    def _quiet(self, lumas: list[np.ndarray]) -> np.ndarray:
        """255 where a cursor is to be looked for, at the size of the finer luma."""
        import cv2

        mask = np.where(self.pointer.beside.mask(lumas), 0, 255).astype(np.uint8)
        return np.asarray(cv2.resize(mask, self.shape[::-1], interpolation=cv2.INTER_NEAREST))

    def _trace(self, count: int) -> None:
        """Traces the first `count` samples, with the background of all that are held, and drops them."""
        times = [t for t, *_ in self._samples]
        lumas = [fine for *_, fine in self._samples]
        quiet = self._quiet([luma for _, luma, _ in self._samples])
        chosen = lumas[:: max(1, len(lumas) // _BACKGROUND_SAMPLES)]
        background = temporal_median(chosen)
        limit = limits(chosen, background)
        pointer = self.pointer
        found = [candidates(luma, background, limit, quiet) for luma in lumas]
        pointer.see(sightings(times, lumas, background, found))
        window = Window.of(times, count, lumas, background, limit, quiet, found)
        spots = traced(pointer.looks, window, lumas, pointer.last, self._background)
        part = Part(window, spots, first=self._background is None)
        pointer.last = part.spots[-1] if part.spots else pointer.last
        self.parts.append(part)
        pointer.add(part)
        self._background = background
        for _ in range(count):
            self._samples.popleft()
