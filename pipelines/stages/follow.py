"""Where the cursor is in each sample of a window, once its looks are known."""

from dataclasses import dataclass, replace

import numpy as np

from pipelines.stages.candidates import Candidate, Part, candidates
from pipelines.stages.looks import Looks, Match
from pipelines.stages.stable import temporal_median

_NOISE_FLOOR, _NOISE_FACTOR = 10.0, 4.0
"""A pixel may belong to the cursor if it differs from the background by floor + factor * its own median difference."""
SURE, FOUND = 0.45, 0.4
"""Scores: to find it again somewhere, and to see that it is still where it was."""
_FAR_COSTS, _STILL_COSTS = 0.2, 0.05
_LEAST_CLEAR = 3
_STRIKES, _SAME_SCORE = 4, 0.2
_SAME_ENERGY = 0.15
"""Of what the cursor adds to a place: a place that differs by less with and without it does not show it."""


@dataclass(frozen=True, slots=True)
class Spot:
    """The cursor in one sample: its hot spot in pixels of the finer luma, and how well it was recognised."""

    time_s: float
    x: float
    y: float
    score: float

    @staticmethod
    def of(time_s: float, match: Match) -> "Spot":
        """A match as a sample's spot."""
        return Spot(time_s, match.x, match.y, match.score)


def limits(chosen: list[np.ndarray], background: np.ndarray) -> np.ndarray:
    """How much a pixel must differ from the background to belong to the cursor, (h, w) uint8."""
    import cv2

    noise = temporal_median([cv2.absdiff(luma, background) for luma in chosen])
    wide = np.asarray(cv2.blur(noise.astype(np.float32), (5, 5)))
    return np.clip(_NOISE_FLOOR + _NOISE_FACTOR * wide, 0, 255).astype(np.uint8)


