"""A turn on its way: made by a template or a model, then kept as a row of the dataset or dropped with a reason."""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pipelines.instruct_schema import Drop, Dropped, QuestionAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One turn; `number` is its place among those that its family made for the clip."""

    clip_id: str
    family: str
    number: int
    question: str
    answer: str = ""
    options: tuple[str, ...] = ()
    source: str
    prompt: str
    model: str | None = None
    picture_only: bool = False
    reason: Drop | None = None
    """Why it is not kept."""

    @property
    def question_id(self) -> str:
        """The same in every run: clip, family and number make it."""
        return question_id(self.clip_id, self.family, self.number)

    def dropped(self, reason: Drop | None) -> "Draft":
        """With the reason, unless it had one already."""
        return replace(self, reason=self.reason or reason)


def question_id(clip_id: str, family: str, number: int) -> str:
    """Unique in a dataset."""
    return f"{clip_id}/{family}/{number}"


def seeded(seed: int, name: str) -> random.Random:
    """A generator that depends on the seed and the name alone."""
    return random.Random(f"{seed}:{name}")  # noqa: S311 no secret


def in_seeded_order(options: Iterable[str], seed: int, name: str) -> tuple[str, ...]:
    """The options in an order that the question's id decides, so that every letter is right equally often."""
    ordered = sorted(options)
    seeded(seed, name).shuffle(ordered)
    return tuple(ordered)


def settled(video_id: str, drafts: Iterable[Draft]) -> tuple[list[QuestionAnswer], list[Dropped]]:
    """The rows of a video: turns that are kept, numbered anew within their conversation, and those that are not."""
    kept: list[QuestionAnswer] = []
    dropped: list[Dropped] = []
    turns: defaultdict[tuple[str, str], int] = defaultdict(int)
    for d in sorted(drafts, key=lambda d: (d.clip_id, d.family, d.number)):
        if d.reason is not None:
            dropped.append(
                Dropped(
                    video_id=video_id, clip_id=d.clip_id, question_id=d.question_id, family=d.family, source=d.source,
                    prompt=d.prompt, model=d.model, question=d.question, answer=d.answer, options=d.options, reason=d.reason,
                )
            )  # fmt: skip
            continue
        kept.append(
            QuestionAnswer(
                video_id=video_id, clip_id=d.clip_id, turn=turns[d.clip_id, d.family], question=d.question, answer=d.answer,
                options=d.options, family=d.family, source=d.source, prompt=d.prompt, model=d.model,
                question_id=d.question_id, picture_only=d.picture_only,
            )
        )  # fmt: skip
        turns[d.clip_id, d.family] += 1
    return kept, dropped
