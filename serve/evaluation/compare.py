"""Two runs on the same questions, question by question: what one model has over the other, or pictures over none."""

from dataclasses import dataclass

from pipelines.errors import UsageError
from serve.evaluation.config import Settings
from serve.evaluation.intervals import difference, p_value, ratio
from serve.evaluation.results import Run, points


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The second run against the first, over the questions that have a score in both."""

    first: str
    second: str
    questions: int
    sources: int
    left_out: int
    first_score: float | None
    second_score: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    """Of the difference in points, by exchanging whole sources."""
    first_better: int
    second_better: int
    equal: int
    notes: tuple[str, ...] = ()
    """Settings in which the runs differ beside model and pictures."""


def compare(first: Run, second: Run, settings: Settings) -> Comparison:
    """The paired comparison.

    Raises:
        UsageError: the runs asked different questions, or scored them on different scales.
    """
    a, b = first.identity, second.identity
    for key, what in (
        ("benchmark", "benchmarks"),
        ("questions", "questions"),
        ("open_score", "scores"),
        ("scoring", "versions of the scoring"),
        ("judge", "judges"),
    ):
        if a.get(key) != b.get(key):
            raise UsageError(f"The runs have different {what} ({a.get(key)} and {b.get(key)}): they cannot be compared.")
    one, two = points(first.answers), points(second.answers)
    both = [i for i in one if i in two]
    asked = {x.question_id for run in (first, second) for x in run.answers}
    pairs = [one[i] for i in both], [two[i] for i in both]
    draw = {"seed": settings.seed, "resamples": settings.resamples}
    found = difference(*pairs, confidence=settings.confidence, **draw)  # type: ignore[arg-type]
    scores = [ratio(p, confidence=settings.confidence, **draw) for p in pairs]
    shares = [(p.score / p.score_of, q.score / q.score_of) for p, q in zip(*pairs, strict=True)]
    differing = sorted(k for k in a if k not in ("model", "condition") and a[k] != b.get(k))
    return Comparison(
        first=f"{a['model']} ({a['condition']}) in {first.folder}",
        second=f"{b['model']} ({b['condition']}) in {second.folder}",
        questions=len(both),
        sources=len({one[i].source_id for i in both}),
        left_out=len(asked) - len(both),
        first_score=scores[0].value if scores[0] else None,
        second_score=scores[1].value if scores[1] else None,
        difference=found.value if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        p_value=p_value(*pairs, **draw),  # type: ignore[arg-type]
        first_better=sum(p > q for p, q in shares),
        second_better=sum(p < q for p, q in shares),
        equal=sum(p == q for p, q in shares),
        notes=tuple(f"{k}: {a[k]} in A, {b.get(k)} in B" for k in differing),
    )
