"""Where the cursor of a grounding film is: minimum-jerk ways to the regions, gestures, tremor, rests, absences."""

import math
from dataclasses import dataclass, field

import numpy as np

from tests.lectures.grounding.factors import Factors
from tests.lectures.grounding.plan import Plan, Said
from tests.lectures.grounding.truth import Box, Episode

_HIDES_AFTER_S = 3.0
_OUTLINE_S = 1.1


def smooth(share: float) -> float:
    """A minimum-jerk movement's way at a share of its time, both 0..1."""
    share = min(1.0, max(0.0, share))
    return share**3 * (10 - 15 * share + 6 * share * share)


@dataclass(frozen=True, slots=True)
class Gesture:
    """A movement about a resting place, which begins and ends there."""

    kind: str
    """`circles`, `to_and_fro`, `underline`, or `outline` once around."""
    start_s: float
    end_s: float
    reach: tuple[float, float]
    """Pixels."""
    period_s: float

    def offset(self, time_s: float) -> tuple[float, float]:
        """Pixels at `time_s`."""
        if not self.start_s < time_s < self.end_s:
            return 0.0, 0.0
        ramp_s = min(0.3, (self.end_s - self.start_s) / 3)
        fade = smooth((time_s - self.start_s) / ramp_s) * smooth((self.end_s - time_s) / ramp_s)
        turn = 2 * math.pi * (time_s - self.start_s) / self.period_s
        if self.kind == "outline":
            turn = 2 * math.pi * smooth((time_s - self.start_s - ramp_s) / _OUTLINE_S)
        across, down = fade * self.reach[0], fade * self.reach[1]
        if self.kind == "to_and_fro":
            return across * math.sin(turn), 0.15 * down * math.sin(2 * turn)
        if self.kind == "underline":
            return across * math.sin(turn), down
        return across * math.cos(turn), down * math.sin(turn)


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line that stays: drawn between two times, on show until the scene's end."""

    scene: int
    start_s: float
    drawn_s: float
    end_s: float
    box: Box
    """The oval it draws is inscribed in."""
    colour: tuple[int, int, int]
    width_px: int


@dataclass(slots=True)
class Way:
    """The cursor's whole way through the film."""

    moves: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Leaves, arrives (seconds), x, y (pixels)."""
    gestures: list[Gesture] = field(default_factory=list)
    handled: list[tuple[float, float]] = field(default_factory=list)
    """When a hand is on it."""
    hidden: list[tuple[float, float]] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    strokes: list[Stroke] = field(default_factory=list)
    jitter_px: float = 0.0
    always: bool = False
    """The tremor never rests, as a pointer's held in the hand."""

    def at(self, time_s: float, size: tuple[int, int]) -> tuple[float, float, bool]:
        """x, y, visible; on a grid of a quarter of a pixel, which is how finely it is drawn."""
        _, _, x, y = self.moves[0]
        for leave_s, arrive_s, to_x, to_y in self.moves[1:]:
            if time_s <= leave_s:
                break
            share = smooth((time_s - leave_s) / (arrive_s - leave_s))
            x, y = x + share * (to_x - x), y + share * (to_y - y)
        for gesture in self.gestures:
            dx, dy = gesture.offset(time_s)
            x, y = x + dx, y + dy
        if self.jitter_px and (self.always or any(a < time_s < b for a, b in self.handled)):
            for i, rate in enumerate((1.3, 2.9, 6.1)):
                x += self.jitter_px / (i + 1) * math.sin(2 * math.pi * rate * time_s + i)
                y += self.jitter_px / (i + 1) * math.sin(2 * math.pi * rate * 1.13 * time_s + 2 * i + 1)
        x, y = round(x * 4) / 4, round(y * 4) / 4
        inside = 0 <= x < size[0] and 0 <= y < size[1]
        return x, y, inside and not any(a <= time_s < b for a, b in self.hidden)


