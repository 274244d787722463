"""Timed words to timed sentences: the unit that is tied to pictures and to pointing."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.schema import Word

PAUSE_S = 1.2
"""A longer silence ends a sentence even where the transcript has no full stop: speakers pause 0.3 to 0.9 s within one."""
_ENDS = (".", "?", "!")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One spoken sentence; dropped words are left out."""

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...]


def sentences_of(words: Sequence[Word]) -> tuple[Sentence, ...]:
    """The sentences in time order, ended by punctuation or by a long pause."""
    sentences: list[Sentence] = []
    held: list[Word] = []
    for word in (w for w in words if w.dropped is None and w.text.strip()):
        if held and word.start_s - held[-1].end_s > PAUSE_S:
            sentences.append(_sentence(held))
            held = []
        held.append(word)
        if word.text.rstrip(" \"'”)").endswith(_ENDS):
            sentences.append(_sentence(held))
            held = []
    return (*sentences, _sentence(held)) if held else tuple(sentences)


def join_words(words: Sequence[Word]) -> str:
    """The words as text, single spaces."""
    return " ".join(w.text.strip() for w in words if w.text.strip())


def _sentence(words: list[Word]) -> Sentence:
    return Sentence(text=join_words(words), start_s=words[0].start_s, end_s=words[-1].end_s, words=tuple(words))
