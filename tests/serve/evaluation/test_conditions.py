from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import UsageError
from serve.evaluation.conditions import derangement, under
from serve.evaluation.config import Condition
from serve.evaluation.question import Kind, Media, Medium, Question

sources_of = st.lists(st.integers(1, 6), min_size=1, max_size=8).map(
    lambda sizes: {f"{s}.{i}": f"video{s}" for s, size in enumerate(sizes) for i in range(size)}
)


@given(sources_of.filter(lambda s: len(s) > 1), st.integers(0, 5))
def test_everybody_gets_anothers_and_every_item_is_used_once(sources, seed):
    other = derangement(sources, seed)
    assert set(other) == set(sources) == set(other.values())
    assert all(a != b for a, b in other.items())
    assert other == derangement(sources, seed)
    if 2 * max(Counter(sources.values()).values()) <= len(sources):
        assert all(sources[a] != sources[b] for a, b in other.items())


def test_the_seed_decides():
    sources = {str(i): str(i) for i in range(50)}
    assert derangement(sources, 0) != derangement(sources, 1)


def question(number: int, picture: str | None, source: str = "s") -> Question:
    media = (Media(media_id=picture, medium=Medium.IMAGE, read=bytes),) if picture else ()
    return Question(question_id=str(number), source_id=source, text="?", kind=Kind.OPEN, answer="a", media=media)


def test_questions_about_one_picture_get_the_same_other_picture():
    questions = [question(i, f"p{i // 3}", f"v{i // 3}") for i in range(12)]
    asked = under(Condition.SHUFFLED, questions, 0)
    assert [a.question for a in asked] == questions
    given_ids = [a.media[0].media_id for a in asked]
    assert all(g != q.media[0].media_id for g, q in zip(given_ids, questions, strict=True))
    assert [given_ids[i] == given_ids[i - 1] for i in range(1, 12)] == [i % 3 != 0 for i in range(1, 12)]


def test_blind_shows_nothing_and_shown_shows_its_own():
    questions = [question(0, "p"), question(1, None)]
    assert [a.media for a in under(Condition.BLIND, questions, 0)] == [(), ()]
    assert [a.media for a in under(Condition.SHOWN, questions, 0)] == [q.media for q in questions]


def test_without_pictures_there_is_nothing_to_leave_out():
    for condition in (Condition.BLIND, Condition.SHUFFLED):
        with pytest.raises(UsageError, match="no pictures"):
            under(condition, [question(0, None)], 0)
    with pytest.raises(UsageError, match="only one picture"):
        under(Condition.SHUFFLED, [question(0, "p"), question(1, "p")], 0)
