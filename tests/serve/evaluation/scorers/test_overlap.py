import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.evaluation.scorers.overlap import Overlap, overlap, words


@pytest.mark.parametrize(
    ("reply", "expected", "wanted"),
    [
        ("Appendix.", "appendix", (1, 1, 1, 1)),
        ("the left kidney", "Left kidney.", (1, 1, 1, 1)),
        ("left kidney", "kidney, left", (0, 1, 1, 1)),
        ("the kidney is enlarged", "kidney", (0, 0.5, 1 / 3, 1)),
        ("kidney", "left kidney", (0, 2 / 3, 1, 0.5)),
        ("kidney kidney kidney", "kidney", (0, 0.5, 1 / 3, 1)),
        ("liver", "kidney", (0, 0, 0, 0)),
        ("", "kidney", (0, 0, 0, 0)),
        ("...", "kidney", (0, 0, 0, 0)),
        ("Xray", "X-ray", (1, 1, 1, 1)),
        ("X ray", "x-ray", (1, 1, 1, 1)),
        ("1.5 cm", "15 cm", (0, 0.5, 0.5, 0.5)),
        ("A", "a", (1, 1, 1, 1)),
        ("肝脏", "肝脏。", (1, 1, 1, 1)),
        ("左肝", "肝", (0, 2 / 3, 0.5, 1)),
        ("nerves", "nerve", (0, 0, 0, 0)),
        ("ER+", "er +", (1, 1, 1, 1)),
        ("+", "+", (1, 1, 1, 1)),
        ("ER+", "ER-", (0, 0.5, 0.5, 0.5)),
        ("-5 dB", "5 dB", (0, 0.5, 0.5, 0.5)),
    ],
)
def test_pairs(reply, expected, wanted):
    got = overlap(reply, expected)
    assert (got.exact, got.f1, got.precision, got.recall) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ER+", "ER-"), ("HER2 (+)", "HER2 (-)"), ("ER+/PR-", "ER-/PR+"), ("+/+", "-/-"), ("ER +", "ER -"),
        ("ER\u2212", "ER+"), ("+", "-"), (">5", "<5"), ("≥5", "≤5"), (">= 5", "> 5"), ("> 5 cm", "< 5 cm"), ("-5", "5"),
        ("(-5)", "(5)"), ("\u22125", "5"), ("<-5", "<5"), (".5", "5"), ("-.5", "-5"), ("-.5", ".5"), ("-5", "+5"),
    ],
)  # fmt: skip
def test_signs_and_points_that_carry_meaning_stay(one, other):
    assert overlap(one, other).exact == overlap(other, one).exact == 0
    assert overlap(one, one).exact == overlap(other, other).exact == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x-ray", ["x-ray"]), ("T2-weighted", ["t", "2", "weighted"]), ("left-sided", ["left", "sided"]),
        ("5-10 mm", ["5", "10", "mm"]), ("5%-10%", ["5", "10"]), ("5\u201310", ["5", "10"]), ("L4-5", ["l", "4", "5"]),
        ("IL-6", ["il", "6"]), ("yes - left lung", ["yes", "left", "lung"]), ("- left lung", ["left", "lung"]),
        ("A -> B", ["b"]), ("lung--left", ["lung", "left"]), ("---", []), ("0.5", ["0.5"]), (".5", ["0.5"]),
        ("Fig.5", ["fig", "5"]), ("+5", ["5"]), ("<= 5", ["≤", "5"]), ("ER-.", ["er", "-"]),
        ("CD4+ T-cells", ["cd", "4", "+", "t", "cells"]),
    ],
)  # fmt: skip
def test_hyphens_dashes_and_ranges_are_no_signs(text, found):
    assert words(text) == found


@given(st.text(max_size=40), st.text(max_size=40))
def test_shares_and_symmetry(a, b):
    forth, back = overlap(a, b), overlap(b, a)
    assert all(0 <= v <= 1 for v in (forth.exact, forth.f1, forth.precision, forth.recall))
    assert (forth.precision, forth.recall, forth.exact) == (back.recall, back.precision, back.exact)
    assert forth.exact <= forth.f1 + 1e-12


@given(st.text(alphabet="abcxyz ", min_size=1).filter(str.strip))
def test_a_text_agrees_with_itself(text):
    assert overlap(text, text) == Overlap(exact=1, f1=1, precision=1, recall=1)
