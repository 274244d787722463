"""Is learning real? `python -m tests.lectures.study FOLDER [LECTURES]`, or `make study`: an hour and a half on two cores.

Short lectures about two pictures of a head in MRI or CT with a map of the blood flow, which shows a red lesion in one and a
blue abscess in the other, go the whole way: curated, asked about (the modality, what was said while pointing), learned from,
served. Slices that are asked about are in no lecture that is learned from (`tests.lectures.varied`). The tuned model must
beat the untuned one, itself without pictures, itself with wrong pictures, and whoever always gives the commonest answer;
intervals are drawn by whole lectures.
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
APART_S = 6.5
"""Of a slide between two pictures: clips join over 5 s without medicine."""
KINDS = {"mri": Domain.MRI, "ct": Domain.CT}
OPENERS = (
    "Welcome back to our course.",
    "Hello everyone, this is a short case.",
    "Good morning, let us look at two pictures.",
)
FIRST = (
    "First let us take a moment to look at this slice of the head.",
    "Now this picture shows the head of a patient of ours.",
    "Please look at the whole head first before we go on.",
)
POINTING = {
    "lesion": (
        "Look here at this red lesion.",
        "Now such a lesion can be a hematoma, and it lies close to the cortex.",
    ),
    "abscess": (
        "Look here at this blue abscess.",
        "Now such an abscess is full of fluid, without hemorrhage, and the cortex beside it is thin.",
    ),
}
"""What is said of each finding, always in the same words: an open answer counts where it is the same, word for word.
Only the first sentence is asked about: "now" and "first" tell a lecture's course, and the rest has no medical term. Were
there two for each picture, the right option would be the odd one out."""
BETWEEN = ("Here is another patient.", "Let us go on.", "And here is one more.")
LAST = (
    "It has been there for some time.",
    "We should compare it with an earlier picture.",
    "There was nothing else to be seen.",
)
CLOSING = ("Thank you for watching.", "That is all for today.", "See you next time.")
FAMILIES = ("modality", "finding")
TRAINING = (
    "stages.all.tasks=question", "stages.all.epochs=16", "stages.all.batch_packs=1", "stages.all.rates.vision=3e-4",
    "stages.all.rates.language=1e-4", "vision.image_max_tokens=16",
)  # fmt: skip
"""Frames of 140 x 84 pixels are enough to see a finding that covers a third of the head, and take a sixth of the tokens. The
rates and the size of the findings were chosen on drawn pictures with other numbers, of slices that are learned from."""
ASKING = ("max_tokens=24", "groups=" + ",".join(f"{family}_{form}" for family in FAMILIES for form in ("choice", "open")))
"""Every right answer is shorter, and the untuned model would go on for long."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One film of the study."""

    video_id: str
    lecture: Lecture


def planned(count: int) -> Iterator[Planned]:
    """The lectures, the kinds in turn among those held out and among the others.

    Which lecture is held out follows from its id, as in every dataset; its pictures are then of held-out sources.
    """
    placed = Counter[bool]()
    for number in range(count):
        video_id = f"lecture_{number:04d}"
        held_out = is_held_out(video_id, HELD_OUT_SHARE)
        kind = list(KINDS)[placed[held_out] % len(KINDS)]
        placed[held_out] += 1
        order = random.Random(f"study:{video_id}")
        sources = [s for s, kept in varied.sources(kind).items() if kept is held_out]
        scenes = [_slide((f"Case {number + 1}", "Two pictures"), order.choice(OPENERS), 4.0)]
        for finding in order.sample(sorted(POINTING), len(POINTING)):
            if len(scenes) > 1:
                scenes.append(_slide(("Another patient",), order.choice(BETWEEN), APART_S))
            shown = (
                Sentence(text=order.choice(FIRST)),
                *(Sentence(text=said, region=finding) for said in POINTING[finding]),
                Sentence(text=order.choice(LAST)),
            )
            picture = f"{kind}/{order.choice(sources)}/{finding}/{number}"
            scenes.append(Scene(picture=picture, sentences=shown, min_s=14.0))
        scenes.append(_slide(("Thank you",), order.choice(CLOSING), 4.0))
        yield Planned(video_id=video_id, lecture=Lecture(name=video_id, domain=KINDS[kind], scenes=tuple(scenes)))


def _slide(lines: tuple[str, ...], said: str, min_s: float) -> Scene:
    return Scene(lines=lines, sentences=(Sentence(text=said),), min_s=min_s)


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


def precision() -> str:
    """bf16 where this processor multiplies it, as GPUs do: 1.45 times the tokens a second of float32; elsewhere `auto`."""
    import torch

    able = torch.cpu.get_capabilities()
    return "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "auto"


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
        beats = all(_certain(lead, settings) for lead in leads) and tuned.low > commonest
        score = f"{tuned.score:.1%} [{tuned.low:.1%}, {tuned.high:.1%}]"
        asked = f"{tuned.questions} of {tuned.sources} lectures"
        cells = [family, asked, score, *map(_lead, leads), f"{commonest:.1%}",
                 "yes" if beats else "no"]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _only(family: str, run: Run) -> Run:
    return dataclasses.replace(run, answers=tuple(a for a in run.answers if a.group == family))


def _certain(lead: Comparison, settings: Settings) -> bool:
    """A lead that is the same in every lecture has no interval; how likely chance gives as much is known all the same."""
    if lead.difference is None or lead.p_value is None:
        return False
    return lead.low > 0 if lead.low is not None else lead.difference > 0 and lead.p_value < 1 - settings.confidence


def _lead(found: Comparison) -> str:
    if found.first_score is None or found.difference is None:
        return "no answer in both"
    if found.low is not None and found.high is not None:
        interval = f"[{found.low:+.1%}, {found.high:+.1%}]"
    else:
        interval = "in every lecture" if found.difference else "no interval"
    return f"{found.first_score:.1%} (lead {found.difference:+.1%}, {interval})"


def main() -> None:
    """Render, curate, ask, train, serve, evaluate, and say what came out."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else LECTURES
    manifest = render_all(folder / "videos", count)
    data = str(folder / "dataset")
    loop.preceptor("curate", str(manifest), "--out", data, "--set", "probe.min_duration_s=15")
    loop.preceptor("instruct", data, "--set", f"families={','.join(FAMILIES)}")
    train = (*TRAINING, f"run.precision={precision()}")
    loop.close(data, folder / "loop", HELD_OUT_SHARE, train=train, asked=ASKING, conditions=("blind", "shuffled"))
    found = verdict({name: read_run(folder / "loop" / name) for name in ASKED})
    (folder / "study.md").write_text(found + "\n", encoding="utf-8")
    print(f"\n{found}\n\nIn {folder / 'study.md'}; `{json.dumps(train)}`.", flush=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m tests.lectures.study FOLDER [LECTURES]")
    main()
