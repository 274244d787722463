"""A run: load the questions, ask what has no answer yet, score, write. Read this first.

`OUT/<condition>/` holds `run.json` (what makes the rows), `answers.sqlite` (what is known so far) and `results.parquet`
(one row per question); `OUT/table.*` compares the conditions that are there.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import EnvironmentFault, UsageError
from serve.evaluation import conditions, folder, prompts, scoring
from serve.evaluation.asker import Asker
from serve.evaluation.benchmarks import catalog
from serve.evaluation.client import JUDGE_KEY_VARIABLE, KEY_VARIABLE, Client
from serve.evaluation.conditions import Asked
from serve.evaluation.config import Condition, OpenScore, Settings, row_settings
from serve.evaluation.journal import Journal
from serve.evaluation.judge import Judge, Scale, scale
from serve.evaluation.question import Question, digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the command was asked to do."""

    url: str
    model: str
    benchmark: str
    data: Path | None = None
    out: Path | None = None
    limit: int | None = None
    concurrency: int = 16
    condition: Condition = Condition.SHOWN
    judge_url: str | None = None
    judge_model: str | None = None
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        if (self.judge_url is None) != (self.judge_model is None):
            raise UsageError("A judge needs both --judge-url and --judge-model.")
        if self.settings.open_score is OpenScore.JUDGE and self.judge_url is None:
            raise UsageError("open_score=judge needs --judge-url and --judge-model.")

    @property
    def measure(self) -> OpenScore:
        """What counts for open answers."""
        if self.settings.open_score is not OpenScore.AUTO:
            return self.settings.open_score
        return OpenScore.JUDGE if self.judge_url else OpenScore.EXACT

    @property
    def folder(self) -> Path:
        """Where all conditions of this benchmark and model lie."""
        names = (Path(self.benchmark).resolve().name if Path(self.benchmark).is_dir() else self.benchmark, self.model)
        benchmark, model = ("".join(c if c.isalnum() or c in "._-" else "-" for c in n).strip(".-") or "run" for n in names)
        return self.out or Path("results") / benchmark / model


def evaluate(wanted: Evaluation, progress: Callable[[int, int], None] = lambda done, of: None) -> Path:
    """Ask every question that has no answer, and write the results; returns the run's folder.

    Raises:
        UsageError: the request cannot be done, or another run made this folder.
        EnvironmentFault: the server or the judge is out of order; what is answered stays.
    """
    benchmark, data = catalog.find(wanted.benchmark, wanted.data)
    questions = catalog.questions(benchmark, data, wanted.settings)
    asked = conditions.under(wanted.condition, questions, wanted.settings.seed)
    marks = scale(benchmark.scale)
    out = wanted.folder / wanted.condition
    with folder.locked(out):
        folder.open_run(out, _identity(wanted, benchmark, questions, marks))
        folder.write_questions(out, len(asked))
        journal = Journal(out / "answers.sqlite")
        try:
            asyncio.run(_ask_all(wanted, benchmark, marks, asked[: wanted.limit], journal, progress))
        except BaseExceptionGroup as group:
            raise _first(group) from group
        finally:
            journal.write_results(out / "results.parquet", [a.question.question_id for a in asked])
            journal.close()
    return out


def _identity(
    wanted: Evaluation, benchmark: catalog.Benchmark, questions: Sequence[Question], marks: Scale
) -> dict[str, str]:
    """What makes the rows: the same identity continues, another one needs another folder."""
    judged = wanted.measure is OpenScore.JUDGE
    return row_settings(wanted.settings) | {
        "benchmark": benchmark.name,
        "questions": digest(questions),
        "model": wanted.model,
        "condition": str(wanted.condition),
        "prompt": prompts.VERSION,
        "scoring": scoring.VERSION,
        "instruction": benchmark.instruction,
        "max_tokens": str(_max_tokens(wanted, benchmark)),
        "open_score": str(wanted.measure),
        "judge": f"{wanted.judge_model}/{marks.version}" if judged else "none",
    }


def _max_tokens(wanted: Evaluation, benchmark: catalog.Benchmark) -> int:
    return wanted.settings.max_tokens or benchmark.max_tokens


async def _ask_all(
    wanted: Evaluation,
    benchmark: catalog.Benchmark,
    marks: Scale,
    asked: Sequence[Asked],
    journal: Journal,
    progress: Callable[[int, int], None],
) -> None:
    known = journal.statuses()
    pending = [a for a in asked if known.get(a.question.question_id) not in ("ok", "unparsed")]
    progress(len(asked) - len(pending), len(asked))
    if not pending:
        return
    limits = {"timeout_s": wanted.settings.timeout_s, "max_retries": wanted.settings.max_retries}
    client = Client(wanted.url, wanted.model, key_variable=KEY_VARIABLE, **limits)  # type: ignore[arg-type]
    judge_client = Client(
        wanted.judge_url or wanted.url, wanted.judge_model or wanted.model, key_variable=JUDGE_KEY_VARIABLE, **limits  # type: ignore[arg-type]
    )  # fmt: skip
    async with client, judge_client:
        asker = Asker(
            client=client,
            judge=Judge(client=judge_client, scale=marks, tries=wanted.settings.judge_tries),
            measure=wanted.measure,
            instruction=benchmark.instruction,
            max_tokens=_max_tokens(wanted, benchmark),
            settings=wanted.settings,
            journal=journal,
        )
        waiting: Iterator[Asked] = iter(pending)
        done = len(asked) - len(pending)

        async def work() -> None:
            nonlocal done
            for item in waiting:
                await asker.answer(item)
                done += 1
                progress(done, len(asked))

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(wanted.concurrency, len(pending))):
                workers.create_task(work())


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """One reason is enough; a wrong request says more than the faults beside it."""
    flat: list[BaseException] = []
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop()
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
        else:
            flat.append(error)
    order = (UsageError, EnvironmentFault)
    return min(flat, key=lambda e: next((i for i, kind in enumerate(order) if isinstance(e, kind)), -1))
