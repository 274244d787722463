"""What the rest of a video makes doubtful of a trace: a small cursor that was never seen to move to or from a place."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from pipelines.stages.candidates import SPEED_SHARE, STEP_S
from pipelines.stages.follow import Spot, near_any
from pipelines.stages.looks import Looks
from pipelines.stages.windows import Part

_MANY_PX = 48
"""A cursor of fewer pixels looks like much that is part of a picture: on seeds 101 to 103 the false resting places were of
cursors of at most 32 pixels, with scores of 0.5 to 0.7; true ones of larger cursors scored no better."""
_SURE_UNMOVED = 0.75
"""The score of a small cursor that is only seen to rest."""


@dataclass(slots=True)
class _Stay:
    """Successive spots at one place; `begin` is the first one's number."""

    first: Spot
    last: Spot
    begin: int
    scores: list[float]

    @property
    def end(self) -> int:
        return self.begin + len(self.scores)


def drop_doubtful(looks: Looks, parts: Collection[Part], width: int, before: Spot | None = None) -> None:
    """Takes doubtful spots out of the parts of a video, which are in time order, see `doubtful`."""
    ends = np.cumsum([0, *(len(part.numbers) for part in parts)])
    kept = np.ones(ends[-1], bool)
    for doubted in doubtful(looks, (spot for part in parts for spot in part.spots), width, before):
        kept[doubted.start : doubted.stop] = False
    for part, begin, end in zip(parts, ends[:-1], ends[1:], strict=True):
        part.numbers = part.numbers[kept[begin:end]]


def doubtful(looks: Looks, spots: Iterable[Spot], width: int, came_from: Spot | None = None) -> list[range]:
    """Of spots in time order, which are of a small cursor at places that it was not seen to come to or to leave, and where
    it was hardly recognised. `width` of the luma that they are given on, pixels; `came_from` is where it was before them."""
    if min((a.mask.sum() for a in looks.appearances), default=0) >= _MANY_PX:
        return []
    stays: list[_Stay] = []
    for number, spot in enumerate(spots):
        if stays and near_any(spot, [stays[-1].first]):
            stays[-1].last = spot
            stays[-1].scores.append(spot.score)
        else:
            stays.append(_Stay(spot, spot, number, [spot.score]))
    doubted = []
    for before, stay, after in zip([None, *stays], stays, [*stays[1:], None], strict=False):
        since = before.last if before is not None else came_from
        came = since is not None and _may_go(since, stay.first, width)
        left = after is not None and _may_go(stay.last, after.first, width)
        if not came and not left and float(np.mean(stay.scores)) < _SURE_UNMOVED:
            doubted.append(range(stay.begin, stay.end))
    return doubted


def _may_go(a: Spot, b: Spot, width: int) -> bool:
    step_s = b.time_s - a.time_s
    return step_s <= STEP_S and float(np.hypot(a.x - b.x, a.y - b.y)) <= SPEED_SHARE * width * max(0.1, step_s)
