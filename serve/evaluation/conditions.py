"""The three ways to ask: with the question's own picture, with none, with another question's."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipelines.errors import UsageError
from serve.evaluation.config import Condition
from serve.evaluation.question import Media, Question

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question and what is shown with it."""

    question: Question
    media: tuple[Media, ...]


def under(condition: Condition, questions: Sequence[Question], seed: int) -> list[Asked]:
    """Every question as it is asked under `condition`; the order stays.

    Raises:
        UsageError: there are no pictures to leave out, or too few to exchange.
    """
    if condition is Condition.SHOWN:
        return [Asked(question=q, media=q.media) for q in questions]
    if not any(q.media for q in questions):
        raise UsageError("The questions have no pictures: there is nothing to leave out or to exchange.")
    if condition is Condition.BLIND:
        return [Asked(question=q, media=()) for q in questions]
    shown = {_key(q.media): q for q in questions if q.media}
    other = derangement({key: q.source_id for key, q in shown.items()}, seed)
    return [Asked(question=q, media=shown[other[_key(q.media)]].media if q.media else ()) for q in questions]


def _key(media: Sequence[Media]) -> tuple[str, ...]:
    return tuple(m.media_id for m in media)


def derangement(sources: dict[Key, str], seed: int) -> dict[Key, Key]:
    """Another item for every item, each used once; of another source wherever the sources allow it for all.

    The items are laid in a circle, source beside source in seeded order, and turned by at least the largest source's
    size: so none meets its own source unless one source holds more than half.
    """
    if len(sources) < 2:
        raise UsageError("There is only one picture: it cannot be exchanged for another.")
    order = random.Random(f"shuffled:{seed}")  # noqa: S311 no secret
    by_source: dict[str, list[Key]] = defaultdict(list)
    for key, source in sources.items():
        by_source[source].append(key)
    groups = list(by_source.values())
    order.shuffle(groups)
    for group in groups:
        order.shuffle(group)
    circle = [key for group in groups for key in group]
    largest, count = max(map(len, groups)), len(circle)
    turn = order.randint(largest, count - largest) if 2 * largest <= count else count // 2
    return {key: circle[(place + turn) % count] for place, key in enumerate(circle)}
