"""How far an open answer agrees with the expected one: exact, F1, precision and recall over words.

Standard library only, as `choice`.
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

_ARTICLES = frozenset({"a", "an", "the"})
_ALIASES = {"xray": "x-ray", "x ray": "x-ray", "ct scan": "ct", "mr": "mri", "ultra sound": "ultrasound"}
_HYPHENS = str.maketrans("\u2010\u2012\u2013\u2212", "----")
"""Hyphen, figure dash, en dash and minus sign. An em dash is punctuation."""
_TOKEN = re.compile(
    r"""
    x-ray
    | (?:(?<![^\s(\[{<>≤≥=~≈:,;/"'])-)?  # a sign, not a range ("5-10", "5%-10%") nor a hyphen ("L4-5")
      (?:\d+(?:\.\d+)?|(?<![\w.])\.\d+)
    | [<≤≥]|(?<![-=])>  # not of an arrow
    | (?<=\w)\+|\+(?!\.?\d)  # not the sign of a number
    | (?<=[\w)\]])-(?!\.?\w|[->])  # "ER-", not a hyphen between words
    | (?<![^\s(\[/:"'])-(?=\s*(?:[,;:.!?)\]/"']|\Z))  # "ER -", "(-)", "-/-"; not a dash between words
    | [぀-ヿ㐀-鿿]
    | [^\W\d_぀-ヿ㐀-鿿]+
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Shares, 0 to 1."""

    exact: float
    f1: float
    precision: float
    recall: float


def words(text: str) -> list[str]:
    """Words and numbers without case, punctuation, articles and spelling variants; Chinese by the character.

    Signs that carry meaning stay: of comparison, of a number, and + or - after a word or alone.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_HYPHENS).replace("<=", "≤").replace(">=", "≥")
    for variant, form in _ALIASES.items():
        folded = re.sub(rf"\b{variant}\b", form, folded)
    found = [re.sub(r"^(-?)\.", r"\g<1>0.", w) for w in _TOKEN.findall(folded)]  # ".5" is "0.5"
    return [w for w in found if w not in _ARTICLES] or found  # "A" may be the whole answer


def overlap(reply: str, expected: str) -> Overlap:
    """Counts repeated words as often as both have them; an empty reply agrees with nothing."""
    said, wanted = words(reply), words(expected)
    common = sum((Counter(said) & Counter(wanted)).values())
    precision = common / len(said) if said else 0.0
    recall = common / len(wanted) if wanted else 0.0
    return Overlap(
        exact=float(bool(said) and said == wanted),
        f1=2 * precision * recall / (precision + recall) if common else 0.0,
        precision=precision,
        recall=recall,
    )
