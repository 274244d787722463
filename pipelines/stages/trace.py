"""The cursor's path over a rest: where the picture differs from the temporal median and looks like the cursor.

MedicalNarratives (3.2.5): B = median of the stable chunk's frames, R_t = |F_t - B|, values under a noise threshold and
in face boxes zeroed, cursor = arg-max of R_t. That gives a point whatever happens, and loses a cursor that rests until
it is part of the median. Here the difference only proposes places; the cursor's learned appearance decides,
also where the cursor stayed and nothing differs any more, and in the pictures before it first moved.
"""

import itertools
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from pipelines.schema import CursorState, TracePoint
from pipelines.stages.appearance import MIN_ENERGY, MIN_SPREAD, Appearance, Looks
from pipelines.stages.beside import beside_mask
from pipelines.stages.candidates import (
    MIN_STRENGTH,
    Candidate,
    Seen,
    alike,
    arrived,
    candidates,
    recurring,
    same_size,
    strength,
)
from pipelines.stages.follow import FOUND, Spot, cleaned, follow, limits
from pipelines.stages.stable import temporal_median

_BACKGROUND_SAMPLES = 31
_SPEED_SHARE = 1.25
"""Of the picture's width per second: a fast hand."""
_STEP_S = 0.65
"""Samples further apart are no pair."""
_MOVED_SHARE = 0.25
"""Of its size: less is its edge wavering."""
_SIGHTINGS, _LEAST, _MOST_APPEARANCES = 48, 4, 4
"""Sightings that are kept, samples that teach an appearance at least, and how many appearances one cursor may have."""
_CLEANINGS = 3
_PROBE_S, _PROBE_SLACK = 1.0, 0.1
"""Of what is unresolved, one sample a second is kept, to see later whether the cursor was there all the while."""
_SAME_PLACE = 0.95
"""Where it was a moment later, it need not stand out much from its surroundings."""
_MAX_UNRESOLVED, _BACK_PX = 12, 12
"""When it was first recognised it may have gone so far already from where it rested before, pixels."""
_NEAR_S, _STIRS = 0.25, 1.0


@dataclass(frozen=True, slots=True)
class _Unresolved:
    """Samples in which nothing was recognised: one background for all of them."""

    rest: "CursorTracer"
    times: tuple[float, ...]
    background: np.ndarray
    quiet: np.ndarray
    probes: tuple[tuple[float, bytes], ...]
    """Time and sample, compressed."""

    @staticmethod
    def of(rest: "CursorTracer", times: list[float], lumas: list[np.ndarray], background: np.ndarray,
           quiet: np.ndarray) -> "_Unresolved":  # fmt: skip
        """The first samples of a window, as many as there are `times`."""
        probes: list[tuple[float, bytes]] = []
        for time_s, luma in zip(times, lumas, strict=False):
            if not probes or time_s - probes[-1][0] >= _PROBE_S:
                probes.append((time_s, to_png(luma)))
        return _Unresolved(rest, tuple(times), background, quiet, tuple(probes))

    def shown(self, looks: Looks, spot: Spot) -> list[Spot]:
        """The samples whose nearest probe shows the cursor at that spot."""
        matches = [looks.at(from_png(data), None, spot.x, spot.y, 1, _SAME_PLACE) for _, data in self.probes]
        there = [m is not None and m.score >= FOUND - _PROBE_SLACK for m in matches]
        at = np.array([t for t, _ in self.probes])
        return [replace(spot, time_s=t) for t in self.times if there[int(np.abs(at - t).argmin())]]


@dataclass(slots=True)
class Pointer:
    """What is known of the video's cursor: its looks, and where it was last. Shared by the video's rests."""

    looks: Looks = field(default_factory=Looks)
    last: Spot | None = None
    sightings: list[Seen] = field(default_factory=list)
    unresolved: deque[_Unresolved] = field(default_factory=lambda: deque(maxlen=_MAX_UNRESOLVED))

    @property
    def learns(self) -> bool:
        """Whether further sightings can still teach something."""
        return len(self.looks.appearances) < _MOST_APPEARANCES

    def learn(self, seen: list[Seen]) -> None:
        """Take in new sightings: they may show it as it was not known yet."""
        known = self.looks.appearances
        self.sightings = [*self.sightings, *(s for s in seen if not any(a.explains(s) for a in known))][-_SIGHTINGS:]
        taught = recurring(self.sightings)
        if len({s.time_s for s in taught}) < _LEAST:
            return
        found = Appearance.learn(taught)
        if found is None or found.energy < MIN_ENERGY or found.spread < MIN_SPREAD:
            return
        if known and not found.resembles(known[0]):
            return
        known.append(found.beside(known[0]) if known else found)
        self.sightings = []

    def resolve(self, first: Spot) -> None:
        """Back in time from where it was recognised: earlier pictures may show it in the same place, resting."""
        while self.unresolved:
            earlier = self.unresolved.pop()
            found = None
            if earlier.background.shape == earlier.rest.shape:
                found = self.looks.at(earlier.background, None, first.x, first.y, 1, _SAME_PLACE)
                if found is None or found.score < FOUND:
                    found = self.looks.at(earlier.background, None, first.x, first.y, _BACK_PX)
                if found is None or found.score < FOUND:
                    found = self.looks.find(earlier.background, earlier.quiet)
            if found is not None and found.score >= FOUND:
                first = Spot.of(earlier.times[0], found)
                spots = [*earlier.shown(self.looks, first), *earlier.rest.spots]
                earlier.rest.spots = sorted(spots, key=lambda s: s.time_s)


