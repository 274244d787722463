"""Questions that a text model answers without the picture."""

from actors.blind import ORDERS, known_without_looking
from actors.text_engine import OpenAiEngine
from pipelines.config import TextSettings
from pipelines.stages.drafts import Draft
from tests.actors.tutor import tutor
from tests.serve.evaluation.chat import Trouble, serving, words

OPTIONS = ("the liver", "the spleen", "the kidney", "the lung")


def draft(answer="the liver", options=OPTIONS, number=0):
    return Draft(clip_id="c", family="qa", number=number, question="Which organ is this?", answer=answer, options=options,
                 source="model", prompt="p@1")  # fmt: skip


def known(drafts, answer=None, **says):
    with serving(answer or tutor(**says)) as server:
        engine = OpenAiEngine(TextSettings(engine="openai", model="tutor", base_url=server.url), max_retries=0)
        return known_without_looking(engine, drafts, 0), server.seen


def chooses(option):
    return lambda asked: next(letter for letter in "ABCD" if f"{letter}: {option}" in asked)


def test_an_answer_that_is_known_in_every_order():
    found, seen = known([draft()], knowledge=chooses("the liver"))
    assert (found, len(seen)) == ([True], ORDERS)
    assert len({words(r) for r in seen}) == ORDERS
    assert known([draft()], knowledge=chooses("the spleen"))[0] == [False]


def test_a_letter_that_is_always_said_knows_little():
    found, _ = known([draft(number=n) for n in range(64)], knowledge="A")
    assert 0 <= sum(found) < 14  # 1 in 16 by chance


def test_open_questions():
    assert known([draft(options=())], guess="It is the liver.")[0] == [True]
    assert known([draft(options=())], guess="It is the spleen.")[0] == [False]
    assert known([draft("a long tale " * 30, ())]) == ([False], [])


def test_a_reply_that_failed_knows_nothing():
    assert known([draft(), draft(options=())], answer=lambda r: Trouble(content="{", finish="length"))[0] == [False, False]
    assert known([]) == ([], [])
