"""The admission probe: may a text model decide? Run once per model and prompts, and stored with the dataset."""

import hashlib
import json
import os
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import pyarrow.fs as pafs

from actors.text_engine import Request, TextEngine
from pipelines.image_file import filesystem
from pipelines.stages import prompts
from pipelines.stages.rules import MODALITIES, REGIONS, RELEVANCE

PROBE = Path(__file__).parents[1] / "pipelines" / "data" / "admission.toml"
SHIPPED = PROBE.with_name("admissions")
MIN_ACCURACY = 0.8
"""Unpublished. Chance is 0.5, 1/12 and 1/11; a person who knows the lists scores above 0.95."""
CHOICES = {"relevance": RELEVANCE, "modality": MODALITIES, "region": REGIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question of the probe; `answer` is None where the reply was a typed failure."""

    task: str
    text: str
    label: str
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


def decision_request(task: str, transcript: str) -> Request:
    """A closed-set question about a transcript."""
    prompt = prompts.load(task)
    choices = CHOICES[task]
    return Request(system=prompt.system, user=prompt.render(transcript), max_tokens=48, field=task, choices=choices)


def probe_items() -> tuple[Item, ...]:
    """The labelled probe, `pipelines/data/admission.toml`."""
    tables = tomllib.loads(PROBE.read_text(encoding="utf-8"))
    return tuple(Item(task=task, **item) for task in CHOICES for item in tables[task])


def admit(engine: TextEngine, folder: str | None) -> Admission:
    """The stored result for this model, probe and prompts; else the probe is run, and stored in `folder`.

    The starter model's result ships with the project: its key holds the weights, the prompts and the probe, so any change
    of these runs the probe anew.

    `folder` may be local or an object store's address; None stores nothing.

    Raises:
        EnvironmentFault: the engine is gone.
    """
    key = admission_key(engine.name)
    stored = _read(folder, key)
    if stored is not None:
        return stored
    result = _read(str(SHIPPED), key) or examine(engine, probe_items())
    _write(folder, key, result)
    return result


def admission_key(model: str) -> str:
    """Hash of the model's identity, the probe and the prompts of the decisions."""
    content = [model, prompts.content_hash(*prompts.DECISIONS), PROBE.read_text(encoding="utf-8"), MIN_ACCURACY]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def examine(engine: TextEngine, items: Sequence[Item]) -> Admission:
    """Ask every item; a reply that failed counts as wrong."""
    replies = engine.generate([decision_request(item.task, item.text) for item in items])
    answered = tuple(
        Item(task=i.task, text=i.text, label=i.label, answer=r.text, failure=r.failure)
        for i, r in zip(items, replies, strict=True)
    )
    accuracy = {}
    for task in dict.fromkeys(item.task for item in items):
        right = [item.answer == item.label for item in answered if item.task == task]
        accuracy[task] = sum(right) / len(right)
    return Admission(
        model=engine.name, prompts=prompts.content_hash(*prompts.DECISIONS), accuracy=accuracy, items=answered
    )


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
    """Whole or not at all: object stores write so by themselves; two actors write the same bytes."""
    if folder is None:
        return
    fs, root = filesystem(folder)
    fs.create_dir(root, recursive=True)
    path = f"{root.rstrip('/')}/{key}.json"
    local = isinstance(fs, pafs.LocalFileSystem)
    target = f"{path}.{os.getpid()}.tmp" if local else path
    with fs.open_output_stream(target) as file:
        file.write(json.dumps(asdict(result), indent=2, ensure_ascii=False).encode())
    if local:
        fs.move(target, path)
