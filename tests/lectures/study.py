"""Is learning real? `python -m tests.lectures.study FOLDER [LECTURES]`, or `make study`: about an hour on two cores.

Short lectures of two kinds of picture, each with one plain lesion, go the whole way: curated, asked about (the modality,
the quarter in which the lesion lies), learned from, served. Slices and parts of photographs that are asked about are in no
lecture that is learned from (`tests.lectures.varied`). The tuned model must beat the untuned one, itself without pictures,
itself with wrong pictures, and whoever always gives the commonest answer; intervals are drawn by whole lectures.
"""

import csv
import dataclasses
import itertools
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from pipelines.schema import Domain
from pipelines.split import HELD_OUT_SHARE, is_held_out
from serve.evaluation.compare import Comparison, compare
from serve.evaluation.config import Settings
from serve.evaluation.results import Run, read_run
from serve.evaluation.table import table
from tests.lectures import loop, render, varied
from tests.lectures.script import Lecture, Scene, Sentence

LECTURES = 100
SIZE, FPS = (640, 360), 10
KINDS = {
    "mri": (Domain.MRI, "brain"),
    "ct": (Domain.CT, "head"),
}
"""Domain, and what is shown."""
OPENERS = (
    "Welcome back to our course.",
    "Hello everyone, this is a short case.",
    "Good morning, let us look at one picture.",
)
FIRST = (
    "Let us look at this slice of the {what}, with the cortex and the ventricles.",
    "This picture shows the {what} of a patient of ours, and we see the cortex and the ventricles.",
    "Please take a moment to look at the {what}, the ventricles, and the cortex.",
)
POINTING = (
    "Look here at this bright round lesion, which is easy to see.",
    "This bright area here is the lesion, and its border is sharp.",
    "Look at this lesion here, which is bright and round.",
)
LAST = (
    "Such a lesion can be a tumor, and it should be compared with an earlier examination.",
    "The lesion has been there for some time, and there is no hemorrhage.",
    "We do not know yet if this lesion is a tumor or an abscess.",
)
CLOSING = ("Thank you for watching.", "That is all for today.", "See you next time.")
TRAINING = ("stages.all.epochs=4", "stages.all.batch_packs=1", "vision.image_max_tokens=36")
"""Small pictures are enough to see a lesion of a sixth of their height, and take a third of the time."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One film of the study."""

    video_id: str
    lecture: Lecture


def planned(count: int) -> Iterator[Planned]:
    """The lectures, the kinds in turn.

    Which lecture is held out follows from its id, as in every dataset; its picture is then of a held-out source.
    """
    for number in range(count):
        kind = list(KINDS)[number % len(KINDS)]
        video_id = f"{kind}_{number:04d}"
        held_out = is_held_out(video_id, HELD_OUT_SHARE)
        order = random.Random(f"study:{video_id}")
        source = order.choice([s for s, kept in varied.sources(kind).items() if kept is held_out])
        domain, what = KINDS[kind]
        said = [order.choice(texts).format(what=what) for texts in (OPENERS, FIRST, POINTING, LAST, CLOSING)]
        shown = (Sentence(text=said[1]), Sentence(text=said[2], region="lesion"), Sentence(text=said[3]))
        scenes = (
            Scene(lines=(f"Case {number + 1}", "One picture"), sentences=(Sentence(text=said[0]),), min_s=4.0),
            Scene(picture=f"{kind}/{source}/{number}", sentences=shown, min_s=14.0),
            Scene(lines=("Thank you",), sentences=(Sentence(text=said[4]),), min_s=4.0),
        )
        yield Planned(video_id=video_id, lecture=Lecture(name=video_id, domain=domain, scenes=scenes))


def render_all(folder: Path, count: int) -> Path:
    """Render what is not there; the manifest's path."""
    folder.mkdir(parents=True, exist_ok=True)
    films = [(p, folder / f"{p.video_id}.mp4") for p in planned(count)]
    waiting = [(p.lecture, path) for p, path in films if not path.exists()]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        for done, _ in enumerate(processes.map(_render, *zip(*waiting, strict=True)) if waiting else (), 1):
            if done % 20 == 0:
                print(f"rendered {done} of {len(waiting)}", flush=True)
    manifest = folder / "videos.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(itertools.chain([("video_id", "uri")], ((p.video_id, path.name) for p, path in films)))
    return manifest


def _render(lecture: Lecture, path: Path) -> None:
    partial = path.with_name(f".{path.name}")
    render.render(lecture, partial, size=SIZE, fps=FPS)
    partial.with_suffix(".truth.json").replace(path.with_suffix(".truth.json"))
    partial.replace(path)


ASKED = ("base/shown", "tuned/shown", "tuned/blind", "tuned/shuffled")


def verdict(runs: Mapping[str, Run]) -> str:
    """The table of what was taught: the tuned model's score and its lead over the other four, per family of questions."""
    settings = Settings()
    families = sorted({a.group for a in runs["tuned/shown"].answers if a.group.endswith(("_choice", "_open"))})
    lines = ["| questions | asked | tuned | base | no picture | wrong picture | commonest | beats all four |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for family in families:
        of = {name: _only(family, run) for name, run in runs.items()}
        tuned, *_ = table([of["tuned/shown"]], settings).lines
        leads = [compare(of[key], of["tuned/shown"], settings) for key in ("base/shown", "tuned/blind", "tuned/shuffled")]
        assert tuned.score is not None, family
        assert tuned.low is not None, family
        assert tuned.high is not None, family
        expected = Counter(a.expected for a in of["tuned/shown"].answers)
        commonest = max(expected.values()) / expected.total() if tuned.commonest is None else tuned.commonest
        beats = all(lead.low is not None and lead.low > 0 for lead in leads) and tuned.low > commonest
        score = f"{tuned.score:.1%} [{tuned.low:.1%}, {tuned.high:.1%}]"
        asked = f"{tuned.questions} of {tuned.sources} lectures"
        cells = [family, asked, score, *map(_lead, leads), f"{commonest:.1%}",
                 "yes" if beats else "no"]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _only(family: str, run: Run) -> Run:
    return dataclasses.replace(run, answers=tuple(a for a in run.answers if a.group == family))


def _lead(found: Comparison) -> str:
    if found.first_score is None or found.difference is None:
        return "no answer in both"
    interval = "no interval" if found.low is None or found.high is None else f"[{found.low:+.1%}, {found.high:+.1%}]"
    return f"{found.first_score:.1%} (lead {found.difference:+.1%}, {interval})"


def main() -> None:
    """Render, curate, ask, train, serve, evaluate, and say what came out."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else LECTURES
    manifest = render_all(folder / "videos", count)
    data = str(folder / "dataset")
    loop.preceptor("curate", str(manifest), "--out", data, "--set", "probe.min_duration_s=15")
    loop.preceptor("instruct", data, "--set", "families=modality,place")
    loop.close(data, folder / "loop", HELD_OUT_SHARE, train=TRAINING, conditions=("blind", "shuffled"))
    found = verdict({name: read_run(folder / "loop" / name) for name in ASKED})
    (folder / "study.md").write_text(found + "\n", encoding="utf-8")
    print(f"\n{found}\n\nIn {folder / 'study.md'}; `{json.dumps(TRAINING)}`.", flush=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m tests.lectures.study FOLDER [LECTURES]")
    main()
