"""The screen's decisions at the edges of its thresholds, `preceptor bench screening`: films on either side of each limit.

Each film is made so that what one rule measures (seconds, share of speech, of a domain, of rest) is a multiple of its limit,
while all other rules are met with room. The truth is what was rendered, not what was planned.
"""

import argparse
import dataclasses
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pipelines import recipes
from pipelines.arrow import arrow_table
from pipelines.config import Config
from pipelines.errors import RowError
from pipelines.job import Job
from pipelines.schema import Domain, Reason, Video
from pipelines.settings import with_settings
from tests.lectures import render, script
from tests.lectures.demo import load_truth
from tests.lectures.script import Lecture, Scene, Sentence

RATIOS = (0.5, 0.8, 0.9, 1.1, 1.25, 2.0)
"""Of the limit: what is measured. A duration is known to the frame, a share of samples is not."""
VARIANTS = 3
SIZE, FPS = (640, 360), 5
NON_MEDICAL = ("coffee", "cat", "motorcycle", "rocket")
PICTURES = {
    Domain.MRI: ("brain_axial", "brain_sagittal", "brain_coronal", "brain_base", "brain_coronal_front", "brain_axial_high"),
    Domain.OPHTHALMOLOGY: ("retina", "retina_disc", "retina_macula", "retina_vessels"),
    Domain.HISTOPATHOLOGY: ("tissue", "tissue_gland", "tissue_stroma", "tissue_round"),
}
SAID = {
    lecture.domain: [s.text for scene in lecture.scenes for s in scene.sentences]
    for lecture in (script.MRI, script.OPHTHALMOLOGY, script.HISTOPATHOLOGY, script.TALK)
}
QUICK_S = 2.5
"""Pictures that change so often do not rest."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One film, in which the rule measures `ratio` times `limit`: below it (above, of `too_long`) it should reject."""

    reason: Reason
    domain: Domain
    ratio: float
    limit: float
    lecture: Lecture
    duration_s: float | None = None
    settings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.reason}_{self.domain}_{self.ratio:g}_{self.lecture.name}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of one film. `measured` is None where the rule was not reached."""

    reason: str
    domain: str
    limit: float
    ratio: float
    true_value: float
    measured: float | None
    expected: str
    decided: str

    @property
    def right(self) -> bool:
        """Accepted or rejected as it should be, and for this reason."""
        return self.expected == self.decided


def cases(config: Config, variants: int = VARIANTS) -> Iterator[Case]:
    """Every rule, each side of its limit, in several films."""
    for ratio, variant in itertools.product(RATIOS, range(variants)):
        order = random.Random(f"screening:{ratio}:{variant}")
        domain = list(PICTURES)[variant % len(PICTURES)]
        pictures = order.sample(PICTURES[domain], len(PICTURES[domain]))
        whole = _explained(domain, pictures, order, str(variant))
        room: dict[str, Any] = {"domain": domain, "ratio": ratio}
        limit = config.probe.min_duration_s
        yield Case(reason=Reason.TOO_SHORT, limit=limit, duration_s=limit * ratio, lecture=whole, **room)
        # two hours are not rendered: the limit is lowered
        yield Case(reason=Reason.TOO_LONG, limit=90.0, duration_s=90.0 * ratio, lecture=whole, **room,
                   settings=("probe.min_duration_s=10", "probe.max_duration_s=90"))  # fmt: skip
        limit = config.speech.min_share
        lecture = _hardly_spoken(domain, pictures, order, str(variant), limit * ratio)
        yield Case(reason=Reason.NO_SPEECH, limit=limit, lecture=lecture, **room)
        limit = config.narrative.min_streak_share if domain.is_static else config.narrative.min_spoken_share
        if domain.is_static:
            lecture = _restless(domain, pictures, order, str(variant), limit * ratio, config)
        else:
            lecture = _hardly_explained(domain, pictures, order, str(variant), limit * ratio)
        yield Case(reason=Reason.NOT_NARRATIVE, limit=limit, lecture=lecture, **room)
        for shown, limit in ((d, config.classifier.domain_shares[d]) for d in PICTURES):
            lecture = _hardly_medical(shown, order, str(variant), limit * ratio)
            yield Case(reason=Reason.NOT_MEDICAL, domain=shown, ratio=ratio, limit=limit, lecture=lecture)


def _scene(order: random.Random, said: Sequence[str], picture: str, min_s: float, sentences: int = 1) -> Scene:
    return Scene(sentences=tuple(Sentence(text=t) for t in order.sample(said, sentences)), picture=picture, min_s=min_s)


def _explained(domain: Domain, pictures: Sequence[str], order: random.Random, name: str) -> Lecture:
    scenes = tuple(_scene(order, SAID[domain], p, 20.0, 2) for p in pictures)
    return Lecture(name=name, domain=domain, scenes=scenes)


def _hardly_spoken(domain: Domain, pictures: Sequence[str], order: random.Random, name: str, share: float) -> Lecture:
    """One scene is spoken over, the others are silent; as long as the share wants it."""
    spoken = _scene(order, SAID[domain], pictures[0], 20.0, 2)
    spoken_s = sum(len(render.voice(s.text)) for s in spoken.sentences) / render.SAMPLE_RATE
    silent_s = spoken_s / share - max(20.0, spoken_s + render.LEAD_S + render.GAP_S + render.TAIL_S)
    count = max(1, round(silent_s / 20.0))
    silent = [Scene(sentences=(), picture=p, min_s=silent_s / count) for p in _cycled(pictures[1:], count)]
    at = order.randint(0, count)
    return Lecture(name=name, domain=domain, scenes=(*silent[:at], spoken, *silent[at:]))


def _restless(
    domain: Domain, pictures: Sequence[str], order: random.Random, name: str, share: float, config: Config
) -> Lecture:
    """One picture rests and is explained, the others hurry by."""
    whole_s, streak_s = 120.0, config.narrative.streak_length * config.narrative.streak_interval_s
    rest = _scene(order, SAID[domain], pictures[0], streak_s + share * whole_s, 3)
    count = round((whole_s - rest.min_s) / QUICK_S)
    quick = [Scene(sentences=(), picture=p, min_s=QUICK_S) for p in _cycled(pictures[1:], count)]
    at = order.randint(0, count)
    return Lecture(name=name, domain=domain, scenes=(*quick[:at], rest, *quick[at:]))


def _hardly_explained(domain: Domain, pictures: Sequence[str], order: random.Random, name: str, share: float) -> Lecture:
    """Pictures that come one by one in a talk; some are spoken over, the others are shown in silence."""
    whole_s = 120.0
    spoken_s, silent_s = share * whole_s, (1 - share) * whole_s
    runs = [(spoken_s / (n := math.ceil(spoken_s / 20.0)), 2)] * n
    runs += [(silent_s / (n := math.ceil(silent_s / 20.0)), 0)] * n if silent_s > 0 else []
    order.shuffle(runs)
    scenes = []
    for picture, other, (length_s, sentences) in zip(itertools.cycle(pictures), itertools.cycle(NON_MEDICAL), runs):
        scenes.append(_scene(order, SAID[domain], picture, length_s, sentences))
        scenes.append(_scene(order, SAID[Domain.NONMEDICAL], other, 10.0))
    return Lecture(name=name, domain=domain, scenes=tuple(scenes))


def _hardly_medical(domain: Domain, order: random.Random, name: str, share: float) -> Lecture:
    """A talk about other things, in which the domain is on show for a share of the time."""
    whole_s = 300.0 if share < 0.15 else 150.0
    count = math.ceil(share * whole_s / 25.0)
    length_s = share * whole_s / count
    shown = [_scene(order, SAID[domain], p, length_s, 2 if length_s > 12 else 1)
             for p in _cycled(order.sample(PICTURES[domain], len(PICTURES[domain])), count)]  # fmt: skip
    others = max(1, round((1 - share) * whole_s / 15.0))
    talk = [_scene(order, SAID[Domain.NONMEDICAL], p, (1 - share) * whole_s / others) for p in _cycled(NON_MEDICAL, others)]
    for scene in shown:
        talk.insert(order.randint(0, len(talk)), scene)
    return Lecture(name=name, domain=domain, scenes=tuple(talk))


def _cycled(names: Sequence[str], count: int) -> list[str]:
    return list(itertools.islice(itertools.cycle(names), count))


def true_value(case: Case, truth: dict[str, Any], config: Config) -> float:
    """What the case's rule should measure in the rendered film."""
    if case.reason in (Reason.TOO_SHORT, Reason.TOO_LONG):
        return float(truth["duration_s"])
    if case.reason is Reason.NO_SPEECH:
        return float(sum(s["end_s"] - s["start_s"] for s in truth["sentences"]) / truth["duration_s"])
    scenes = [s for s in truth["scenes"] if s["picture"] in PICTURES[case.domain]]
    shown_s = [s["end_s"] - s["start_s"] for s in scenes]
    if case.reason is Reason.NOT_MEDICAL:
        return float(sum(shown_s) / truth["duration_s"])
    if case.domain.is_static:
        streak_s = config.narrative.streak_length * config.narrative.streak_interval_s
        return sum(max(0.0, s - streak_s) for s in shown_s) / sum(shown_s)
    spoken = [any(s["start_s"] <= said["start_s"] < s["end_s"] for said in truth["sentences"]) for s in scenes]
    return float(sum(s for s, is_spoken in zip(shown_s, spoken, strict=True) if is_spoken) / sum(shown_s))