def cleaned(
    looks: Looks,
    lumas: list[np.ndarray],
    background: np.ndarray,
    found: list[list[Candidate]],
    before: np.ndarray | None,
) -> list[Part]:
    """Takes a cursor that rested until it was part of the median out of `background` again; where it was.

    There the samples without the cursor differ, and what the background has and they do not looks like the cursor. Where
    no sample of this window shows the place without it, the window `before` may.
    """
    places: dict[tuple[float, float], list[np.ndarray]] = {}
    for luma, components in zip(lumas, found, strict=True):
        for match in (looks.of(c, background, luma) for c in components):
            if match is not None and match.score >= SURE:
                key = next((k for k in places if max(abs(k[0] - match.x), abs(k[1] - match.y)) <= 3), (match.x, match.y))
                places.setdefault(key, []).append(luma)
    if before is not None and before.shape == background.shape:
        whole = np.full(background.shape, 255, np.uint8)
        for c in candidates(background, before, limits([background], background), whole):
            match = looks.of(c, background, before)
            if match is not None and match.score >= SURE:
                places.setdefault((match.x, match.y), [before])
    done: list[Part] = []
    for (x, y), clear in places.items():
        if len(clear) < _LEAST_CLEAR and clear[0] is not before:
            continue
        rows, columns = looks.part(x, y)
        background[rows, columns] = temporal_median([luma[rows, columns] for luma in clear[:: max(1, len(clear) // 15)]])
        done.append((rows, columns))
    return done


def follow(
    looks: Looks,
    times: list[float],
    lumas: list[np.ndarray],
    background: np.ndarray,
    found: list[list[Candidate]],
    last: Spot | None,
) -> list[Spot]:
    """Where the cursor is in each sample that shows it.

    A place that looks like the cursor whether or not it is thought to be there is part of the picture: it is struck off,
    and the way is looked for again.
    """
    options = [
        [m for m in (looks.of(c, luma, background) for c in components) if m is not None and m.score >= SURE]
        for luma, components in zip(lumas, found, strict=True)
    ]
    struck: list[Spot] = []
    for _ in range(_STRIKES):
        spots = _follow(looks, times, lumas, options, last, struck)
        wrong = _part_of_the_picture(looks, times, lumas, spots)
        if not wrong:
            break
        struck += wrong
    return [spots[i] for i in sorted(spots) if not near_any(spots[i], wrong)]


def _follow(
    looks: Looks,
    times: list[float],
    lumas: list[np.ndarray],
    options: list[list[Match]],
    last: Spot | None,
    struck: list[Spot],
) -> dict[int, Spot]:
    """Forward from where it was, then backward into what is left."""
    spots: dict[int, Spot] = {}
    if last is not None and near_any(last, struck):
        last = None
    for i in range(len(times)):
        spot = _locate(looks, times[i], lumas[i], options[i], last, struck)
        if spot:
            spots[i] = last = spot
    following: Spot | None = None
    for i in reversed(range(len(times))):
        if i in spots:
            following = spots[i]
        elif following is not None:
            still = looks.at(lumas[i], None, following.x, following.y, 1)
            if still is not None and still.score >= FOUND:
                spots[i] = following = replace(following, time_s=times[i], score=still.score)
    return spots


def _locate(
    looks: Looks, time_s: float, luma: np.ndarray, options: list[Match], last: Spot | None, struck: list[Spot]
) -> Spot | None:
    """Where something differs and looks like it, near places before far ones; else where it was, if it still shows there."""
    ranked: list[tuple[float, Spot]] = []
    for match in options:
        far = 0.0 if last is None else min(1.0, float(np.hypot(match.x - last.x, match.y - last.y)) / (0.5 * luma.shape[1]))
        ranked.append((match.score - _FAR_COSTS * far, Spot.of(time_s, match)))
    still = None if last is None else looks.at(luma, None, last.x, last.y, 1)
    if last is not None and still is not None and still.score >= FOUND:
        ranked.append((still.score - _STILL_COSTS, replace(last, time_s=time_s, score=still.score)))
    ranked = [r for r in ranked if not near_any(r[1], struck)]
    return max(ranked, key=lambda r: r[0])[1] if ranked else None


def _part_of_the_picture(
    looks: Looks, times: list[float], lumas: list[np.ndarray], spots: dict[int, Spot]
) -> list[Spot]:
    """Places where it is thought to rest in some samples, and which look the same in the others."""
    runs: list[list[int]] = []
    for i in sorted(spots):
        if runs and near_any(spots[i], [spots[runs[-1][0]]]):
            runs[-1].append(i)
        else:
            runs.append([i])
    wrong = []
    for run in (r for r in runs if len(r) >= 3):
        spot = spots[run[len(run) // 2]]
        others = [i for i in range(len(times)) if i not in spots or not near_any(spots[i], [spot], looks.size)]
        if not others:
            continue
        elsewhere = [looks.at(lumas[i], None, spot.x, spot.y, 1) for i in others[:: max(1, len(others) // 15)]]
        as_like = float(np.median([m.score if m else -1.0 for m in elsewhere])) >= spot.score - _SAME_SCORE
        if as_like or unchanged(looks, [lumas[i] for i in run], [lumas[i] for i in others], spot):
            wrong.append(spot)
    return wrong


def unchanged(looks: Looks, there: list[np.ndarray], elsewhere: list[np.ndarray], spot: Spot) -> bool:
    """Whether the place looks the same with and without the cursor: then what is seen there is not the cursor."""
    if min(len(there), len(elsewhere)) < _LEAST_CLEAR:
        return False
    rows, columns = looks.part(spot.x, spot.y)
    with_it, without = (
        temporal_median([luma[rows, columns] for luma in lumas[:: max(1, len(lumas) // 15)]]).astype(np.float32)
        for lumas in (there, elsewhere)
    )
    adds = min(float(a.mask.sum()) * a.spread**2 for a in looks.appearances)
    return float(((with_it - without) ** 2).sum()) < _SAME_ENERGY * adds


def near_any(spot: Spot, places: list[Spot], reach: float = 2.5) -> bool:
    """Whether it is at one of the places, but for how a match wavers."""
    return any(abs(spot.x - p.x) <= reach and abs(spot.y - p.y) <= reach for p in places)
