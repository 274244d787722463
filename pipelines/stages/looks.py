"""One cursor, which looks otherwise on another ground: its appearances, and the best match of any of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipelines.stages.appearance import STANDS_OUT, Appearance
from pipelines.stages.candidates import Candidate


@dataclass(frozen=True, slots=True)
class Match:
    """A place that shows the cursor: its hot spot, pixels of the finer luma, and how well (1 perfect)."""

    score: float
    x: float
    y: float


class Looks:
    """One cursor as it appears on different backgrounds: of a white line with dark edges each shows another part."""

    def __init__(self) -> None:
        self.appearances: list[Appearance] = []

    @property
    def size(self) -> int:
        """Its longer edge, pixels of the finer luma; 0 while nothing is known."""
        return max((max(a.shape) for a in self.appearances), default=0)

    def resembles(self, other: "Looks") -> bool:
        """Whether both are of one cursor: of one size, and nothing more is known here."""
        mine, others = self.appearances, other.appearances
        if not mine or not others:
            return not mine and not others
        return len(mine) <= len(others) and all(any(a.resembles(b) and a.agrees(b) for b in others) for a in mine)

    def point(self, dx: float, dy: float) -> None:
        """Moves the hot spot by so many pixels."""
        self.appearances = [replace(a, hot=(a.hot[0] + dx, a.hot[1] + dy)) for a in self.appearances]

    def part(self, x: float, y: float) -> tuple[slice, slice]:
        """Rows and columns that the cursor covers with its hot spot at (x, y)."""
        first = self.appearances[0]
        (height, width), left, top = first.shape, round(x - first.hot[0]), round(y - first.hot[1])
        return slice(max(0, top - 2), top + height + 2), slice(max(0, left - 2), left + width + 2)

    def at(
        self,
        luma: np.ndarray,
        background: np.ndarray | None,
        x: float,
        y: float,
        slack: int,
        stands_out: float = STANDS_OUT,
    ) -> Match | None:
        """The best match with the hot spot within `slack` of (x, y)."""
        return _best(
            (a, a.match(luma, background, round(x - a.hot[0]), round(y - a.hot[1]), slack, stands_out))
            for a in self.appearances
        )

    def of(self, c: Candidate, luma: np.ndarray, background: np.ndarray) -> Match | None:
        """The best match around a component."""
        places = ((a, a.place(c)) for a in self.appearances)
        return _best((a, a.match(luma, background, *place)) for a, place in places if place is not None)

    def find(self, luma: np.ndarray, quiet: np.ndarray) -> Match | None:
        """The one place in a whole picture that holds the cursor, if it is unmistakable."""
        found = ((a, a.find(luma, quiet)) for a in self.appearances)
        return _best((a, place) for a, place in found if place is not None)

    def find_both(self, one: np.ndarray, other: np.ndarray) -> Match | None:
        """The one place that holds the cursor in two pictures which are not alike around it: either would say it alone."""

        def both() -> Iterator[tuple[Appearance, tuple[float, int, int]]]:
            for a in self.appearances:
                place = a.find_both(one, other)
                if place is not None:
                    first, second = (a.match(p, None, *place, 1) for p in (one, other))
                    if min(first, second)[0] >= 0:
                        yield a, (1 - (1 - first[0]) * (1 - second[0]), *min(first, second)[1:])

        return _best(both())


def _best(found: Iterable[tuple[Appearance, tuple[float, int, int]]]) -> Match | None:
    """The best score, if any is one: scores below 0 are none."""
    best: Match | None = None
    for a, (score, x, y) in found:
        if score >= 0 and (best is None or score > best.score):
            best = Match(score, x + a.hot[0], y + a.hot[1])
    return best
