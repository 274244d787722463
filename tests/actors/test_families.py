"""Families by a text model over HTTP: what is asked, what is kept, and why the rest is not."""

import dataclasses

import pytest

from actors import families as written
from actors.families import Writer, gate
from actors.text_engine import OpenAiEngine, Reply
from pipelines.config import TextSettings
from pipelines.instruct_config import GENERATED, GateSettings, InstructConfig
from pipelines.instruct_schema import Drop
from pipelines.stages.drafts import Draft
from tests.actors.tutor import QA, TEXT, tutor
from tests.pipelines import datasets
from tests.serve.evaluation.chat import Trouble, serving, words

PUBLISHED = GateSettings()


def clip(number=0, text=TEXT):
    made = datasets.clip("v", 20.0 * number, datasets.picture("v", number), text)
    return dataclasses.replace(made, corrected_text=text)


def write(family, *clips, answer=None, gate=PUBLISHED, **says):
    """The family's turns, and the requests that were made."""
    with serving(answer or tutor(**says)) as server:
        text = TextSettings(engine="openai", model="tutor", base_url=server.url)
        config = InstructConfig(recipe="x", text=text, gate=gate)
        drafts = Writer(OpenAiEngine(text, max_retries=0), config)(family, clips or (clip(),))
        return drafts, server.seen


def fields(seen):
    return [r["response_format"]["json_schema"]["name"] for r in seen]


def test_questions_open_and_with_options():
    drafts, seen = write("qa")
    families = zip(("qa_open", "qa_choice", "qa_open"), range(3), QA, strict=True)
    made = [(d.family, d.number, d.question) for d in sorted(drafts, key=lambda d: d.number)]
    assert made == list(families)
    assert [d.reason for d in drafts] == [None] * 3
    assert {d.answer for d in drafts} == {answer for answer, _ in QA.values()}
    (choice,) = [d for d in drafts if d.options]
    assert set(choice.options) == {"four centimetres", "two centimetres", "ten centimetres", "one centimetre"}
    assert (choice.source, choice.model) == ("model", "tutor")
    assert choice.prompt == "instruct/question@1, instruct/answer@1, instruct/options@1, instruct/understanding@1"
    assert all(r["response_format"]["json_schema"]["schema"]["properties"].keys() == {f} for r, f in
               zip(seen, fields(seen), strict=True))  # fmt: skip


def test_punctuation_does_not_mark_the_right_option():
    open_one = Draft(clip_id="c", family="qa_choice", number=0, question="Where?", answer="In the liver.", source="model",
                     prompt="p")  # fmt: skip
    made = written._optioned(open_one, Reply(text="In the kidney.; In the spleen; In the lung"), 0)
    assert made.answer == "In the liver"
    assert set(made.options) == {"In the liver", "In the kidney", "In the spleen", "In the lung"}
    wordless = dataclasses.replace(open_one, answer=".")
    four = Reply(text="In the kidney; In the spleen; In the lung; In the liver")
    assert written._optioned(wordless, four, 0).reason is Drop.FORM


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"options": "in the spleen; in the kidney"}, Drop.FORM),
        ({"options": "Four centimetres; b; c"}, Drop.FORM),
        ({"understanding": lambda asked: next(x for x in "ABCD" if f"{x}: two" in asked)}, Drop.INCONSISTENT),
    ],
)
def test_options_that_do_not_hold(says, reason):
    drafts, _ = write("qa", **says)
    assert {d.number: d.reason for d in drafts} == {0: None, 1: reason, 2: None}


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"detail": "A cyst of the kidney."}, Drop.SUPPORT),
        ({"detail": "The mass in the left lobe of the liver."}, Drop.SIDE),
        ({"detail": "The mass is nine centimetres wide."}, Drop.NUMBER),
        ({"detail": "No mass in the right lobe of the liver."}, Drop.NEGATION),
        ({"detail": ""}, Drop.EMPTY),
        ({"detail": "In the box, the mass of the liver."}, Drop.MENTIONS_BOX),
        ({"detail": "The lecturer says: the mass of the liver."}, Drop.MENTIONS_SOURCE),
    ],
)
def test_a_text_says_what_was_said_or_is_dropped(says, reason):
    (draft,), _ = write("detail", **says)
    assert draft.reason is reason


