"""What came back: the columns of `results.parquet`, one row per question, and the reasons why a row has no score."""

from dataclasses import dataclass
from enum import StrEnum

from pipelines.arrow import arrow_schema


class Status(StrEnum):
    """What became of a question."""

    OK = "ok"
    """The reply has a score."""
    UNPARSED = "unparsed"
    """The model replied, but chose none of the options: no score; the table counts it apart, and as not right."""
    FAILED = "failed"
    """There is no reply, or no judgement of it: no score, never averaged in; the same command asks again."""


class Reason(StrEnum):
    """Why a row is not `ok`."""

    EMPTY = "empty"
    NO_CHOICE = "no_choice"

    MEDIA_MISSING = "media_missing"
    MEDIA_UNREADABLE = "media_unreadable"
    MEDIA_TOO_LARGE = "media_too_large"
    REFUSED = "refused"
    CONTENT_FILTER = "content_filter"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    MALFORMED = "malformed"
    JUDGE_MALFORMED = "judge_malformed"
    JUDGE_FAILED = "judge_failed"

    @property
    def status(self) -> Status:
        """Unparsed for a reply without a choice, failed for a fault."""
        return Status.UNPARSED if self in (Reason.EMPTY, Reason.NO_CHOICE) else Status.FAILED


SERVER_FAULTS = frozenset({Reason.RATE_LIMITED, Reason.TIMEOUT, Reason.SERVER_ERROR, Reason.MALFORMED, Reason.JUDGE_FAILED})
"""Faults that a broken server gives to every question."""


class Fault(Exception):
    """This question gets no score; its row says why, and the others go on."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One number that a score is made of."""

    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One row of `results.parquet`."""

    question_id: str
    source_id: str
    group: str
    kind: str
    prompt: str
    """The words that were sent; the pictures are named in `media`."""
    options: tuple[str, ...]
    expected: str
    media: tuple[str, ...]
    """Ids of what was shown: in a shuffled run another question's; none in a blind run."""
    labelled_by: str
    status: Status
    reason: Reason | None = None
    detail: str | None = None
    reply: str | None = None
    finish_reason: str | None = None
    """`length`: the reply was cut off at `max_tokens`."""
    chosen: str | None = None
    """The option that the reply was read as."""
    score: float | None = None
    score_of: float | None = None
    """What `score` is a share of: 1, or the reference answer's own mark (Quilt)."""
    parts: tuple[Part, ...] = ()
    """Exact, F1, precision and recall, or the judge's marks."""
    judge: str | None = None
    judge_replies: tuple[str, ...] = ()
    latency_s: float | None = None
    """Of the request that was answered, without the waits before it."""
    retries: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    attempt: int = 1
    """How many runs asked it."""
    model: str = ""
    asked_at: str = ""


COLUMNS = arrow_schema(Answer)
