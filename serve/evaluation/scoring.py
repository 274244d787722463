"""From a reply to a score, without the judge: what was chosen, or how far the words agree."""

from dataclasses import dataclass

from serve.evaluation.answer import Part, Reason
from serve.evaluation.config import OpenScore
from serve.evaluation.question import Kind, Question
from serve.evaluation.scorers.choice import choose, without_thoughts
from serve.evaluation.scorers.overlap import overlap
from serve.evaluation.scorers.word import say

VERSION = "3"
"""Part of the fingerprint: raised when the same reply gets another score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A score from 0 to 1; None with a reason where the reply chooses nothing."""

    score: float | None
    chosen: str | None = None
    reason: Reason | None = None
    parts: tuple[Part, ...] = ()


def is_judged(question: Question, measure: OpenScore) -> bool:
    """Whether the judge marks the question: only open ones, and only if there is a judge."""
    return question.kind is Kind.OPEN and measure is OpenScore.JUDGE


def said(reply: str) -> str:
    """The reply without its thoughts; nothing where it was cut off while it thought."""
    return without_thoughts(reply).strip()


def score(question: Question, reply: str, measure: OpenScore) -> Scored:
    """The score of a reply to a question that is not judged; for a judged one its parts alone."""
    reply = said(reply)
    if not reply:
        return Scored(score=None, reason=Reason.EMPTY)
    if question.kind is Kind.OPEN:
        agreed = overlap(reply, question.answer)
        parts = tuple(Part(name=n, value=getattr(agreed, n)) for n in ("exact", "f1", "precision", "recall"))
        return Scored(score=None if measure is OpenScore.JUDGE else getattr(agreed, measure), parts=parts)
    if question.kind is Kind.WORD:
        chosen = say(reply, question.options)
    else:
        index = choose(reply, question.options)
        chosen = None if index is None else question.options[index]
    if chosen is None:
        return Scored(score=None, reason=Reason.NO_CHOICE)
    return Scored(score=float(chosen == question.answer), chosen=chosen)