def decide(path: Path, config: Config) -> tuple[Video, Reason | None]:
    """What is known of the video after the screen, and why it was rejected; None if it was accepted."""
    from actors.frame_stages import ScreenClassifier
    from actors.screener import Screener

    video = Video(video_id=path.stem, uri=str(path))
    try:
        return ScreenClassifier(config, threads=1)(Screener(config)(Job(video=video))).video, None
    except RowError as error:
        return error.known or video, error.reason


def measure(case: Case, folder: Path) -> Decision:
    """Render the case's film, screen it, and delete it."""
    config = with_settings(recipes.starter(), list(case.settings))
    path = render.render(case.lecture, folder / f"{case.name}.mp4", size=SIZE, fps=FPS, duration_s=case.duration_s)
    truth = load_truth(path)
    video, reason = decide(path, config)
    path.unlink()
    true = true_value(case, truth, config)
    rejects = true > case.limit if case.reason is Reason.TOO_LONG else true < case.limit
    return Decision(
        reason=str(case.reason), domain=str(case.domain), limit=case.limit, ratio=case.ratio, true_value=true,
        measured=_measured(case, video, config), expected=str(case.reason) if rejects else "accepted",
        decided="accepted" if reason is None else str(reason),
    )  # fmt: skip


def _measured(case: Case, video: Video, config: Config) -> float | None:
    from pipelines.stages.narrative import is_positive

    if case.reason in (Reason.TOO_SHORT, Reason.TOO_LONG):
        return video.probe.duration_s if video.probe else None
    if case.reason is Reason.NO_SPEECH:
        return sum(s.end_s - s.start_s for s in video.speech) / video.probe.duration_s if video.probe else None
    if case.reason is Reason.NOT_MEDICAL:
        if not video.screen_frames:
            return None
        positive = sum(is_positive(f, case.domain, config.classifier) for f in video.screen_frames)
        return positive / len(video.screen_frames)
    return video.narrative_share