def way(factors: Factors, plan: Plan, regions: list[dict[str, Box]], rng: np.random.Generator) -> Way | None:
    """The film's cursor; None where it has none. `regions`: by scene, pixels of the video."""
    if factors.cursor is None:
        return None
    width, height = factors.size
    made = Way(jitter_px=factors.jitter_px, always=factors.cursor == "laser")
    if made.always:
        made.jitter_px = max(made.jitter_px, 0.002 * height)
    spots = [(0.06, 0.86), (0.93, 0.6), (0.5, 0.93), (0.12, 0.4), (0.45, 0.5)]
    homes = [(spots[i][0] * width, spots[i][1] * height) for i in rng.permutation(len(spots))]
    made.moves.append((0.0, 0.0, *homes[0]))
    pointed = [(i, one) for i, one in enumerate(plan.said) if one.region is not None]
    colour = [(255, 60, 60), (255, 230, 40), (60, 220, 90), (80, 170, 255)][int(rng.integers(4))]
    for turn, (sentence, one) in enumerate(pointed):
        part = plan.parts[one.scene]
        box = regions[one.scene][one.region or ""]
        free_s = max(made.handled[-1][1] if made.handled else 0.0, made.moves[-1][1]) + 0.05
        arrive_s = max(one.start_s - float(rng.uniform(0.3, 0.6)), free_s + 0.25)
        leave_s = max(free_s, arrive_s - float(rng.uniform(0.4, 0.9)))
        x0, y0, x1, y1 = box
        made.moves.append((leave_s, arrive_s, (x0 + x1) / 2, (y0 + y1) / 2))
        end_s = min(one.end_s, part.end_s)
        made.handled.append((leave_s, end_s))
        made.episodes.append(Episode(start_s=arrive_s, end_s=end_s, box=box, sentence=sentence))
        gesture = factors.gesture
        if factors.ink and part.kind == "picture" and end_s - arrive_s > 2.4 and rng.random() < 0.75:
            gesture = "outline"
            drawn_s = arrive_s + 0.55 + _OUTLINE_S
            made.strokes.append(Stroke(one.scene, arrive_s + 0.55, drawn_s, part.end_s, box, colour, max(2, height // 270)))
        if gesture and end_s - arrive_s > 1.2:
            share, ends_s = 0.3, end_s - 0.1
            if gesture == "outline":
                share, ends_s = 0.48, min(ends_s, arrive_s + 0.25 + 2 * 0.3 + _OUTLINE_S)
            reach = (share * (x1 - x0), share * (y1 - y0))
            made.gestures.append(Gesture(gesture, arrive_s + 0.25, ends_s, reach, float(rng.uniform(1.0, 1.7))))
        next_s = pointed[turn + 1][1].start_s if turn + 1 < len(pointed) else plan.parts[-1].end_s
        _afterwards(factors, made, one, end_s, next_s, homes[(turn + 1) % len(homes)], rng)
    if factors.hides:
        _hide(factors, made, plan.parts[-1].end_s)
    return made


def _afterwards(factors: Factors, made: Way, one: Said, end_s: float, next_s: float, home: tuple[float, float],
                rng: np.random.Generator) -> None:  # fmt: skip
    """What it does between two episodes: goes off the edge, stays where it is, or goes to rest elsewhere."""
    if next_s - end_s < 2.8:
        return
    width, height = factors.size
    go_s = end_s + float(rng.uniform(0.2, 0.6))
    _, _, x, y = made.moves[-1]
    if factors.leaves and rng.random() < 0.75:
        beyond = 1.5 * factors.cursor_px + 20
        # to the right or the bottom, so that an arrow's body leaves before its tip does
        off = (width + beyond, y + 30) if width - x < 1.4 * (height - y) else (x + 20, height + beyond)
        made.moves.append((go_s, go_s + 0.7, *off))
    elif rng.random() < (0.5 if factors.idle else 0.55):
        made.moves.append((go_s, go_s + 0.8, *home))
    else:
        return
    made.handled.append((go_s, made.moves[-1][1]))


def _hide(factors: Factors, made: Way, film_s: float) -> None:
    after_s = 0.3 if factors.cursor == "laser" else 11.0 if factors.idle else _HIDES_AFTER_S
    ends = [0.0, *(end for _, end in made.handled)]
    begins = [*(start for start, _ in made.handled), film_s + 1]
    made.hidden.extend((a + after_s, b) for a, b in zip(ends, begins, strict=True) if b - a > after_s + 0.3)
