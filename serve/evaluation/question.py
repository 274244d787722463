"""What is asked: a question, its expected answer, and the pictures or film it is about."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from serve.evaluation.answer import Fault, Reason


class Kind(StrEnum):
    """How the reply is read."""

    OPTIONS = "options"
    """One of the lettered `options`."""
    WORD = "word"
    """One of the bare words in `options`: yes and no, with or without maybe."""
    OPEN = "open"
    """Free text."""


class Medium(StrEnum):
    """What a file is sent as."""

    IMAGE = "image"
    VIDEO = "video"


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One picture or film, read only when its question is asked. Equal ids mean the same content."""

    media_id: str
    medium: Medium
    read: Callable[[], bytes] = field(compare=False, repr=False)
    """Raises `Fault` where there is nothing to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One row of a benchmark."""

    question_id: str
    source_id: str
    """The video, picture, study or document that it comes from: questions of one source are not independent."""
    text: str
    kind: Kind
    answer: str
    """The expected answer; for `options` and `word` one of the options."""
    options: tuple[str, ...] = ()
    media: tuple[Media, ...] = ()
    context: str = ""
    """Text to read before the question."""
    group: str = ""
    """The stratum that the table shows apart."""
    labelled_by: str = ""
    """Who says that the answer is right, where it was not a person."""
    notes: str = ""
    """What only the judge is shown (Quilt: the picture's caption)."""

    def __post_init__(self) -> None:
        if self.kind is not Kind.OPEN and self.options.count(self.answer) != 1:
            raise ValueError(f"the answer '{self.answer}' is not exactly one of {self.options}")


def file_media(path: Path | None, medium: Medium, name: str) -> Media:
    """The file at `path`, known by `name`; None where none was found."""

    def read() -> bytes:
        if path is None:
            raise Fault(Reason.MEDIA_MISSING, f"there is no file for {name}")
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise Fault(Reason.MEDIA_MISSING, f"there is no file {path}") from error
        except OSError as error:
            raise Fault(Reason.MEDIA_UNREADABLE, f"{path}: {error.strerror}") from error

    return Media(media_id=name, medium=medium, read=read)


def digest(questions: Sequence[Question]) -> str:
    """Sixteen hex digits over what is asked, in order: two runs with one digest asked the same."""
    said = [
        (q.question_id, q.source_id, q.text, q.kind, q.answer, q.options, q.context, q.notes, [m.media_id for m in q.media])
        for q in questions
    ]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:16]
