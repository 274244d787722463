"""When a grounding film shows and says what: its scenes and sentences in time, before anything is drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.schema import Domain
from tests.lectures.grounding.factors import Factors
from tests.lectures.grounding.pool import GREETINGS, TALKS, Subject
from tests.lectures.grounding.voice import speak

LEAST_S, MOST_S = 40.0, 60.0
REST_S = 3.2
"""A hold of the viewer, and the stretch between two builds, where they are meant to be rests."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence in its place, seconds of the film."""

    text: str
    start_s: float
    end_s: float
    kind: str
    """`medical`, `roi` or `other`."""
    scene: int
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A scene in its place; `start_s` and `end_s` lie on the frame grid."""

    kind: str
    subject: Subject | None
    start_s: float
    end_s: float
    fade_s: float
    """Length of the cross-dissolve around `start_s`; 0 is a cut."""
    marks: tuple[float, ...]
    """A slide's builds; a viewer's pans (start, end, start, end ...); a scroll's steps."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole film."""

    parts: tuple[Part, ...]
    said: tuple[Said, ...]


def plan(factors: Factors) -> Plan:
    """The film's plan, 40 to 60 s long: more silence, fewer sentences, at last other scenes, until it fits.

    Raises:
        ValueError: no such plan was found.
    """
    for attempt in range(6):
        for target_s in (50.0, 46.0, 54.0, 42.0, 38.0, 58.0, 34.0, 30.0):
            made = _Planner(factors, target_s, attempt).made()
            if LEAST_S <= made.parts[-1].end_s <= MOST_S:
                return made
    raise ValueError(f"no plan of {LEAST_S:g} to {MOST_S:g} s: {factors}")


def outline(factors: Factors, rng: np.random.Generator) -> list[tuple[str, Subject | None]]:
    """The scenes' kinds and subjects, in order."""
    subjects = [s for s in TALKS[Domain(factors.domain)].subjects if factors.moving or not s.picture.endswith("_film")]
    special: list[tuple[str, Subject | None]] = []
    if factors.scroll_s:
        special.append(("scroll", next(s for s in subjects if s.picture in ("brain_axial", "ct_head"))))
    if factors.moving:
        films = [s for s in subjects if s.picture.endswith("_film" if factors.domain == "ultrasound" else "tissue")]
        special.append(("moving", films[int(rng.integers(len(films)))]))
    still = [s for s in subjects if not s.picture.endswith("_film") and all(s is not used for _, used in special)]
    order = [still[i] for i in rng.permutation(len(still))]
    if factors.viewer:
        special.append(("viewer", order.pop()))
    count = int(rng.integers(4, 7))
    slides = 2 if count > 4 and (factors.builds or rng.random() < 0.4) else 1
    middle = list(special)
    while len(middle) < count - slides:
        middle.append(("picture", order.pop() if order else still[int(rng.integers(len(still)))]))
    middle = [middle[i] for i in rng.permutation(len(middle))]
    scenes = [("slide", None), *middle]
    if slides == 2:
        scenes.insert(int(rng.integers(2, len(scenes) + 1)), ("slide", None))
    return scenes


