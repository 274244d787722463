"""What is known of a video's cursor: how it looks, and the windows that are looked at again when more is known of it.

Where it moved it is followed (`traced`). Where it lay still nothing differs, and it is looked for again once the video has
shown more of it (`Pointer.settle`): where it went on from, where nothing else is like it, by its outline, in two pictures.
"""

import itertools
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from pipelines.stages import outline
from pipelines.stages.appearance import MIN_ENERGY, MIN_SPREAD, Appearance
from pipelines.stages.beside import Beside
from pipelines.stages.candidates import Seen, candidates_again, merged, recurring
from pipelines.stages.doubt import drop_doubtful
from pipelines.stages.follow import FOUND, Spot, cleaned, follow, near_any
from pipelines.stages.looks import Looks, Match
from pipelines.stages.recognised import recognise
from pipelines.stages.recogniser import Recogniser
from pipelines.stages.relearned import is_none, known
from pipelines.stages.windows import SAME_PX, Part, Window, elsewhere

_SIGHTINGS, _MOST_APPEARANCES = 192, 4
"""Sightings that are kept (thinned evenly when more come), and how many appearances one cursor may have."""
_UNEXPLAINED = 48
"""Among the latest so many something new is looked for at once."""
_COVERED = 0.9
"""A window in which it was seen for this share of the samples need not be looked at again."""
_CLEANINGS, _PROBE_SLACK = 3, 0.1
_SAME_PLACE = 0.95
"""Where it was a moment later, it need not stand out much from its surroundings."""
_MAX_WINDOWS, _BACK_PX = 16, 12
"""So many windows can be looked at again; so far, pixels, it may have gone before it was first recognised."""
_IN_BOTH = 0.75
"""How sure two pictures together must be."""
_SURER = 0.1
"""A place from which it goes on is taken for another one where it only lies, if it is not so much less like the cursor."""


