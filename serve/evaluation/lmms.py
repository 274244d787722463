"""The held-out questions as a task of lmms-eval: a YAML file, the scorers, the questions with their pictures."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import UsageError
from serve.evaluation.answer import Fault
from serve.evaluation.benchmarks import catalog
from serve.evaluation.config import Settings
from serve.evaluation.prompts import VERSION, prompt
from serve.evaluation.question import Question

ROW_GROUP_ROWS = 64
_SCORERS = Path(__file__).parent / "scorers"


def export_lmms(dataset: Path, target: Path, name: str | None, settings: Settings) -> tuple[int, str]:
    """Write the task to the folder `target`, whole or not at all; returns the number of questions and the task's name.

    Raises:
        UsageError: `target` is not empty, or a picture is not stored.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} exists and is not empty; choose another --out.")
    benchmark, data = catalog.find(str(dataset), None)
    questions = catalog.questions(benchmark, data, settings)
    task = name or re.sub(r"\W+", "_", f"preceptor_{dataset.resolve().name}").lower()
    if not re.fullmatch(r"\w+", task):
        raise UsageError(f"A task's name has letters, digits and underscores only, not '{task}'.")
    target = target.absolute()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        (temporary / "data").mkdir(parents=True)
        _write_questions(questions, temporary / "data" / "test-00000-of-00001.parquet")
        groups = sorted({q.group for q in questions})
        (temporary / f"{task}.yaml").write_text(
            _template("lmms_task.yaml.j2").render(
                task=task,
                source=dataset.resolve().name,
                data_file=str(target / "data" / "test-00000-of-00001.parquet"),
                max_tokens=settings.max_tokens or benchmark.max_tokens,
                metrics=["preceptor_accuracy", *(f"accuracy_{g}" for g in groups), "unparsed"],
                questions=len(questions),
                share=settings.held_out_share,
                prompt_version=VERSION,
            )
        )
        (temporary / "utils.py").write_text(_template("lmms_utils.py.j2").render())
        for scorer in ("choice", "word", "overlap"):
            shutil.copyfile(_SCORERS / f"{scorer}.py", temporary / f"preceptor_{scorer}.py")
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(questions), task


def _write_questions(questions: Sequence[Question], path: Path) -> None:
    schema = _schema()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, len(questions), ROW_GROUP_ROWS):
            rows = [_row(q) for q in questions[start : start + ROW_GROUP_ROWS]]
            writer.write_table(pa.Table.from_pylist(rows, schema))


def _schema() -> Any:
    """The columns, with the metadata that makes `datasets` decode `image`."""
    import datasets

    text = datasets.Value("string")
    names = ("question_id", "video_id", "image_id", "prompt", "question", "answer", "kind", "group", "labelled_by")
    features: dict[str, Any] = dict.fromkeys(names, text)
    return datasets.Features(
        features | {"options": datasets.Sequence(text), "image": datasets.Image()}
    ).arrow_schema


def _row(question: Question) -> dict[str, Any]:
    (media,) = question.media
    try:
        data = media.read()
    except Fault as fault:
        raise UsageError(f"The picture of question '{question.question_id}' cannot be exported: {fault.detail}.") from fault
    return {
        "question_id": question.question_id,
        "video_id": question.source_id,
        "image_id": media.media_id,
        "prompt": prompt(question),
        "question": question.text,
        "answer": question.answer,
        "kind": str(question.kind),
        "group": question.group,
        "labelled_by": question.labelled_by,
        "options": list(question.options),
        "image": {"bytes": data, "path": f"{media.media_id}.jpeg"},
    }


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("serve.evaluation", "templates"),
        autoescape=False,  # noqa: S701 YAML and Python, not HTML
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)
