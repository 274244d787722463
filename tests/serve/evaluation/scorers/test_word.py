import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.evaluation.scorers.word import say

YES_NO = ("yes", "no")
THREE = ("yes", "no", "maybe")


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("yes", "yes"), ("Yes.", "yes"), ("NO", "no"), ("No, it is not enlarged.", "no"), ("**Yes**", "yes"),
        ('"No"', "no"),
        ("Yes, there is no effusion on the right.", "yes"), ("No it is not", "no"), ("Answer: yes", "yes"),
        ("(No)", "no"),
        ("The answer is no.", "no"), ("Answer is: Yes", "yes"), ("No - the lung is clear", "no"),
        ("Yes\nNo\nYes", "yes"),
        ("The vessel is patent. Therefore, yes.", "yes"), ("The heart is large.\nNo", "no"), ("\\boxed{no}", "no"),
        ('{"answer": "yes"}', "yes"), ("No, not normal", "no"), ("Yes because the valve is thick", "yes"),
        ("no.", "no"),
        ("<think>no</think> Yes", "yes"), ("Looking closely, the answer is: yes.", "yes"), ("No there is none", "no"),
        # the published faults
        ("Normal heart", None), ("Normal", None), ("Nodule in the left lung", None), ("Not enlarged", None),
        ("Nothing", None),
        ("Yesterday's film was clear", None), ("None", None), ("There is not enough to say", None), ("North", None),
        # a noun behind "no": "Is the lung normal?" - "No abnormality is seen." would mean yes
        ("No abnormality is seen", None), ("No evidence of pneumothorax", None), ("no fracture", None),
        ("The answer is no fracture", None),
        # no default
        ("", None), ("I cannot tell.", None), ("The liver is enlarged.", None), ("yes or no", None), ("Yes/No", None),
        ("Yes and no", None), ("Answer with yes or no.", None), ("maybe", None), ("It is possible.", None),
        ("The answer is not yes", None), ("42", None),
    ],
)  # fmt: skip
def test_replies(reply, wanted):
    assert say(reply, YES_NO) == wanted


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [("Maybe.", "maybe"), ("maybe, the sample is small", "maybe"), ("yes or maybe", None), ("No.", "no"),
        ("May be", None)],
)
def test_three_words(reply, wanted):
    assert say(reply, THREE) == wanted


@given(st.sampled_from(THREE), st.sampled_from(["{}", "{}.", "{}, it is.", "Answer: {}", "**{}**", "Clearly seen.\n{}"]))
def test_every_plain_form_is_read(word, form):
    for shown in (word, word.upper(), word.capitalize()):
        assert say(form.format(shown), THREE) == word


long_words = st.from_regex(r"\A(?:No|Yes)[a-z]{1,8}(?: [a-z]{3,8}){0,3}\Z")


@given(long_words.filter(lambda t: t.casefold().split()[-1] not in YES_NO))
def test_a_longer_word_is_neither(reply):
    assert say(reply, YES_NO) is None


@given(st.text(max_size=80))
def test_any_text_gives_a_word_or_none(reply):
    assert say(reply, THREE) in (None, *THREE)
