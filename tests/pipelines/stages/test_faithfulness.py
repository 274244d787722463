import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.config import TextSettings
from pipelines.stages.faithfulness import judge, support, tokens

SAID = (
    "Okay so here you see the chest x-ray. There is no pneumothorax and the left lower lobe shows a consolidation of "
    "three centimeters. The heart isn't enlarged. Look at the right kidney with two cysts, all right."
)


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("Chest x-ray with consolidation of 3 centimeters in the left lower lobe, no pneumothorax.", None),
        ("Right kidney with two cysts.", None),
        ("The heart is not enlarged.", None),
        ("Left lower lobe consolidation of 3 centimeters without pneumothorax", None),
        ("The right lower lobe shows consolidation.", "side"),
        ("Kidney with two cysts.", "side"),
        ("Bilateral kidney with two cysts.", "side"),
        ("Right kidney with three cysts.", "number"),
        ("Two consolidation areas in the chest.", "number"),
        ("Left heart.", "side"),
        ("Right kidney with cysts.", "number"),
        ("A consolidation of 4 centimeters.", "number"),
        ("Chest x-ray shows pneumothorax.", "negation"),
        ("The heart is enlarged.", "negation"),
        ("No consolidation of three centimeters.", "negation"),
        ("A recipe for bread with plenty of flour.", "support"),
        ("Chest x-ray of a smoker aged with emphysema.", "support"),
        ("", "empty"),
        ("Here it is.", "empty"),
    ],
)
def test_judgement(text, failure):
    assert judge(text, SAID, TextSettings())[1] == failure


def test_support_is_the_share_of_content_words():
    assert support("a fracture of the tibia", "fractures here in the femur") == 0.5
    assert support("the", "the") == 0.0


def test_threshold_is_the_setting():
    text, said = "fracture of the tibia", "a fracture of the femur"
    assert judge(text, said, TextSettings(min_support=0.5)) == (0.5, None)
    assert judge(text, said, TextSettings(min_support=0.51)) == (0.5, "support")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Twenty five mm", ["25", "mm"]), ("1,000 cells", ["1000", "cells"]), ("3.0 or 3.5", ["3", "or", "3.5"]),
     ("It isn\u2019t", ["it", "is", "n't"]), ("left-sided", ["left", "sided"]), ("twenty ten", ["20", "10"])],
)  # fmt: skip
def test_tokens(text, expected):
    assert tokens(text) == expected


def test_discourse_right_is_no_side():
    assert judge("The kidney has a cyst.", "Right here, right, the kidney has a cyst.", TextSettings())[1] is None


@given(
    st.lists(
        st.sampled_from(
            ["left", "right", "no", "not", "kidney", "liver", "cyst", "fracture", "three", "4", "shows", ",", ".", "and",
             "the", "x-ray", "isn't"]
        ),
        max_size=25,
    )
)  # fmt: skip
@example(["three", "left", "left", "left", "left", "left", "kidney"])
def test_a_transcript_is_faithful_to_itself(words):
    text = " ".join(words)
    share, failure = judge(text, text, TextSettings())
    assert (share, failure) in ((1.0, None), (0.0, "empty"))


@given(st.sampled_from(["kidney", "liver", "lobe"]), st.sampled_from(["left", "right"]))
def test_a_swapped_side_never_passes(organ, side):
    other = {"left": "right", "right": "left"}[side]
    said = f"Here the {side} {organ} is enlarged."
    assert judge(f"The {side} {organ} is enlarged.", said, TextSettings())[1] is None
    assert judge(f"The {other} {organ} is enlarged.", said, TextSettings())[1] == "side"
