"""Where a net that knows cursors sees none in what was learned: the letters of captions may recur more often than a cursor.

Then the looks are learned from those components alone that the net is sure of.
"""

from collections.abc import Collection, Iterator

from pipelines.stages.candidates import Candidate, Seen
from pipelines.stages.hot_spot_seen import offsets, same
from pipelines.stages.looks import Looks
from pipelines.stages.recogniser import Recogniser
from pipelines.stages.windows import Part, Window

_HARDLY = 0.2
"""If the net sees a cursor, on one side, at no larger share of the places where it was found, what was learned is none."""
_SURE, _SMALLER, _LARGER, _NEAR_PX = 0.7, 0.6, 1.5, 4.0
"""Likelihood of a component to be a cursor, shares of its longer edge that the net may see, and how far beside it."""
_SAME_CELL_PX = 4
"""A component that is there again, so exactly, is not asked about again."""


def is_none(net: Recogniser, looks: Looks, parts: Collection[Part]) -> bool:
    """Whether what was learned and followed is hardly ever a cursor."""
    found = offsets(net, looks, parts)
    return int(same(found).sum()) <= _HARDLY * len(found)


def known(net: Recogniser, parts: Collection[Part]) -> list[Seen]:
    """The components of the kept samples that the net is sure of, each where it was first seen."""
    asked: set[tuple[int, ...]] = set()
    seen: list[Seen] = []
    for part in parts:
        window = part.window
        assert window is not None
        for number in range(window.count):
            new = [c for c in window.found[number] if _cell(c) not in asked]
            asked.update(map(_cell, new))
            seen += _sure(net, window, number, new) if new else ()
    return seen


def _cell(c: Candidate) -> tuple[int, ...]:
    return tuple(v // _SAME_CELL_PX for v in (c.x, c.y, c.width, c.height))


def _sure(net: Recogniser, window: Window, number: int, candidates: Collection[Candidate]) -> Iterator[Seen]:
    luma = window.luma(number)
    for c in candidates:
        edge = max(c.width, c.height)
        (here,) = net.near([luma], c.x + c.width / 2, c.y + c.height / 2, edge / 2 + _NEAR_PX)
        if here.likelihood >= _SURE and _SMALLER * edge <= here.size <= _LARGER * edge:
            cut = Seen.cut(window.times[number], c, luma, window.background)
            if cut is not None:
                yield cut