@dataclass(slots=True)
class Pointer:
    """What is known of the video's cursor: its looks, and where it was last. Shared by the video's rests."""

    net: Recogniser | None = None
    looks: Looks = field(default_factory=Looks)
    last: Spot | None = None
    left: Spot | None = None
    """Where it was when the windows that are kept began."""
    sightings: list[Seen] = field(default_factory=list)
    """Of the whole video, thinned evenly."""
    unexplained: list[Seen] = field(default_factory=list)
    """The latest that nothing known looks like."""
    beside: Beside = field(default_factory=Beside)
    parts: deque[Part] = field(default_factory=deque)
    """Those whose windows are kept, in time order."""

    def see(self, seen: list[Seen]) -> None:
        """Take in new sightings: they may show it as it was not known yet."""
        since_s = self.sightings[-1].time_s if self.sightings else -np.inf
        self.sightings += sorted((s for s in seen if s.time_s > since_s), key=lambda s: s.time_s)
        while len(self.sightings) > _SIGHTINGS:
            self.sightings = self.sightings[::2]
        known = self.looks.appearances
        if len(known) == _MOST_APPEARANCES:
            return
        new = [s for s in seen if not any(a.explains(s) for a in known)]
        self.unexplained = [*self.unexplained, *new][-_UNEXPLAINED:]
        if new and _learned(self.looks, self.unexplained):
            self.unexplained = []

    def add(self, part: Part) -> None:
        """Keeps a window; where there are too many, the older half is looked at for the last time."""
        self.parts.append(part)
        if len(self.parts) > _MAX_WINDOWS:
            self.settle()
            for _ in range(_MAX_WINDOWS // 2):
                part = self.parts.popleft()
                part.window, self.left = None, part.spots[-1] if part.spots else self.left

    def settle(self) -> None:
        """Looks at the kept windows again with all that is known by now: forward, then back from where it was recognised.

        If the net sees no cursor in what was learned, that is learned again first.
        """
        looks = learned(self.sightings)
        kept = looks.resembles(self.looks)
        if not kept:
            self.looks = looks
        self._trace_again(kept=kept)
        if self.net is not None and self.looks.appearances and is_none(self.net, self.looks, self.parts):
            looks = learned(known(self.net, self.parts))
            if looks.appearances:
                self.looks = looks
                self._trace_again(kept=False)
        following: Spot | None = None
        for part in reversed(self.parts):
            if following is not None:
                part.lie(self._parked(part, following))
            following = part.spots[0] if part.believed else following
        self._left_lying()
        self._still()
        if self.net is not None and self.parts:
            drop_doubtful(self.looks, self.parts, self._width, self.left)  # else what is doubtful keeps the net from looking
            recognise(self.net, self.looks, self.parts)
        self.last = next((part.spots[-1] for part in reversed(self.parts) if len(part.numbers)), self.left)

    def _trace_again(self, *, kept: bool) -> None:
        """Follows it through the kept windows; if its looks were `kept`, where it was hardly seen."""
        last: Spot | None = self.left
        before: np.ndarray | None = None
        for part in self.parts:
            window = part.window
            assert window is not None
            if not kept or len(part.spots) < _COVERED * window.count:
                part.spots = traced(self.looks, window, window.lumas(), last, None if part.first else before)
            last, before = (part.spots[-1] if part.spots else last), window.background

    @property
    def _width(self) -> int:
        window = self.parts[0].window
        assert window is not None
        return int(window.background.shape[1])

    def _parked(self, part: Part, following: Spot) -> list[Spot]:
        """Where it may have rested before it was recognised at `following`; empty to leave what was found."""
        window, place = part.window, (following.x, following.y)
        assert window is not None
        elsewhere = part.lies and not near_any(part.spots[0], [following], _BACK_PX)
        if not (part.hardly or elsewhere):
            return []
        found = self.looks.at(window.background, None, *place, 1, _SAME_PLACE)
        if found is None or found.score < FOUND:
            found = self.looks.at(window.background, None, *place, _BACK_PX)
        if elsewhere and found is not None and found.score < float(part.numbers[:, 3].mean()) - _SURER:
            return []
        if not elsewhere and (found is None or found.score < FOUND):
            found = self.looks.find(window.background, window.quiet)
        if found is None or found.score < FOUND:
            return []
        spots = self._resting(window, found)
        return spots if not elsewhere or len(spots) >= _COVERED * len(part.numbers) else []

    def _resting(self, window: Window, found: Match) -> list[Spot]:
        """The window's own samples that show it there."""
        spots = []
        for time_s, luma in window.own():
            match = self.looks.at(luma, None, found.x, found.y, 1, _SAME_PLACE)
            if match is not None and match.score >= FOUND - _PROBE_SLACK:
                spots.append(Spot.of(time_s, found))
        return spots

    def _left_lying(self) -> None:
        """Where it lies in two pictures, one after the other, and was not found in either."""
        for one, other in itertools.pairwise(self.parts):
            windows = one.window, other.window
            assert windows[0] is not None
            assert windows[1] is not None
            if other.first and one.hardly and other.hardly:
                found = self.looks.find_both(windows[0].background, windows[1].background)
                if found is not None and found.score >= _IN_BOTH and not self._elsewhere(found.x, found.y):
                    one.lie(self._resting(windows[0], found))
                    other.lie(self._resting(windows[1], found))

    def _still(self) -> None:
        """Where it may lie through whole windows on a ground on which it looks otherwise: by its outline."""
        for parts, nearest in ((iter(self.parts), -1), (reversed(self.parts), 0)):
            near: Spot | None = None
            for part in parts:
                window = part.window
                assert window is not None
                if part.hardly:
                    lying = self._lying(window, near)
                    if len(lying) > window.count / 2:
                        part.lie(lying)
                elif part.lies:
                    self._confirm(part, window)
                if part.believed:
                    near = part.spots[nearest]

    def _lying(self, window: Window, near: Spot | None) -> list[Spot]:
        """The cursor by its outline, near to where it was before or is next, or where nothing else is like it."""
        thing = None
        if near is not None:
            thing = outline.expected(self.looks, window.background, window.quiet, (near.x, near.y), _BACK_PX)
        if thing is None:
            thing = outline.unmistakable(self.looks, window.background, window.quiet)
        if thing is None or self._elsewhere(thing.x, thing.y):
            return []
        return [Spot(time_s, thing.x, thing.y, thing.likeness) for time_s, luma in window.own()
                if thing.shown_in(luma, window.background)]  # fmt: skip

    def _confirm(self, part: Part, window: Window) -> None:
        """A place where it only rests is surer if its outline is there too, and none if that is part of the pictures."""
        x, y = part.numbers[0, 1:3].tolist()
        thing = outline.expected(self.looks, window.background, window.quiet, (x, y), SAME_PX)
        if thing is None:
            return
        if self._elsewhere(thing.x, thing.y):
            part.spots = []
        else:
            part.numbers[:, 3] = np.maximum(part.numbers[:, 3], thing.likeness)

    def _elsewhere(self, x: float, y: float) -> bool:
        """Whether its outline is there while the cursor itself is mostly somewhere else."""
        return any(outline.expected(self.looks, window.background, window.quiet, (x, y), SAME_PX)
                   for window in elsewhere(self.parts, x, y, self.looks.size))  # fmt: skip


def learned(seen: list[Seen]) -> Looks:
    """The looks of what recurs among the sightings of a whole video."""
    looks = Looks()
    while len(looks.appearances) < _MOST_APPEARANCES and (taught := _learned(looks, seen)):
        taught_by = {id(s) for s in taught}
        seen = [s for s in seen if id(s) not in taught_by and not looks.appearances[-1].explains(s)]
    return looks


def _learned(looks: Looks, seen: list[Seen]) -> list[Seen]:
    """Adds one appearance of what recurs among the sightings; those that taught it, none if there was nothing new."""
    known, taught = looks.appearances, recurring(seen)
    found = Appearance.learn(taught) if taught else None
    if found is None or found.energy < MIN_ENERGY or found.spread < MIN_SPREAD:
        return []
    if known and not found.resembles(known[0]):
        return []
    known.append(found.beside(known[0]) if known else found)
    return taught


def traced(
    looks: Looks, window: Window, lumas: list[np.ndarray], last: Spot | None, before: np.ndarray | None
) -> list[Spot]:
    """Where the cursor is in the window's own samples: `last` before it, `before` is the background before it."""
    if not looks.appearances:
        return []
    background, times = window.background.copy(), list(window.times)
    found = [list(f) for f in window.found]
    for _ in range(_CLEANINGS):
        parts = cleaned(looks, lumas, background, found, before)
        if not parts:
            break
        parts = merged(parts)
        found = [candidates_again(f, luma, background, window.limit, window.quiet, parts)
                 for f, luma in zip(found, lumas, strict=True)]  # fmt: skip
    spots = follow(looks, times, lumas, background, found, last)
    if not spots:
        parked = looks.find(background, window.quiet)
        if parked:
            spots = follow(looks, times, lumas, background, found, Spot.of(times[0], parked))
    return [s for s in spots if s.time_s < times[window.count - 1] + 1e-6]
