from pipelines.instruct_schema import Drop
from pipelines.stages.drafts import Draft, settled


def draft(number, reason=None, family="qa_open", clip="c"):
    return Draft(clip_id=clip, family=family, number=number, question=f"{number}?", answer="Yes.", source="model",
                 prompt="p@1", model="m", reason=reason)  # fmt: skip


def test_kept_turns_are_numbered_anew_and_ids_stay():
    kept, dropped = settled("v", [draft(2), draft(1, Drop.LENGTH), draft(0), draft(1, family="detail")])
    assert [(k.family, k.turn, k.question_id) for k in kept] == [
        ("detail", 0, "c/detail/1"), ("qa_open", 0, "c/qa_open/0"), ("qa_open", 1, "c/qa_open/2"),
    ]  # fmt: skip
    assert [(d.question_id, d.reason, d.question) for d in dropped] == [("c/qa_open/1", Drop.LENGTH, "1?")]


def test_the_first_reason_stays():
    assert draft(0, Drop.LENGTH).dropped(Drop.SUPPORT).reason is Drop.LENGTH
    assert draft(0, Drop.LENGTH).dropped(None).reason is Drop.LENGTH
    assert draft(0).dropped(None).reason is None