def shown(decisions: Sequence[Decision]) -> Any:
    """The table: right decisions by rule and distance, and by how much the measured value is wrong, where it is known: a
    video that another rule rejected first has none."""
    from rich.table import Table

    table = Table(title=f"The screen's decisions, {len(decisions)} films")
    for column in ("rule", "limit", *(f"x {ratio:g}" for ratio in RATIOS), "right", "error of what is measured"):
        table.add_column(column)
    for reason, limit in sorted({(d.reason, d.limit) for d in decisions}):
        of_rule = [d for d in decisions if (d.reason, d.limit) == (reason, limit)]
        domains = ", ".join(sorted({d.domain for d in of_rule}))
        cells = [_right([d for d in of_rule if d.ratio == ratio]) for ratio in RATIOS]
        errors = [abs(d.measured - d.true_value) for d in of_rule if d.measured is not None]
        error = f"{sum(errors) / len(errors):.3g} ({len(errors)} films)" if errors else "-"
        table.add_row(f"{reason}: {domains}", f"{limit:g}", *cells, _right(of_rule), error)
    return table


def _right(decisions: Sequence[Decision]) -> str:
    return f"{sum(d.right for d in decisions)}/{len(decisions)}"


def main(given: Sequence[str] | None = None) -> None:
    """Measure and print."""
    import pyarrow.parquet as pq
    from rich.console import Console

    parser = argparse.ArgumentParser(prog="preceptor bench screening", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/screening"))
    parser.add_argument("--variants", type=int, default=VARIANTS, help="films of each rule and distance")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args(given)
    asked.out.mkdir(parents=True, exist_ok=True)
    wanted = list(cases(recipes.starter(), asked.variants))
    with ProcessPoolExecutor(asked.processes, mp_context=get_context("spawn")) as pool:
        decisions = list(pool.map(measure, wanted, itertools.repeat(asked.out)))
    pq.write_table(arrow_table(decisions, Decision), asked.out / "decisions.parquet")
    console = Console(width=150)
    console.print(shown(decisions))
    for d in decisions:
        if not d.right:
            console.print(f"{d.reason} {d.domain} x {d.ratio:g}: true {d.true_value:.3f}, found {d.measured}, {d.decided}")


if __name__ == "__main__":
    main()
