"""Every column of `DIR/instruct/*.parquet`: questions and answers about clips, one row a turn."""

import string
from collections.abc import Sequence
from dataclasses import dataclass

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