class _Planner:
    """Lays the scenes one after another; `voice_s` is when the speaker is free again."""

    def __init__(self, factors: Factors, target_s: float, attempt: int) -> None:
        self.factors, self.rng = factors, np.random.default_rng([factors.seed, factors.index, 1, attempt])
        self.scenes = outline(factors, self.rng)
        pictures = sum(subject is not None for _, subject in self.scenes)
        self.slide_s = 7.5 if factors.builds else 6.0
        self.budget_s = max(6.0, (target_s - self.slide_s * (len(self.scenes) - pictures)) / pictures)
        eligible = [k for k in range(1, len(self.scenes)) if self.scenes[k][1] is not None]
        crossed = eligible
        if factors.lead == "trails":  # a greeting is of no picture: nothing of it could be put to the wrong one
            crossed = [k for k in eligible if self.scenes[k - 1][1] is not None] or eligible
        self.leads = set(self.rng.permutation(crossed)[:2].tolist()) if factors.lead else set()
        self.resting = int(self.rng.choice(eligible[-2:])) if factors.idle else -1
        self.greetings = [GREETINGS[i] for i in self.rng.permutation(len(GREETINGS))]
        self.said: list[Said] = []
        self.parts: list[Part] = []
        self.voice_s = 0.0

    def made(self) -> Plan:
        start_s = fade_s = 0.0
        for number in range(len(self.scenes)):
            marks, end_s = self._scene(number, start_s, fade_s)
            end_s, next_fade_s = self._turn(number, start_s, end_s)
            kind, subject = self.scenes[number]
            kept = tuple(mark for mark in marks if mark < end_s - 0.3)
            self.parts.append(Part(kind, subject, start_s, end_s, fade_s, kept))
            start_s, fade_s = end_s, next_fade_s
        return Plan(tuple(self.parts), tuple(self.said))

    def _say(self, text: str, at_s: float, kind: str, scene: int, region: str | None = None) -> float:
        at_s = max(at_s, self.voice_s + float(self.rng.uniform(0.35, 0.8)))
        self.voice_s = at_s + speak(text).length_s
        self.said.append(Said(text, at_s, self.voice_s, kind, scene, region))
        return self.voice_s

    def _scene(self, number: int, start_s: float, fade_s: float) -> tuple[list[float], float]:
        """Its marks, and the time at which it may end at the earliest."""
        kind, subject = self.scenes[number]
        first_s = start_s + fade_s / 2 + float(self.rng.uniform(0.6, 1.2))
        if subject is None:
            self._say(self.greetings.pop(), first_s, "other", number)
            marks = [start_s + REST_S + float(self.rng.uniform(0, 0.8))] if self.factors.builds else []
            if marks:
                marks.append(marks[0] + float(self.rng.choice([1.0, 3.4])))
            return marks, max(self.voice_s + 0.7, start_s + self.slide_s)
        told = {one.text for one in self.said}
        medical = [t for t in (subject.medical[i] for i in self.rng.permutation(len(subject.medical))) if t not in told]
        regions = [r for r in (list(subject.regions)[i] for i in self.rng.permutation(len(subject.regions)))
                   if subject.regions[r] not in told]  # fmt: skip
        drifts = kind == "moving" and self.factors.domain == Domain.HISTOPATHOLOGY
        if self.factors.cursor is None or number == self.resting or drifts:
            regions = []
        announced = any(one.scene == number for one in self.said)
        if medical and not (announced and regions and self.rng.random() < 0.5):
            self._say(medical.pop(), first_s, "medical", number)
        marks: list[float] = []
        if kind == "scroll":
            step_s = self.factors.scroll_s or 0.3
            steps = min(26, round(float(self.rng.uniform(3.0, 4.5)) / step_s))  # no slice twice
            marks = [start_s + fade_s / 2 + 0.9 + i * step_s for i in range(steps)]
        at_s = marks[-1] + 0.9 if marks else first_s
        turns = 0
        while regions and (turns == 0 or self.voice_s - start_s < self.budget_s - 4.5):
            region = regions.pop()
            if kind == "viewer":
                marks.extend(self._pan(marks, start_s))
                at_s = marks[-1] + 1.0
            at_s = max(at_s, self.voice_s + float(self.rng.uniform(0.9, 1.4)))
            self._say(subject.regions[region], at_s, "roi", number, region)
            turns += 1
        if kind == "viewer" and not turns:
            marks.extend(self._pan(marks, start_s))
        while medical and self.voice_s - start_s < self.budget_s - 4.5:
            self._say(medical.pop(), self.voice_s, "medical", number)
        settled_s = marks[-1] + REST_S if marks else 0.0
        least_s = max(11.5, 0.9 * self.budget_s) if number == self.resting else 0.8 * self.budget_s
        return marks, max(self.voice_s + float(self.rng.uniform(0.6, 1.2)), settled_s, start_s + least_s)

    def _pan(self, marks: Sequence[float], start_s: float) -> tuple[float, float]:
        begin_s = max((marks[-1] if marks else start_s) + REST_S, self.voice_s + 0.15)
        return begin_s, begin_s + float(self.rng.uniform(1.0, 2.0))

    def _turn(self, number: int, start_s: float, end_s: float) -> tuple[float, float]:
        """When the scene ends, on the frame grid, and how long the dissolve to the next one is."""
        fps, following = self.factors.fps, number + 1
        fade_s = 0.0
        if following == len(self.scenes):
            end_s += 0.5
        else:
            if self.factors.fade_s and self.rng.random() < 0.65:
                fade_s, end_s = self.factors.fade_s, end_s + self.factors.fade_s / 2
            subject = self.scenes[following][1]
            if following in self.leads and subject is not None:
                if self.factors.lead == "over_cut":
                    early_s = float(self.rng.uniform(0.5, 1.5))
                    self._say(subject.medical[0], end_s - early_s, "medical", following)
                    end_s = self.said[-1].start_s + early_s
                elif self.factors.lead == "lead_in":
                    # so that its end, not the scene's, is what waits for the picture
                    self._say(subject.lead, end_s - speak(subject.lead).length_s - 0.2, "medical", following)
                    end_s = self.voice_s + float(self.rng.uniform(0.1, 0.4)) + fade_s / 2
                else:
                    own = self.scenes[number][1]
                    spare = [t for t in own.medical if t not in {one.text for one in self.said}] if own else []
                    if spare:
                        self._say(spare[0], self.voice_s, "medical", number)
                    if self.said[-1].scene == number or own is None:
                        end_s = max(start_s + 4.0, self.voice_s - float(self.rng.uniform(0.3, 1.0)))
        fade_s = round(fade_s / 2 * fps) * 2 / fps
        return math.ceil(end_s * fps - 1e-6) / fps, fade_s