def test_failed_replies_are_reasons():
    (draft,), _ = write("detail", answer=lambda r: Trouble(content='{"detail": "half', finish="length"))
    assert (draft.reason, draft.answer) == (Drop.LENGTH, "")
    (draft,), _ = write("detail", answer=lambda r: "no JSON")
    assert draft.reason is Drop.MALFORMED


def test_boxes_are_told_and_not_asked_of_those_who_need_none():
    _, seen = write("conversation")
    assert "x 0.56 to 0.74, y 0.25 to 0.50" in words(seen[0])
    _, seen = write("qa")
    assert all("x 0.56" not in words(r) for r in seen)


def test_a_conversation_does_not_ask_twice():
    drafts, _ = write("conversation", conversation_question="Where does the mass sit?")
    assert [d.reason for d in drafts] == [None, Drop.REPEATED, Drop.REPEATED]


def test_a_good_source_gets_a_detailed_description_then_the_diagnosis():
    drafts, seen = write("description")
    assert [(d.number, d.answer[:9], d.reason) for d in drafts] == [(0, "The image", None), (1, "a haemang", None)]
    assert fields(seen) == ["quality", "description", "diagnosis"]


@pytest.mark.parametrize(("second", "reasons"), [("3", [None, None]), ("2", [Drop.QUALITY, Drop.INCOMPLETE])])
def test_the_second_round_is_concise_and_rated_itself(second, reasons):
    drafts, seen = write("description", quality=lambda asked: second if '"The image' in asked else "2")
    assert fields(seen)[:3] == ["quality", "concise", "quality"]
    assert [d.reason for d in drafts] == reasons
    assert drafts[0].answer == "The image shows a mass in the liver."


def test_a_description_of_another_form_goes_to_the_second_round():
    drafts, seen = write("description", description="A mass in the right lobe of the liver.")
    assert fields(seen) == ["quality", "description", "concise", "quality", "diagnosis"]
    assert drafts[0].reason is None
    drafts, _ = write("description", description="A mass.", concise="A mass in the liver.")
    assert [d.reason for d in drafts] == [Drop.FORM, Drop.INCOMPLETE]


def test_the_bar_of_the_gate():
    assert [gate(Reply(text=str(q)), 3) for q in range(6)] == [Drop.QUALITY] * 3 + [None] * 3
    assert gate(Reply(failure="malformed"), 3) is Drop.MALFORMED


def test_reasoning_draws_on_the_whole_lecture_and_reveals_nothing():
    here = clip(1, "The liver has a mass, look at its rim after contrast.")
    drafts, _ = write("reasoning", clip(), here)
    assert [d.reason for d in drafts] == [None, None]
    drafts, _ = write("reasoning", reasoning_question="Why is it a haemangioma?")
    assert [d.reason for d in drafts] == [Drop.ANSWER_IN_QUESTION]
    drafts, seen = write("reasoning", clues="")
    assert ([d.reason for d in drafts], fields(seen)) == ([Drop.EMPTY], ["clues"])


def test_a_dialogue_ends_when_the_student_is_right_and_the_mark_of_the_end_goes():
    drafts, seen = write("iterative")
    assert [(d.question, d.answer, d.reason) for d in drafts] == [
        ("Is it a cyst?", "See the rim, which enhances after contrast.", None),
        ("It is a haemangioma.", "It is a haemangioma, its rim enhances after contrast.", None),
    ]
    assert fields(seen) == ["clues", "student", "mentor", "student", "mentor"]
    assert "hint: do not name" in words(seen[2])
    assert "last: say" in words(seen[4])
    (only,), _ = write("iterative", student="It is a haemangioma.")
    assert only.reason is None


@pytest.mark.parametrize(("share", "exchanges"), [(0.0, 2), (1.0, 3)])
def test_a_dialogue_is_as_long_as_published(share, exchanges):
    hint = "See the rim, which enhances after contrast."
    drafts, seen = write("iterative", gate=GateSettings(long_share=share), student="Is it a cyst?", mentor=hint)
    assert len(drafts) == exchanges
    assert ["last: say" in words(r) for r in seen if "<stage>" in words(r)] == [False] * (exchanges - 1) + [True]


@pytest.mark.parametrize("family", GENERATED)
def test_clips_without_words_have_no_turns(family):
    assert write(family, clip(text=" "))[0] == []
