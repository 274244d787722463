"""A cursor that lies still, or only trembles, recognised by a net that knows cursors (`actors.cursor_net`).

The way a cursor goes shows how large it is and how it looks; the net says where something like a cursor lies in a picture
that does not change. Both together are asked: a net alone would find cursors among letters and glints.
"""

from collections.abc import Collection, Iterator

import numpy as np

from pipelines.stages.candidates import SPEED_SHARE
from pipelines.stages.follow import Spot
from pipelines.stages.hot_spot_seen import point
from pipelines.stages.looks import Looks
from pipelines.stages.recogniser import Likely, Recogniser
from pipelines.stages.windows import Part, Window, elsewhere, stays

_LEAST, _ALONE, _TOGETHER = 0.15, 0.7, 0.6
"""Likelihoods: worth a look; sure without another witness; and of the net and the learned looks together. On films of
seeds 101 to 105 lasers were missed at 0.75 and 0.7, and at 0.5 two films got false places."""
_SMALLER, _LARGER, _SLACK_PX = 2.4, 1.7, 1.0
"""Shares by which the net's size may differ from that of the learned looks: of a disc with an arrow it may mean the arrow,
and one on the move looks larger (at 1.2 a 35 px arrow of seed 105 was lost there)."""
_ANY_LOOKS = 0.95
"""Where the net sees one, it need not stand out much from its surroundings."""
_SLACK_LOOKS_PX = 3
_AS_LIKELY = 0.25
"""Share of its likelihood at which a place still shows it."""
_PART_PX, _STIRS_PX = 4.0, 8.0
"""How far the net's places waver where nothing moves, and how far a cursor stirs that lies."""
_FOLLOWED, _STEP_PX, _STEP_S = 0.15, 12.0, 0.65
"""From a sample to the next it is followed so far, within so many seconds, if the net is so sure."""
_LEAPT, _LEAP_PX, _LEAP_S, _MARGIN_PX = 0.5, 160.0, 0.3, 48
"""As far as a hand is fast, but no further and later than this, if the net is so sure (where an inset moves: sure alone) and
sees nothing there in the resting picture. So much more is shown to it."""
_STAY_S, _UNSEEN, _ASKED = 1.0, 0.05, 9
"""Where it is thought to lie so long and the net sees it no likelier, asked so often, it does not lie. On films of seeds 101
to 105 right stays had 0.25 and more, wrong ones 0.01 at most."""
_FEW, _AGAIN_S = 3, 0.5
"""Where more moves than that it is an inset; what was met is met again after so long."""
_STRETCH_S, _PIECE_S = 0.8, 4.0
"""A stretch in which it was not found is looked at once if it lasts so long, and again after so long."""


def recognise(net: Recogniser, looks: Looks, parts: Collection[Part]) -> None:
    """Adds to the parts of a video, in time order, the samples in which the net sees its cursor.

    `looks` is what was learned of it: of a video in which no cursor was seen to move, none is looked for.
    """
    if not looks.appearances:
        return
    point(net, looks, parts)
    _take_back(net, parts)
    _follow(net, looks, parts)
    for part in parts:
        window = part.window
        assert window is not None
        looked = part.hardly
        if looked:
            _lie(net, looks, part, window.background, parts)
        for luma in _unseen(part):
            if not (looked and np.array_equal(luma, window.background)):
                _lie(net, looks, part, luma, parts)
    _follow(net, looks, parts)
    met = [_met(net, looks, part) for part in parts]
    if any(met):
        for part, spots in zip(parts, met, strict=True):
            part.lie(spots)
        _follow(net, looks, parts)


