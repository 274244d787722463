import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import vocabulary
from pipelines.config import TextSettings
from pipelines.schema import Clip, Correction, Domain
from pipelines.stages.correction import apply, correct, figures, is_flagged, parse_proposals

WORDS = vocabulary.load()
SETTINGS = TextSettings()


def corrected(text, proposed=None):
    return correct(text, WORDS, SETTINGS, proposed)


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("Here you see a pnumonia in the left lobe.", "Here you see a pneumonia in the left lobe."),
        ("An oste arthritis of the knee.", "An osteoarthritis of the knee."),
        ("The ventrical is enlarged.", "The ventricle is enlarged."),
        ("Carcanoma again, carcanoma here.", "Carcinoma again, carcinoma here."),
    ],
)
def test_misheard_terms_are_replaced(heard, meant):
    assert corrected(heard).text == meant


@pytest.mark.parametrize(
    "text",
    ["Doctor Kowalski shows the pneumothorax and an air bronchogram.", "We look at the MRI with FLAIR and the GRE images.",
     "Thank you very much for watching this video.", ""],
)  # fmt: skip
def test_known_words_names_and_abbreviations_stay(text):
    assert corrected(text).text == text


def test_a_flagged_word_without_a_near_term_is_recorded_and_kept():
    (found,) = corrected("The zzyzxqq is here.").corrections
    assert (found.wrong, found.kind, found.verified) == ("zzyzxqq", "conditioned", False)
    assert "zzyzxqq" in corrected("The zzyzxqq is here.").text


def test_opposite_prefixes_are_never_exchanged():
    only = vocabulary.Vocabulary(frozenset({"hypertonicity"}))
    assert correct("hypotonicityx now", only, SETTINGS).text == "hypotonicityx now"


def test_replacement_respects_word_boundaries():
    rule = Correction(wrong="art", right="heart", kind="unconditioned", verified=True)
    assert apply("Art and artery, the art's part-art; ART", [rule]) == "Heart and artery, the art's part-art; Heart"


def test_replacements_do_not_feed_each_other():
    rules = [Correction(wrong=a, right=b, kind="unconditioned", verified=True) for a, b in (("aa", "bb"), ("bb", "cc"))]
    assert apply("aa bb", rules) == "bb cc"


def test_unconditioned_proposal_that_sounds_alike_is_applied():
    done = corrected("He has a plural effusion.", {"plural": "pleural"})
    assert done.text == "He has a pleural effusion."
    assert done.corrections == (Correction(wrong="plural", right="pleural", kind="unconditioned", verified=True),)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("kidney", "liver"),  # another organ
        ("left", "right"),  # a side
        ("lob", "lobe"),  # only part of a word
        ("lobe", "lobez"),  # no term
        ("absent", "ascent"),
    ],
)
def test_unverified_proposals_are_recorded_and_not_applied(wrong, right):
    text = "The left lobe and the kidney are absent."
    done = corrected(text, {wrong: right})
    assert done.text == text
    assert [c.verified for c in done.corrections] == [False]


def test_flagging():
    assert is_flagged("pnumonia", WORDS)
    assert not any(is_flagged(w, WORDS) for w in ("pneumonia", "hello", "CTs", "abc", "bronchogram", "x-ray"))


def test_proposals_are_parsed():
    assert parse_proposals('plural => pleural; "oste" => "osteo".; nonsense; a => b => c; => d') == {
        "plural": "pleural", "oste": "osteo",
    }  # fmt: skip


@given(st.text(alphabet="ab ,.", max_size=40), st.text(alphabet="ab", min_size=1, max_size=3))
def test_apply_changes_exactly_the_whole_words(text, wrong):
    rule = Correction(wrong=wrong, right="X", kind="unconditioned", verified=True)
    import re

    expected = "".join("X" if part == wrong else part for part in re.split(r"([ab]+)", text))
    assert apply(text, [rule]) == expected


@given(st.text(max_size=60))
def test_any_text_is_survived_and_punctuation_kept(text):
    done = corrected(text)
    if not any(c.verified for c in done.corrections):
        assert done.text == text


def clip(raw, corrections):
    return Clip(clip_id="c", start_s=0, end_s=1, domain=Domain.CT, segmenter="s", raw_text=raw, corrected_text=raw,
                corrections=corrections)  # fmt: skip


def test_figures():
    good = Correction(wrong="oste arthritis", right="osteoarthritis", kind="conditioned", verified=True)
    bad = Correction(wrong="zzyzx", right="", kind="conditioned", verified=False)
    model = Correction(wrong="kidney", right="liver", kind="unconditioned", verified=False)
    got = figures([clip("a b oste arthritis zzyzx c d kidney e f", (good, bad, model))])
    assert (got.conditioned_found, got.conditioned_precision) == (2, 0.5)
    assert (got.unconditioned_found, got.unconditioned_precision) == (1, 0.0)
    assert (got.words, got.words_changed, got.changed_share) == (10, 2, 0.2)


def test_figures_of_nothing_are_unknown():
    got = figures([])
    assert got.conditioned_precision is None
    assert got.unconditioned_precision is None
    assert got.changed_share is None
