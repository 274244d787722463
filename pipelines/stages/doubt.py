"""What the whole video makes doubtful of a trace: a small cursor that was never seen to move to or from a place."""

from collections.abc import Sequence

import numpy as np

from pipelines.stages.appearance import Looks
from pipelines.stages.candidates import SPEED_SHARE, STEP_S
from pipelines.stages.follow import Spot, near_any
from pipelines.stages.trace import CursorTracer

_MANY_PX = 48
"""A cursor of fewer pixels looks like much that is part of a picture: on seeds 101 to 103 the false resting places were of
cursors of at most 32 pixels, with scores of 0.5 to 0.7; true ones of larger cursors scored no better."""
_SURE_UNMOVED = 0.75
"""The score of a small cursor that is only seen to rest."""


def drop_doubtful(looks: Looks, tracers: Sequence[CursorTracer]) -> None:
    """Takes doubtful spots out of the traces of a video's rests, which are given in time order."""
    width = max((tracer.shape[1] for tracer in tracers if tracer.shape), default=0)
    doubted = set(doubtful(looks, [spot for tracer in tracers for spot in tracer.spots], width))
    for part in (part for tracer in tracers for part in tracer.parts):
        part.spots = [spot for spot in part.spots if spot not in doubted]


def doubtful(looks: Looks, spots: Sequence[Spot], width: int) -> list[Spot]:
    """Of a whole video's spots, in time order, those of a small cursor at places that it was not seen to come to or to
    leave, and where it was hardly recognised. `width` of the luma that they are given on, pixels."""
    if min((a.mask.sum() for a in looks.appearances), default=0) >= _MANY_PX:
        return []
    stays: list[list[Spot]] = []
    for spot in spots:
        if stays and near_any(spot, stays[-1][:1]):
            stays[-1].append(spot)
        else:
            stays.append([spot])
    doubted: list[Spot] = []
    for before, stay, after in zip([[], *stays], stays, [*stays[1:], []], strict=False):
        moved = any(a and b and _may_go(a[-1], b[0], width) for a, b in ((before, stay), (stay, after)))
        if not moved and float(np.mean([s.score for s in stay])) < _SURE_UNMOVED:
            doubted += stay
    return doubted


def _may_go(a: Spot, b: Spot, width: int) -> bool:
    step_s = b.time_s - a.time_s
    return step_s <= STEP_S and float(np.hypot(a.x - b.x, a.y - b.y)) <= SPEED_SHARE * width * max(0.1, step_s)