def _take_back(net: Recogniser, parts: Collection[Part]) -> None:
    """Takes back where it is thought to lie and the net sees none, if the net knows it where it moves."""
    lying: list[tuple[Part, np.ndarray]] = []
    going: list[tuple[Part, np.ndarray]] = []
    for part in parts:
        for stay in stays(part.numbers):
            (lying if stay[-1, 0] - stay[0, 0] >= _STAY_S else going).append((part, stay))
    some = going[:: max(1, len(going) // _ASKED)]
    if not some or float(np.median([_seen(net, part, stay) for part, stay in some])) < _LEAST:
        return
    for part, stay in lying:
        if _seen(net, part, stay) < _UNSEEN:
            part.numbers = part.numbers[~np.isin(part.numbers[:, 0], stay[:, 0])]


def _seen(net: Recogniser, part: Part, stay: np.ndarray) -> float:
    """How likely it mostly is there, by some of the samples."""
    window = part.window
    assert window is not None
    times_s = stay[:: max(1, len(stay) // _ASKED), 0]
    shown = (window.luma(int(i)) for i in np.searchsorted(window.times, times_s))
    x, y = stay[0, 1:3].tolist()
    return float(np.median([n.likelihood for n in net.near(shown, x, y, _STIRS_PX)]))


def _fits(looks: Looks, size: float) -> bool:
    return looks.size / _SMALLER - _SLACK_PX <= size <= _LARGER * looks.size + _SLACK_PX


def _unseen(part: Part) -> Iterator[np.ndarray]:
    """From the middle of each stretch in which it was not found, a sample; what is found meanwhile is taken into account."""
    window = part.window
    assert window is not None
    numbers = np.array([i for i in range(window.count) if window.times[i] not in part.numbers[:, 0]], int)
    times = np.array(window.times)[numbers]
    for piece in np.split(numbers, _ends(times)):
        first_s, middle_s, last_s = (window.times[piece[i]] for i in (0, len(piece) // 2, -1)) if len(piece) else (0.0,) * 3
        if last_s - first_s >= _STRETCH_S and middle_s not in part.numbers[:, 0]:
            yield window.luma(int(piece[len(piece) // 2]))


def _ends(times: np.ndarray) -> np.ndarray:
    """Where a stretch of samples is interrupted or has lasted long enough."""
    found, since_s = [], times[0] if len(times) else 0.0
    for i in range(1, len(times)):
        if times[i] - times[i - 1] > _STEP_S or times[i] - since_s > _PIECE_S:
            found.append(i)
            since_s = times[i]
    return np.array(found, int)


def _lie(net: Recogniser, looks: Looks, part: Part, luma: np.ndarray, parts: Collection[Part]) -> None:
    """Adds the likeliest place of a picture of the part that is no part of the picture."""
    window = part.window
    assert window is not None
    for likely in net.places(luma, _LEAST):
        if not _fits(looks, likely.size):
            continue
        match = looks.at(luma, None, likely.x, likely.y, _SLACK_LOOKS_PX, _ANY_LOOKS)
        together = 1 - (1 - likely.likelihood) * (1 - (match.score if match else 0.0))
        sure = likely.likelihood >= _ALONE or (together >= _TOGETHER and window.quiet[_inside(likely, luma)] > 0)
        if sure and not _of_the_picture(net, likely, looks, parts):
            part.lie(_shown(net, likely, together, part))
            return


def _inside(likely: Likely, luma: np.ndarray) -> tuple[int, int]:
    """Row and column of the pixel, the nearest one of the picture."""
    height, width = luma.shape
    return min(max(int(likely.y), 0), height - 1), min(max(int(likely.x), 0), width - 1)


def _of_the_picture(net: Recogniser, likely: Likely, looks: Looks, parts: Collection[Part]) -> bool:
    """Whether the net sees it there too while the cursor is mostly somewhere else."""
    least = _AS_LIKELY * likely.likelihood
    return any(net.near([window.background], likely.x, likely.y, _PART_PX)[0].likelihood >= least
               for window in elsewhere(parts, likely.x, likely.y, looks.size))  # fmt: skip


def _shown(net: Recogniser, likely: Likely, sure: float, part: Part) -> list[Spot]:
    """The window's own samples that show it there, where it was not found yet."""
    window = part.window
    assert window is not None
    numbers = [i for i in range(window.count) if window.times[i] not in part.numbers[:, 0]]
    places = net.near((window.luma(i) for i in numbers), likely.x, likely.y, _STIRS_PX)
    return [Spot(window.times[i], p.x, p.y, sure) for i, p in zip(numbers, places, strict=True)
            if p.likelihood >= _AS_LIKELY * likely.likelihood]  # fmt: skip


def _follow(net: Recogniser, looks: Looks, parts: Collection[Part]) -> None:
    """From each sample in which it is known to the next, forward and backward."""
    for way in (1, -1):
        last: Spot | None = None
        for part in list(parts)[::way]:
            window = part.window
            assert window is not None
            known, added = {s.time_s: s for s in part.spots}, []
            for i in range(window.count)[::way]:
                time_s = window.times[i]
                if time_s in known:
                    last = known[time_s]
                elif last is not None and abs(time_s - last.time_s) <= _STEP_S:
                    near = _next(net, looks, window, i, last)
                    if near is not None:
                        last = Spot(time_s, near.x, near.y, near.likelihood)
                        added.append(last)
            if added:
                part.lie(added)


def _met(net: Recogniser, looks: Looks, part: Part) -> list[Spot]:
    """Where something of a cursor's size moves, the net is sure that it is one, and the resting picture has nothing like it:
    of samples in which it was not found."""
    window = part.window
    assert window is not None
    met: list[Spot] = []
    for i in range(window.count):
        time_s, moving = window.times[i], window.found[i]
        again = met and time_s - met[-1].time_s < _AGAIN_S  # it is followed from there
        if again or not 0 < len(moving) <= _FEW or time_s in part.numbers[:, 0]:
            continue
        luma = window.luma(i)
        for c in moving:
            (here,) = net.near([luma], c.x + c.width / 2, c.y + c.height / 2, max(c.width, c.height) / 2 + _PART_PX)
            if here.likelihood >= _ALONE and _fits(looks, here.size) and _new(net, window, here):
                met.append(Spot(time_s, here.x, here.y, here.likelihood))
                break
    return met


def _new(net: Recogniser, window: Window, likely: Likely) -> bool:
    """Whether the resting picture has nothing like it there."""
    (before,) = net.near([window.background], likely.x, likely.y, _PART_PX)
    return before.likelihood < _AS_LIKELY * likely.likelihood


def _next(net: Recogniser, looks: Looks, window: Window, number: int, last: Spot) -> Likely | None:
    """Where it is a sample later: near to where it was, or further on where the resting picture has nothing like it."""
    luma = window.luma(number)
    (near,) = net.near([luma], last.x, last.y, _STEP_PX)
    if near.likelihood >= _FOLLOWED and _fits(looks, near.size):
        return near
    step_s = abs(window.times[number] - last.time_s)
    reach = min(_LEAP_PX, SPEED_SHARE * luma.shape[1] * step_s)
    for far in _around(net, luma, last, reach) if step_s <= _LEAP_S else ():
        sure = far.likelihood >= (_LEAPT if window.quiet[_inside(far, luma)] else _ALONE)
        if sure and _fits(looks, far.size) and np.hypot(far.x - last.x, far.y - last.y) <= reach and _new(net, window, far):
            return far
    return None


def _around(net: Recogniser, luma: np.ndarray, last: Spot, reach: float) -> Iterator[Likely]:
    """The places in the part of the picture that lies within `reach`, likeliest first."""
    left, top = (max(0, int(at - reach - _MARGIN_PX)) for at in (last.x, last.y))
    right, bottom = (int(at + reach + _MARGIN_PX) for at in (last.x, last.y))
    for near in net.places(np.ascontiguousarray(luma[top:bottom, left:right]), _LEAPT):
        yield Likely(near.likelihood, near.x + left, near.y + top, near.size)
