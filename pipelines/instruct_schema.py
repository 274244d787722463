"""Every column of `DIR/instruct/*.parquet`: questions and answers about clips, one row a turn."""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

LETTERS = string.ascii_uppercase[:10]
"""Of options, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionAnswer:
    """One turn. A clip's rows of the same family, source, prompt and model are one conversation, in the order of `turn`."""

    video_id: str
    clip_id: str
    turn: int
    question: str
    answer: str
    """Where there are options, one of them."""
    options: tuple[str, ...] = ()
    family: str
    """The kind of question, by which tables are divided."""
    source: str
    """What it was made from or by: `model`, `template` or a person's name."""
    prompt: str | None = None
    """Name and version of the prompt file or template; None where a person asked."""
    model: str | None = None
    """None where no model was asked."""
    question_id: str
    """Unique in the dataset."""
    picture_only: bool = False
    """It is about the clip's picture, and would not fit the clip's film: all turns of a conversation alike."""

    def __post_init__(self) -> None:
        if not self.question.strip() or not self.answer.strip():
            raise ValueError(f"question '{self.question_id}' lacks its words or its answer")
        if self.options and (self.options.count(self.answer) != 1 or not 2 <= len(self.options) <= len(LETTERS)):
            most = len(LETTERS)
            raise ValueError(f"the answer of question '{self.question_id}' is not exactly one of 2 to {most} options")

    @property
    def conversation(self) -> tuple[str, str, str, str]:
        """What the turns of one conversation about a clip have in common."""
        return (self.family, self.source, self.prompt or "", self.model or "")

    def words(self) -> tuple[str, str]:
        """What is asked and what is answered, in words; options are lettered, the answer begins with its letter."""
        if not self.options:
            return self.question, self.answer
        letter = LETTERS[self.options.index(self.answer)]
        return f"{self.question}\n\n{lettered(self.options)}", f"{letter}. {self.answer}"


def lettered(options: Sequence[str]) -> str:
    """The options as a model is asked to choose among them: the same words in training and in evaluation."""
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    return f"{listed}\n\nAnswer with the letter of the right option."


class Drop(StrEnum):
    """Why a turn was made and not kept. A model's reply that failed is the second group."""

    BALANCE = "balance"
    """Its answer is commoner than the others': asked as often, it could be guessed."""
    ANSWER_IN_QUESTION = "answer_in_question"
    PLACE_IN_QUESTION = "place_in_question"
    """The words of the question say where to look."""
    SAID_BEFORE = "said_before"
    """The answer stands in an earlier turn of the conversation."""
    WITHOUT_LOOKING = "without_looking"
    """The text model knew the answer without picture and transcript."""
    QUALITY = "quality"
    """Rated below the gate's bar in both rounds."""
    FORM = "form"
    """Not in the form that was asked for."""
    REPEATED = "repeated"
    """The question was asked before in its conversation."""
    MENTIONS_BOX = "mentions_box"
    MENTIONS_SOURCE = "mentions_source"
    """It speaks of a transcript or a lecturer, which whoever only sees the picture knows nothing of."""
    INCONSISTENT = "inconsistent"
    """Asked with the transcript at hand, the model chose another option."""
    INCOMPLETE = "incomplete"
    """An earlier turn of its conversation, without which it makes no sense, was dropped."""

    LENGTH = "length"
    MALFORMED = "malformed"
    REFUSED = "refused"
    EMPTY = "empty"
    SUPPORT = "support"
    NUMBER = "number"
    SIDE = "side"
    NEGATION = "negation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Every column of `DIR/instruct/dropped/*.parquet`: a turn that was not kept, as far as it got, and why."""

    video_id: str
    clip_id: str
    question_id: str
    family: str
    source: str
    prompt: str
    model: str | None = None
    question: str = ""
    answer: str = ""
    options: tuple[str, ...] = ()
    reason: Drop
