"""Timed words to timed sentences."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.schema import Word
from pipelines.stages.sentences import PAUSE_S, join_words, sentences_of


def word(text: str, start_s: float, end_s: float | None = None, dropped: str | None = None) -> Word:
    end_s = start_s + 0.4 if end_s is None else end_s
    return Word(start_s=start_s, end_s=end_s, text=text, probability=1.0, sentence=0, dropped=dropped)


def spoken(text: str) -> list[Word]:
    return [word(t, i * 0.5) for i, t in enumerate(text.split())]


def texts(words: list[Word]) -> list[str]:
    return [s.text for s in sentences_of(words)]


def test_punctuation_ends_a_sentence() -> None:
    assert texts(spoken("The liver. Is it normal? No! It is")) == ["The liver.", "Is it normal?", "No!", "It is"]


def test_so_does_punctuation_within_quotes_and_brackets() -> None:
    assert texts(spoken('He said "stop." Then (see below.) We went')) == ['He said "stop."', "Then (see below.)", "We went"]


def test_a_number_with_a_point_in_it_does_not() -> None:
    assert texts(spoken("It is 2.5 cm wide.")) == ["It is 2.5 cm wide."]


def test_times_are_those_of_the_words() -> None:
    first, second = sentences_of(spoken("One two. Three."))
    assert (first.start_s, first.end_s) == (0.0, 0.9)
    assert (second.start_s, second.end_s) == (1.0, 1.4)
    assert [w.text for w in first.words] == ["One", "two."]


def test_a_long_pause_ends_a_sentence_and_a_breath_does_not() -> None:
    assert texts([word("this", 0.0), word("lesion", 0.39 + PAUSE_S)]) == ["this lesion"]
    assert texts([word("this", 0.0), word("lesion", 0.41 + PAUSE_S)]) == ["this", "lesion"]
    assert 0.9 < PAUSE_S < 2.0  # speakers pause 0.3 to 0.9 s within a sentence


def test_dropped_and_empty_words_are_left_out() -> None:
    words = [word(" The", 0.0), word("thanks.", 0.5, dropped="outside_speech"), word(" ", 1.0), word(" liver.", 1.1)]
    (sentence,) = sentences_of(words)
    assert sentence.text == "The liver."
    assert len(sentence.words) == 2


def test_nothing_said() -> None:
    assert sentences_of([]) == ()
    assert join_words([]) == ""


def test_words_are_joined_with_single_spaces() -> None:
    assert join_words([word(" a ", 0), word("", 1), word("  ", 2), word("b.", 3)]) == "a b."


@given(st.lists(st.tuples(st.sampled_from(["a", "b.", "c?", " ", "d!"]), st.floats(0, 3), st.booleans()), max_size=40))
def test_every_kept_word_is_in_exactly_one_sentence_in_order(parts: list[tuple[str, float, bool]]) -> None:
    words, at = [], 0.0
    for text, gap_s, dropped in parts:
        at += gap_s
        words.append(word(text, at, at + 0.2, dropped="guard" if dropped else None))
        at += 0.2
    found = [w for s in sentences_of(words) for w in s.words]
    assert found == [w for w in words if w.dropped is None and w.text.strip()]
