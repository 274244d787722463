"""The table of one model on one benchmark: every condition, every group, with intervals and what is not in the score."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq

from pipelines.arrow import arrow_table
from serve.evaluation.answer import Answer, Status
from serve.evaluation.config import Condition, Settings
from serve.evaluation.intervals import Estimate, Point, quotient, ratio
from serve.evaluation.question import Kind
from serve.evaluation.results import Run, points

ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One condition and group."""

    condition: Condition
    group: str
    questions: int
    """With a row."""
    sources: int
    score: float | None
    """Points over possible points, of all questions that did not fail; an unparsed reply is not right."""
    low: float | None
    high: float | None
    method: str
    parsed_score: float | None
    """The same, of the replies that chose something."""
    commonest: float | None
    """What always choosing the commonest right answer would reach, where there is something to choose. Where options
    differ from question to question, the source that asks for an answer most often is left out of its count."""
    ok: int
    unparsed: int
    failed: int
    cut_off: int
    """Replies that ran into `max_tokens`."""
    f1: float | None
    """Mean word overlap of open answers."""
    recall: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """How much of the score needs no looking: a condition without the right picture over the one with it."""

    condition: Condition
    questions: int
    """Answered under both."""
    share: float | None
    low: float | None
    high: float | None
    why_not: str = ""
    """Why the two runs cannot be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What `table.json` says."""

    benchmark: str
    model: str
    open_score: str
    judge: str
    confidence: float
    questions: int
    """Of the benchmark."""
    lines: tuple[Line, ...]
    looking: tuple[Looking, ...]


def table(runs: Sequence[Run], settings: Settings) -> Table:
    """The table of the conditions in `runs`, the first of them named."""
    first = runs[0]
    lines = []
    for run in runs:
        groups = sorted({a.group for a in run.answers if a.group})
        lines.append(_line(run.condition, ALL, run.answers, settings))
        if len(groups) > 1:
            lines += [_line(run.condition, g, [a for a in run.answers if a.group == g], settings) for g in groups]
    shown = next((r for r in runs if r.condition is Condition.SHOWN), None)
    others = [r for r in runs if r.condition is not Condition.SHOWN]
    return Table(
        benchmark=first.identity["benchmark"],
        model=first.identity["model"],
        open_score=first.identity["open_score"],
        judge=first.identity["judge"],
        confidence=settings.confidence,
        questions=first.questions,
        lines=tuple(lines),
        looking=tuple(_looking(shown, other, settings) for other in others) if shown else (),
    )


def _line(condition: Condition, group: str, answers: Sequence[Answer], settings: Settings) -> Line:
    counted = list(points(answers).values())
    estimate, among_parsed = _ratio(counted, settings), _ratio(_parsed(answers), settings)
    count = Counter(a.status for a in answers)
    latencies = [a.latency_s for a in answers if a.latency_s is not None]
    return Line(
        condition=condition,
        group=group,
        questions=len(answers),
        sources=len({p.source_id for p in counted}),
        score=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        method=estimate.method if estimate else "none",
        parsed_score=among_parsed.value if among_parsed else None,
        commonest=_commonest(answers),
        ok=count[Status.OK],
        unparsed=count[Status.UNPARSED],
        failed=count[Status.FAILED],
        cut_off=sum(a.finish_reason == "length" for a in answers),
        f1=_mean(answers, "f1"),
        recall=_mean(answers, "recall"),
        latency_p50_s=float(np.quantile(latencies, 0.5)) if latencies else None,
        latency_p95_s=float(np.quantile(latencies, 0.95)) if latencies else None,
    )


def _parsed(answers: Sequence[Answer]) -> list[Point]:
    return list(points(a for a in answers if a.status is Status.OK).values())


def _ratio(counted: Sequence[Point], settings: Settings) -> Estimate | None:
    return ratio(counted, seed=settings.seed, resamples=settings.resamples, confidence=settings.confidence)


def _mean(answers: Sequence[Answer], name: str) -> float | None:
    values = [p.value for a in answers if a.status is Status.OK for p in a.parts if p.name == name]
    return float(np.mean(values)) if values else None


def _commonest(answers: Sequence[Answer]) -> float | None:
    """Per group, since what is common in one need not be an option in the other; of questions with options alone.

    Answers that are equally common share the guess. Where options differ, the source that asks for an answer most often is
    left out of its count, for every answer alike: of answers that are asked for once, the right one would else be the
    commonest of its options.
    """
    closed = [a for a in answers if a.kind != Kind.OPEN and a.status is not Status.FAILED]
    if not closed or len(closed) < sum(a.status is not Status.FAILED for a in answers):
        return None
    groups: dict[str, list[Answer]] = {}
    for a in closed:
        groups.setdefault(a.group, []).append(a)
    return sum(sum(_guessed(group)) for group in groups.values()) / len(closed)


def _guessed(answers: Sequence[Answer]) -> Iterator[float]:
    """For each question the chance that its commonest option is right."""
    often = Counter(a.expected for a in answers)
    if len({frozenset(a.options) for a in answers}) > 1:
        most = Counter[str]()
        for (answer, _), n in Counter((a.expected, a.source_id) for a in answers).items():
            most[answer] = max(most[answer], n)
        often.subtract(most)
    for a in answers:
        highest = max(often[option] for option in a.options)
        commonest = [option for option in a.options if often[option] == highest]
        yield (a.expected in commonest) / len(commonest)


def _looking(shown: Run, other: Run, settings: Settings) -> Looking:
    differing = sorted(k for k in shown.identity if k != "condition" and shown.identity[k] != other.identity.get(k))
    if differing:
        why = f"the runs differ in {', '.join(differing)}"
        return Looking(condition=other.condition, questions=0, share=None, low=None, high=None, why_not=why)
    with_it, without = points(shown.answers), points(other.answers)
    both = [i for i in with_it if i in without]
    estimate = quotient(
        [without[i] for i in both], [with_it[i] for i in both],
        seed=settings.seed, resamples=settings.resamples, confidence=settings.confidence,
    )  # fmt: skip
    return Looking(
        condition=other.condition,
        questions=len(both),
        share=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        why_not="" if estimate else "nothing was right with the pictures" if both else "no question has an answer in both",
    )


def write(found: Table, folder: Path) -> None:
    """`table.json` (everything) and `table.parquet` (the lines)."""
    (folder / "table.json").write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2))
    pq.write_table(arrow_table(found.lines, Line), folder / "table.parquet")
