"""Reading `results.parquet` back: a run with its rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import UsageError
from serve.evaluation.answer import Answer, Status
from serve.evaluation.config import Condition
from serve.evaluation.folder import identity_of, questions_of
from serve.evaluation.intervals import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One condition's results."""

    folder: Path
    identity: dict[str, str]
    questions: int
    """How many the benchmark has, asked or not."""
    answers: tuple[Answer, ...]

    @property
    def condition(self) -> Condition:
        """What was shown."""
        return Condition(self.identity["condition"])


def read_run(folder: Path) -> Run:
    """The run in `folder`, or the one with pictures in the folder of several.

    Raises:
        UsageError: there is none, or its rows cannot be read.
    """
    if not (folder / "run.json").exists() and (folder / Condition.SHOWN / "run.json").exists():
        folder = folder / Condition.SHOWN
    identity, path = identity_of(folder), folder / "results.parquet"
    try:
        rows = pq.read_table(path).to_pylist()
        answers = tuple(msgspec.convert(r, Answer) for r in rows)
    except (OSError, pa.ArrowException, msgspec.ValidationError) as error:
        raise UsageError(f"{path} cannot be read: {str(error).splitlines()[0]}; run the same evaluation again.") from error
    return Run(folder=folder, identity=identity, questions=questions_of(folder), answers=answers)


def runs_in(folder: Path) -> list[Run]:
    """The conditions that are there: shown, blind, shuffled."""
    return [read_run(folder / c) for c in Condition if (folder / c / "results.parquet").exists()]


def points(answers: Iterable[Answer]) -> dict[str, Point]:
    """What each question adds to the score: nothing where it failed; an unparsed reply is not right."""
    found = {}
    for a in answers:
        if a.status is Status.OK and a.score is not None and a.score_of:
            found[a.question_id] = Point(source_id=a.source_id, score=a.score, score_of=a.score_of)
        elif a.status is Status.UNPARSED:
            found[a.question_id] = Point(source_id=a.source_id, score=0.0)
    return found
