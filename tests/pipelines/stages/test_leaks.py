import pytest

from pipelines.instruct_schema import Drop
from pipelines.stages import leaks


@pytest.mark.parametrize(
    ("question", "answer", "options", "leaks_it"),
    [
        ("Where is the mass?", "in the right lobe", (), False),
        ("Is the mass in the lobe of the liver?", "a lobe of the liver", (), True),
        ("Which fractures are seen?", "a fracture", (), True),
        ("Is there a mass?", "Yes.", (), False),
        ("How many nodules are there?", "3", (), False),
        ("Which lobe holds the mass?", "upper lobe", ("upper lobe", "middle lobe"), False),
        ("Which lobe holds the upper mass?", "upper lobe", ("upper lobe", "middle lobe"), True),
        ("Does the middle lobe hold the mass?", "upper lobe", ("upper lobe", "middle lobe"), False),
    ],
)
def test_the_answer_in_the_question(question, answer, options, leaks_it):
    assert leaks.in_question(question, answer, options) is leaks_it


def test_the_answer_in_what_was_said_before():
    assert leaks.said_before("a haemangioma", ["The image shows a haemangioma of the liver."])
    assert not leaks.said_before("a haemangioma", ["The image shows a mass."])
    assert not leaks.said_before("Yes.", ["Yes."])


@pytest.mark.parametrize("text", ["In the upper lobe.", "To the left of it", "Down here it is dark.", "In the centre, a cell."])
def test_places_are_said(text):
    assert leaks.says_place(text)
    assert not leaks.says_place("Look here at the lateral ventricle, which is dark.")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The mass is in the box.", Drop.MENTIONS_BOX),
        ("The mass lies at 0.25.", Drop.MENTIONS_BOX),
        ("As the lecturer says, it is a mass.", Drop.MENTIONS_SOURCE),
        ("According to the video it grows.", Drop.MENTIONS_SOURCE),
        ("The mass is 2.5 centimetres wide.", None),
    ],
)
def test_what_must_not_be_spoken_of(text, reason):
    assert leaks.mentions(text) is reason
