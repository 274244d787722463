"""Word times and word errors of a transcript against the script: pure functions."""

import difflib
import re
from collections.abc import Sequence

from tests.bench.grounding.found import Tally
from tests.lectures.grounding.truth import Word


def normal(text: str) -> str:
    """Lower case, letters and digits only."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def word_tallies(found: Sequence[Word], true: Sequence[Word]) -> list[Tally]:
    """How well words are heard and placed.

    Words are compared normalised (lower case, letters and digits) and aligned by `difflib`'s longest matching blocks; only
    equal words are matched. `word.start_p50_ms`, `word.start_p95_ms`, `word.end_p50_ms`: absolute difference of found and
    true start (end) of matched words, milliseconds. `word.matched`: share of the true words that are matched.
    `word.error_rate`: substitutions, deletions and insertions over true words (jiwer).
    """
    import jiwer

    ours = [w for w in found if normal(w.text)]
    theirs = [w for w in true if normal(w.text)]
    a, b = [normal(w.text) for w in ours], [normal(w.text) for w in theirs]
    pairs = [
        (ours[block.a + i], theirs[block.b + i])
        for block in difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
        for i in range(block.size)
    ]
    starts = tuple(1000 * abs(f.start_s - t.start_s) for f, t in pairs)
    ends = tuple(1000 * abs(f.end_s - t.end_s) for f, t in pairs)
    wrong = 0.0
    if b:
        counted = jiwer.process_words(" ".join(b), " ".join(a))
        wrong = float(counted.substitutions + counted.deletions + counted.insertions)
    return [
        Tally(metric="word.start_p50_ms", values=starts, p=0.5),
        Tally(metric="word.start_p95_ms", values=starts, p=0.95),
        Tally(metric="word.end_p50_ms", values=ends, p=0.5),
        Tally(metric="word.matched", numerator=float(len(pairs)), denominator=float(len(b))),
        Tally(metric="word.error_rate", numerator=wrong, denominator=float(len(b))),
    ]