class CursorTracer:
    """Feed the samples of one rest in order; the trace follows half a window behind, so memory is bounded."""

    def __init__(self, pointer: Pointer, *, window_s: float) -> None:
        self._pointer, self._window_s = pointer, window_s
        self._samples: deque[tuple[float, np.ndarray, np.ndarray]] = deque()
        self._background: np.ndarray | None = None
        self.spots: list[Spot] = []
        self.shape: tuple[int, ...] = ()

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

    def trace(self, *, scale_x: float, scale_y: float) -> tuple[TracePoint, ...]:
        """The cursor's path in pixels of the full picture, which is `scale_x`, `scale_y` times the finer luma."""
        states = _states(self.spots, _unit(self.shape[1])) if self.spots else []
        return tuple(
            TracePoint(
                time_s=s.time_s,
                x=round(s.x * scale_x, 2),
                y=round(s.y * scale_y, 2),
                confidence=round(min(1.0, max(0.0, s.score)), 3),
                state=state,
            )
            for s, state in zip(self.spots, states, strict=True)
        )

    @property
    def cursor_size(self) -> int:
        """Its longer edge, pixels of the finer luma; 0 if none is known."""
        return self._pointer.looks.size

    def _trace(self, count: int) -> None:
        """Traces the first `count` samples, with the background of all that are held, and drops them."""
        times = [t for t, *_ in self._samples]
        lumas = [fine for *_, fine in self._samples]
        quiet = _quiet([luma for _, luma, _ in self._samples], lumas[0].shape)
        chosen = lumas[:: max(1, len(lumas) // _BACKGROUND_SAMPLES)]
        background = temporal_median(chosen)
        limit = limits(chosen, background)
        pointer, looks = self._pointer, self._pointer.looks
        found = [candidates(luma, background, limit, quiet) for luma in lumas]
        if pointer.learns:
            pointer.learn(sightings(times, lumas, background, found))
        spots: list[Spot] = []
        if looks.appearances:
            for _ in range(_CLEANINGS):
                if not cleaned(looks, lumas, background, found, self._background):
                    break
                found = [candidates(luma, background, limit, quiet) for luma in lumas]
            spots = follow(looks, times, lumas, background, found, pointer.last)
            parked = None if spots else looks.find(background, quiet)
            if parked:
                spots = follow(looks, times, lumas, background, found, Spot.of(times[0], parked))
        if spots:
            pointer.resolve(spots[0])
            self.spots += [s for s in spots if s.time_s < times[count - 1] + 1e-6]
            pointer.last = self.spots[-1] if self.spots else pointer.last
        else:
            pointer.unresolved.append(_Unresolved.of(self, times[:count], lumas, background, quiet))
        self._background = background
        for _ in range(count):
            self._samples.popleft()


def to_png(luma: np.ndarray) -> bytes:
    """Lossless and quick."""
    import cv2

    return bytes(cv2.imencode(".png", luma, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def from_png(data: bytes) -> np.ndarray:
    """(h, w) uint8."""
    import cv2

    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))


def _unit(width: int) -> float:
    """What distances between samples are judged by: a 480th of the picture's width."""
    return width / 480


def _quiet(lumas: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """255 where a cursor is to be looked for, at the size of the finer luma."""
    import cv2

    mask = np.where(beside_mask(lumas), 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_NEAREST))


def sightings(
    times: list[float], lumas: list[np.ndarray], background: np.ndarray, found: list[list[Candidate]]
) -> list[Seen]:
    """What has moved from one sample to the next and looks alike in both."""
    unit = _unit(background.shape[1])
    seen: dict[tuple[int, Candidate], Seen] = {}
    for i in range(1, len(found)):
        step_s = times[i] - times[i - 1]
        reach = _SPEED_SHARE * background.shape[1] * max(0.1, step_s)
        strong = [[c for c in found[j] if c.alone and strength(c) >= MIN_STRENGTH] for j in (i, i - 1)]
        for b, a in itertools.product(*strong) if step_s <= _STEP_S else ():
            way = float(np.hypot(a.x - b.x, a.y - b.y))
            if not (max(unit, _MOVED_SHARE * min(b.width, b.height)) < way <= reach):
                continue
            if not (same_size(a, b) and arrived(b, lumas[i - 1], lumas[i], background)
                    and arrived(a, lumas[i], lumas[i - 1], background)):  # fmt: skip
                continue  # it stood there before: letters that look alike
            one, other = (Seen.cut(times[j], c, lumas[j], background) for j, c in ((i - 1, a), (i, b)))
            if one is not None and other is not None and alike(one, other):
                seen[i - 1, a], seen[i, b] = one, other
    return list(seen.values())


def _states(spots: list[Spot], unit: float) -> list[CursorState]:
    """Moving where the samples just before or after lie further away than a match wavers."""
    states = []
    for i, s in enumerate(spots):
        near = [n for n in spots[max(0, i - 2) : i + 3] if 0 < abs(n.time_s - s.time_s) <= _NEAR_S]
        away = max((float(np.hypot(n.x - s.x, n.y - s.y)) for n in near), default=0.0)
        states.append(CursorState.MOVING if away > _STIRS * unit else CursorState.RESTING)
    return states
