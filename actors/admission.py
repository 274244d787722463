"""The admission probe: may a text model decide? Run once per model and prompts, and stored with the dataset."""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
import pyarrow.fs as pafs

from actors.text_engine import Request, TextEngine
from pipelines.image_file import filesystem, put
from pipelines.instruct_schema import LETTERS
from pipelines.stages import prompts
from pipelines.stages.rules import MODALITIES, REGIONS, RELEVANCE

PROBE = Path(__file__).parents[1] / "pipelines" / "data" / "admission.toml"
SHIPPED = PROBE.with_name("admissions")
GOOD = 3
"""ViDRiP's bar: what is rated so or better is kept."""
MIN_ACCURACY = 0.8
"""Unpublished. Chance is 0.5, 1/12 and 1/11, or 1/4 for letters; a person who knows the lists scores above 0.95."""
CHOICES = {"relevance": RELEVANCE, "modality": MODALITIES, "region": REGIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """Labelled items of some tasks, each with its closed set of answers and its prompt of the same name."""

    file: Path
    choices: Mapping[str, tuple[str, ...]]
    folder: str = ""
    """Of the prompts."""

    def prompt(self, task: str) -> str:
        """The name of the task's prompt."""
        return f"{self.folder}{task}"

    @property
    def prompts_hash(self) -> str:
        """Over all of its prompts."""
        return prompts.content_hash(*(self.prompt(task) for task in self.choices))


DECIDING = Exam(file=PROBE, choices=CHOICES)
"""Who may decide relevance, modality and region."""
WRITING = Exam(
    file=PROBE.with_name("admission_instruct.toml"),
    folder="instruct/",
    choices={"understanding": tuple(LETTERS[:4]), "knowledge": tuple(LETTERS[:4]), "quality": tuple("012345")},
)
"""Who may write questions and answers (`understanding`: picks the answer that a transcript gives), find those that need no
looking (`knowledge`: picks it without one), and rate texts (`quality`: good ones from the bar up, poor ones below it)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question of the probe; `answer` is None where the reply was a typed failure."""

    task: str
    text: str
    label: str
    """The right answer; of a rating, `good` or `poor`."""
    question: str = ""
    options: tuple[str, ...] = ()
    answer: str | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """How a model did: accuracy (0 to 1) per task, and every item."""

    model: str
    prompts: str
    accuracy: dict[str, float]
    items: tuple[Item, ...]

    def passed(self, task: str) -> bool:
        """Whether the model's decisions count for the task."""
        return self.accuracy[task] >= MIN_ACCURACY


def decision_request(task: str, transcript: str, exam: Exam = DECIDING, **others: str) -> Request:
    """A closed-set question about a transcript, or about it and the other texts that its prompt has places for."""
    prompt = prompts.load(exam.prompt(task))
    choices = exam.choices[task]
    return Request(
        system=prompt.system, user=prompt.render(transcript, **others), max_tokens=48, field=task, choices=choices
    )


def choice_request(task: str, transcript: str, question: str, options: Sequence[str]) -> Request:
    """A question with four options or fewer, answered by a letter."""
    lettered = "; ".join(f"{letter}: {option}" for letter, option in zip(LETTERS, options, strict=False))
    return decision_request(task, transcript, WRITING, question=question, options=lettered)


def probe_items(exam: Exam = DECIDING) -> tuple[Item, ...]:
    """The labelled probe, as `pipelines/data/admission.toml`."""
    tables = tomllib.loads(exam.file.read_text(encoding="utf-8"))
    items = [(task, {**item, "options": tuple(item.get("options", ()))}) for task in exam.choices for item in tables[task]]
    return tuple(Item(task=task, **item) for task, item in items)


def item_request(item: Item, exam: Exam) -> Request:
    """What the model is asked: the same words as in earnest."""
    if item.options:
        return choice_request(item.task, item.text, item.question, item.options)
    return decision_request(item.task, item.text, exam)


def known_admission(model: str, folder: str | None, exam: Exam = DECIDING) -> Admission | None:
    """The stored or shipped result, if there is one: whoever holds it need not load the model to know it."""
    key = admission_key(model, exam)
    stored = _read(folder, key)
    if stored is None and (stored := _read(str(SHIPPED), key)) is not None:
        _write(folder, key, stored)
    return stored


def admit(engine: TextEngine, folder: str | None, exam: Exam = DECIDING) -> Admission:
    """The stored result for this model, probe and prompts; else the probe is run, and stored in `folder`.

    The starter model's result ships with the project: its key holds the weights, the prompts and the probe, so any change
    of these runs the probe anew.

    `folder` may be local or an object store's address; None stores nothing.

    Raises:
        EnvironmentFault: the engine is gone.
    """
    known = known_admission(engine.name, folder, exam)
    if known is not None:
        return known
    result = examine(engine, probe_items(exam), exam)
    _write(folder, admission_key(engine.name, exam), result)
    return result


def admission_key(model: str, exam: Exam = DECIDING) -> str:
    """Hash of the model's identity, the probe and the prompts of its tasks."""
    content = [model, exam.prompts_hash, exam.file.read_text(encoding="utf-8"), MIN_ACCURACY]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def is_right(item: Item) -> bool:
    """Whether the item was answered as labelled; a rating of 3 or more says good."""
    if item.label in ("good", "poor"):
        return item.answer is not None and (int(item.answer) >= GOOD) == (item.label == "good")
    return item.answer == item.label


def examine(engine: TextEngine, items: Sequence[Item], exam: Exam = DECIDING) -> Admission:
    """Ask every item; a reply that failed counts as wrong."""
    replies = engine.generate([item_request(item, exam) for item in items])
    answered = tuple(replace(i, answer=r.text, failure=r.failure) for i, r in zip(items, replies, strict=True))
    accuracy = {}
    for task in dict.fromkeys(item.task for item in items):
        right = [is_right(item) for item in answered if item.task == task]
        accuracy[task] = sum(right) / len(right)
    return Admission(model=engine.name, prompts=exam.prompts_hash, accuracy=accuracy, items=answered)


def _read(folder: str | None, key: str) -> Admission | None:
    if folder is None:
        return None
    fs, root = filesystem(folder)
    path = f"{root.rstrip('/')}/{key}.json"
    if fs.get_file_info(path).type == pafs.FileType.NotFound:
        return None
    with fs.open_input_stream(path) as file:
        return msgspec.json.decode(file.read(), type=Admission)


def _write(folder: str | None, key: str, result: Admission) -> None:
    if folder is None:
        return
    fs, root = filesystem(folder)
    put(fs, f"{root.rstrip('/')}/{key}.json", json.dumps(asdict(result), indent=2, ensure_ascii=False).encode())
