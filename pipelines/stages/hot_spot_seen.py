"""A learned cursor's hot spot, corrected by a net that knows cursors (`pipelines.stages.recogniser`).

What moved may have been learned with its shadow, without an arm of the cross that a light ground hid, or as a piece of it.
"""

from collections.abc import Collection

import numpy as np

from pipelines.stages.looks import Looks
from pipelines.stages.recogniser import Recogniser
from pipelines.stages.windows import Part, stays

_ASKED, _LEAST, _FEW, _MOSTLY = 48, 0.5, 5, 0.6
"""So many places are asked about; so likely is one to be seen; and at least so many, this share of them, must agree."""
_REACH_PX, _SAME_PX, _OFF_PX = 32.0, 2.5, 1.5
"""How far from where it was learned the hot spot is sought, how far places that agree differ, and what is worth a change."""


def point(net: Recogniser, looks: Looks, parts: Collection[Part]) -> None:
    """Moves the hot spot of the looks, and with it every spot, to where the net sees it at most places."""
    found = offsets(net, looks, parts)
    agree = same(found)
    if agree.sum() < max(_FEW, _MOSTLY * len(found)):
        return
    off = np.median(found[agree], axis=0)
    if np.hypot(*off) < _OFF_PX:
        return
    looks.point(*off.tolist())
    for part in parts:
        part.numbers[:, 1:3] += off


def offsets(net: Recogniser, looks: Looks, parts: Collection[Part]) -> np.ndarray:
    """(n, 2) pixels from where it was found to where the net sees it, one sample a place; NaN where it does not."""
    places = [(part, stay[len(stay) // 2]) for part in parts for stay in stays(part.numbers)]
    found = []
    for part, (time_s, x, y, _) in places[:: max(1, -(-len(places) // _ASKED))]:
        window = part.window
        assert window is not None
        luma = window.luma(int(np.searchsorted(window.times, time_s)))
        (seen,) = net.near([luma], x, y, max(_REACH_PX, looks.size))
        found.append((seen.x - x, seen.y - y) if seen.likelihood >= _LEAST else (np.nan, np.nan))
    return np.array(found).reshape(-1, 2)


def same(found: np.ndarray) -> np.ndarray:
    """Which of the offsets (n, 2) agree with what most of those that were seen are, (n,) bool."""
    seen: np.ndarray = ~np.isnan(found[:, 0])
    if not seen.any():
        return seen
    away = np.linalg.norm(found - np.median(found[seen], axis=0), axis=1)
    agree: np.ndarray = away <= _SAME_PX  # false where it is not a number
    return agree
