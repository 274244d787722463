"""What a sample is before it is tokens: a conversation, and the pictures and films that it speaks of."""

from collections.abc import Iterator
from dataclasses import dataclass

CAPTION_PROMPTS = {
    "image": (
        "Describe this medical image.",
        "What does this image show?",
        "What can be seen here?",
        "Give a description of the picture as a teacher would.",
        "Explain the findings in this image.",
        "Write a caption for this medical picture.",
        "Summarise what is visible in the image.",
        "What would you point out to a student in this image?",
    ),
    "video": (
        "Describe this medical video.",
        "What does this video show?",
        "What happens in this clip?",
        "Give a description of the film as a teacher would.",
        "Explain what is seen in this video.",
        "Write a caption for this medical clip.",
        "Summarise what is visible in the video.",
        "What would you point out to a student in this clip?",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A picture or a film, where it lies and how large it is. Sizes are upright pixels."""

    kind: str
    """`image` or `video`."""
    uri: str
    """File of the picture or film; for a curated picture, the Parquet file that holds it."""
    image_id: str | None = None
    """Of a curated picture: SHA-256 of its bytes ..."""
    row: int | None = None
    """... and its row in the file."""
    start_s: float = 0.0
    end_s: float = 0.0
    width: int
    height: int
    frames: int = 1
    """Of a film, once its budget is known; width and height are then what it is reduced to."""
    tokens: int = 0
    """Places it takes in the sequence, once its budget is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A question or an answer. `parts` are texts; None stands for the conversation's next picture or film."""

    role: str
    parts: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One conversation."""

    sample_id: str
    turns: tuple[Turn, ...]
    media: tuple[Media, ...] = ()
    task: str = "conversation"
    """One of `train.config.TASKS`."""

    @property
    def kind(self) -> str:
        """`video` if there is a film in it, else `image` if there is a picture, else `text`."""
        kinds = {m.kind for m in self.media}
        return "video" if "video" in kinds else "image" if kinds else "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What cannot be learned from, and why: counted and listed, never silently skipped."""

    sample_id: str
    reason: str
    detail: str = ""


Found = Iterator[Sample | LeftOut]


def conversation(
    sample_id: str, media: Media | None, pairs: tuple[tuple[str, str], ...], task: str = "conversation"
) -> Sample:
    """Questions and answers about one picture or film, which comes before the first question."""
    turns = []
    for number, (question, answer) in enumerate(pairs):
        shown: tuple[str | None, ...] = (None,) if media is not None and number == 0 else ()
        turns += [Turn(role="user", parts=(*shown, question)), Turn(role="assistant", parts=(answer.strip(),))]
    return Sample(sample_id=sample_id, turns=tuple(turns), media=(media,) if media is not None else (), task=task)
