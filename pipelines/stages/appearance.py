"""What a cursor looks like: learned from what moved across the picture without changing, recognised where it rests.

What is seen at its pixels is its own, or for a marker's disc partly the background's. A white line with dark edges shows
another part of itself on a bright picture than on a dark one, so one cursor may have several appearances.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.stages.candidates import MARGIN_PX, MIN_AREA_PX, Candidate, Seen, soft
from pipelines.stages.hot_spot import hot_spot

_EVIDENCE = 0.25
"""By so much a sample must match better than its background, which has no cursor there."""
STANDS_OUT = 0.7
"""A place holds a resting cursor if it is this much more like the cursor than like its surroundings."""
_FAINT = 6.0
"""Grey levels: what stands out less is noise, whatever it is like."""
_LEAST_TO_FIND_PX, _UNMISTAKABLE, _UNMISTAKABLE_IN_BUSY, _SECOND = 16, 0.58, 0.75, 0.72
"""A cursor of so many pixels may be found anywhere, if it fits so well (better still where captions come and go), and so
much better than the next best place."""
_DIFFERS = 12.0
"""Mean grey levels by which two pictures differ around a place: else what is there may be part of both."""
_CONSTANT, _CHANGES = 10.0, 2.5
"""Grey levels that a pixel may waver, and how many times as much its background must, to be the cursor's own."""
_EXPLAINED = 0.6
"""A sighting that matches so well teaches nothing new."""
_LEAST_THROUGH = 0.35
"""Less of the background comes through the smooth edge of an arrow too."""
_VARIED = 25.0
"""Variance of the background, below which nothing can be said of what shows through: taken for opaque."""
MIN_ENERGY, MIN_SPREAD = 200.0, 20.0
"""What is fainter is noise."""
_EXEMPLARS = 24
_OWN = 0.4
"""A pixel that wavers more than this share of its strength from place to place is the background's, not the cursor's."""
_SLACK_PX = 6
_NEARLY, _SIZE_SLACK_PX = 1.15, 2
"""The appearances of one cursor are of one size."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """The cursor: what is seen at its pixels is `own + through * background`. (h, w) float32."""

    own: np.ndarray
    seen: np.ndarray
    """What is seen there on most backgrounds."""
    mask: np.ndarray
    """1 at its own pixels, else 0."""
    through: float
    """How much of the background shows through: 0 for an arrow, 0.5 for a marker's disc, 1 for what only adds light."""
    spread: float
    """Of the pixels that must agree, grey levels: what a match is judged by."""
    hot: tuple[float, float]
    """The hot spot from its upper left corner, pixels."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), pixels."""
        height, width = self.own.shape
        return height, width

    @property
    def energy(self) -> float:
        """Its pixels times what they add, grey levels: noise has little of both."""
        return float(self.mask.sum()) * self.spread

    @staticmethod
    def learn(examples: Sequence[Seen]) -> "Appearance | None":
        """From sightings in different places; None where nothing is common to them."""
        chosen = examples[:: max(1, len(examples) // _EXEMPLARS)]
        width = round(float(np.median([s.candidate.width for s in chosen])))
        height = round(float(np.median([s.candidate.height for s in chosen])))
        first = min(chosen, key=lambda s: abs(s.candidate.width - width) + abs(s.candidate.height - height))
        rim = MARGIN_PX - 1  # a dark edge that does not show on a dark background is just outside the component
        guide = (first.luma - first.behind)[rim:-rim, rim:-rim]
        shown, behind = [], []
        for seen in sorted(chosen, key=lambda s: s is not first):
            cut = _aligned(seen, guide)
            if cut is not None:
                shown.append(seen.luma[cut])
                behind.append(seen.behind[cut])
                guide = np.median(np.stack(shown) - np.stack(behind), axis=0).astype(np.float32)
        luma, back = np.stack(shown), np.stack(behind)
        strength = np.median(np.abs(luma - back), axis=0)
        strong = strength > 0.3 * float(np.percentile(strength, 95))
        if strong.sum() < MIN_AREA_PX:
            return None
        through = _through(luma[:, strong], back[:, strong])
        parts = luma - through * back
        own = np.median(parts, axis=0).astype(np.float32)
        wavers = np.median(np.abs(parts - own), axis=0)
        kept = strong & (wavers < _OWN * np.maximum(strength, 1.0))
        if kept.sum() < max(MIN_AREA_PX, 0.4 * strong.sum()):
            kept = strong
        if through == 0.0:  # what stays the same while the background changes is the cursor's, however little it differs
            changes = np.median(np.abs(back - np.median(back, axis=0)), axis=0)
            kept |= (wavers < _CONSTANT) & (changes > _CHANGES * np.maximum(wavers, 2.0))
        mask = kept.astype(np.float32)
        added = (luma - back)[:, mask > 0]
        spread = float(np.sqrt((added**2).mean()))
        seen_there = np.median(luma, axis=0).astype(np.float32)
        return Appearance(own, seen_there, mask, through, max(12.0, spread), hot_spot(strength, mask))

    def match(
        self, luma: np.ndarray, background: np.ndarray | None, x: int, y: int, slack: int, stands_out: float = STANDS_OUT
    ) -> tuple[float, int, int]:
        """How well the picture shows the cursor with its corner within `slack` of (x, y): score (1 perfect), x, y.

        With a background, the picture must show it better than the background does: what stands still is no cursor. Without
        one, it must be more like the cursor than like its surroundings. Otherwise the score is -1.
        """
        height, width = self.shape
        x0, y0 = max(0, x - slack), max(0, y - slack)
        part = (slice(y0, y0 + height + 2 * slack), slice(x0, x0 + width + 2 * slack))
        shown = luma[part]
        if shown.shape[0] < height or shown.shape[1] < width:
            return -1.0, x, y
        patch = shown.astype(np.float32)
        behind = np.full_like(patch, _ground(patch)) if background is None else background[part].astype(np.float32)
        best = (-1.0, x, y)
        for own, through in ((self.own, self.through), (self.seen, 0.0)):
            off, dx, dy = self._fit(patch - through * behind, own)
            place = (slice(dy, dy + height), slice(dx, dx + width))
            stands = self._flat(patch[place])
            if background is None:
                holds = stands >= _FAINT and off <= stands_out * stands
            else:
                holds = self._off((1 - through) * behind[place], own) - off >= _EVIDENCE * self.spread
                holds = holds and (through > 0 or max(off, _FAINT) <= stands)  # a bare bright place is no cursor
            if holds:
                best = max(best, (1 - off / self.spread, x0 + dx, y0 + dy))
        return best

    def _fit(self, shown: np.ndarray, own: np.ndarray) -> tuple[float, int, int]:
        """Root mean square difference over the mask where it is least, grey levels, and the place."""
        import cv2

        squares = cv2.matchTemplate(shown, own, cv2.TM_SQDIFF, mask=self.mask)
        least, _, (dx, dy), _ = cv2.minMaxLoc(squares)
        return float(np.sqrt(max(0.0, least) / self.mask.sum())), dx, dy

    def _off(self, shown: np.ndarray, own: np.ndarray) -> float:
        return float(np.sqrt(((shown - own)[self.mask > 0] ** 2).mean()))

    def _flat(self, shown: np.ndarray) -> float:
        """How far the cursor's pixels stand out from those around them, grey levels."""
        inside = self.mask > 0
        level = float(np.median(shown[~inside])) if (~inside).any() else float(np.median(shown))
        return float(np.sqrt(((shown[inside] - level) ** 2).mean()))

    def find(self, luma: np.ndarray, quiet: np.ndarray) -> tuple[float, int, int] | None:
        """The one place in a whole picture that holds the cursor, if it is unmistakable: score, x, y."""
        import cv2

        if self.mask.sum() < _LEAST_TO_FIND_PX:
            return None
        height, width = self.shape
        squares = cv2.matchTemplate(luma.astype(np.float32), self.seen, cv2.TM_SQDIFF, mask=self.mask)
        least, _, (x, y), _ = cv2.minMaxLoc(squares)
        busy = bool((quiet[y : y + height, x : x + width] == 0).any())
        squares[max(0, y - height) : y + height, max(0, x - width) : x + width] = np.inf
        second = float(squares.min())
        score, x, y = self.match(luma, None, x, y, 1)
        least_score = _UNMISTAKABLE_IN_BUSY if busy else _UNMISTAKABLE
        return (score, x, y) if score >= least_score and least < _SECOND * second else None

    def find_both(self, one: np.ndarray, other: np.ndarray) -> tuple[int, int] | None:
        """The one place that holds the cursor in two pictures which are not alike around it: x, y."""
        import cv2

        if self.mask.sum() < _LEAST_TO_FIND_PX or one.shape != other.shape:
            return None
        height, width = self.shape
        squares = np.maximum(*(cv2.matchTemplate(p.astype(np.float32), self.seen, cv2.TM_SQDIFF, mask=self.mask)
                               for p in (one, other)))  # fmt: skip
        around = cv2.blur(cv2.absdiff(one, other).astype(np.float32), (3 * width, 3 * height))
        top, left = height // 2, width // 2
        same = around[top : top + squares.shape[0], left : left + squares.shape[1]] < _DIFFERS
        squares[same] = np.inf
        least, _, (x, y), _ = cv2.minMaxLoc(squares)
        squares[max(0, y - height) : y + height, max(0, x - width) : x + width] = np.inf
        return (x, y) if least < _SECOND * float(squares.min()) else None

    def resembles(self, other: "Appearance") -> bool:
        """Whether both may be one cursor, by size."""
        return all(abs(p - q) <= _SIZE_SLACK_PX or max(p, q) <= _NEARLY * min(p, q)
                   for p, q in zip(self.shape, other.shape, strict=True))  # fmt: skip

    def agrees(self, other: "Appearance") -> bool:
        """Whether both look alike: so much that either would be recognised by the other."""
        import cv2

        shown = cv2.copyMakeBorder(other.seen, 4, 4, 4, 4, cv2.BORDER_REPLICATE)
        if shown.shape[0] < self.shape[0] or shown.shape[1] < self.shape[1]:
            return False
        return 1 - self._fit(shown, self.seen)[0] / self.spread >= _EXPLAINED

    def explains(self, seen: Seen) -> bool:
        """Whether a sighting looks like this already."""
        margin = MARGIN_PX
        score, *_ = self.match(seen.luma, seen.behind, margin, margin, margin)
        return score >= _EXPLAINED

    def beside(self, first: "Appearance") -> "Appearance":
        """The same cursor on another background: its hot spot is where the first appearance's is."""
        (height, width), (h, w) = self.shape, first.shape
        return replace(self, hot=(first.hot[0] * width / w, first.hot[1] * height / h))

    def place(self, c: Candidate) -> tuple[int, int, int] | None:
        """Where the cursor may be if the component is it or a part of it: x, y, slack; None where it is another thing's."""
        height, width = self.shape
        if max(c.height, 4) < 0.5 * height or max(c.width, 4) < 0.5 * width or c.height > 2 * height or c.width > 2 * width:
            return None
        slack = max(abs(c.height - height), abs(c.width - width)) // 2 + _SLACK_PX
        return c.x + (c.width - width) // 2, c.y + (c.height - height) // 2, slack


def _ground(patch: np.ndarray) -> float:
    """What the cursor lies on, where nothing else is known of it: a marker's disc fills nearly all of its patch."""
    return float(np.median(np.concatenate([patch[0], patch[-1], patch[1:-1, 0], patch[1:-1, -1]])))


def _through(luma: np.ndarray, behind: np.ndarray) -> float:
    """The share of the background in what is seen, by least squares over places, pixel by pixel; (n, pixels) each."""
    varies = behind - behind.mean(axis=0)
    power = float((varies**2).sum())
    if power < _VARIED * behind.size:
        return 0.0
    share = float(np.clip((varies * (luma - luma.mean(axis=0))).sum() / power, 0.0, 1.0))
    return share if share >= _LEAST_THROUGH else 0.0


def _aligned(seen: Seen, guide: np.ndarray) -> tuple[slice, slice] | None:
    """Where in the sighting's patch the guide fits best; None where the patch is smaller."""
    import cv2

    patch = seen.luma - seen.behind
    if any(p < g for p, g in zip(patch.shape, guide.shape, strict=True)):
        return None
    _, _, (x, y), _ = cv2.minMaxLoc(cv2.matchTemplate(soft(patch), soft(guide), cv2.TM_SQDIFF))
    return slice(y, y + guide.shape[0]), slice(x, x + guide.shape[1])
