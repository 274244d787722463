"""Does a text say only what the speaker said? Support by words, and checks on negations, numbers and sides.

Deliberately strict: a text that fails is replaced by the corrected transcript, which costs polish and never truth.
"""

import functools
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines.config import TextSettings

STOP_WORDS = frozenset(
    re.findall(
        "[a-z]+",
        "a about above after again all also am an and any are as at be because been before being below between both "
        "but by can could did do does doing done down during each either else ever few for from further get gets "
        "getting go goes going gonna got had has have having he her here hers him his how i if in into is it its "
        "itself just kind kinda let like ll lot me might more most much my now of off oh ok okay on once one only or "
        "other our out over own quite rather really re s same see seen shall she should show shown showing shows so "
        "some such than that the their them then there these they thing things this those through to too um uh under "
        "until up upon us ve very was we well were what when where which while who whom why will with within would "
        "yeah yes you your image picture video clip frame slide evidence sign signs depict depicts depicted "
        "demonstrate demonstrates demonstrated illustrate illustrates illustrated indicate indicates visible ",
    )
)
"""Function words, fillers, and words with which a description introduces what it describes."""

_FORWARD_NEGATIONS = frozenset({"no", "without", "neither", "nor", "lack", "lacks", "denies", "excluded", "excludes"})
_CLAUSE_NEGATIONS = frozenset({"not", "never", "none", "absent", "absence", "cannot", "n't", "nothing"})
_NEGATIONS = _FORWARD_NEGATIONS | _CLAUSE_NEGATIONS
_SIDES = {"left": "left", "right": "right", "bilateral": "both", "bilaterally": "both"}
_AFTER_NO_SIDE = frozenset(
    re.findall("[a-z]+", "here there now away after before at in on where over about around up out behind with to off")
)
_UNITS = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
          "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
          "seventeen": 17, "eighteen": 18, "nineteen": 19}  # fmt: skip
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
         "ninety": 90}  # fmt: skip
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|n't\b|[a-z]+(?=n't\b)|[a-z]+(?:'[a-z]+)?|[.,;:!?](?=\s|$)")
_CLAUSE_ENDS = frozenset({".", ",", ";", ":", "!", "?", "and", "but", "however", "although", "whereas", "while", "which"})


_SENTENCE_ENDS = frozenset({".", ";", "!", "?"})
_REACH = 5
"""Words: a side or number of the text stands no further from its word in the transcript ("the lower lobe on the left")."""


def tokens(text: str) -> list[str]:
    """Lower-case words, numbers as digits ("twenty five" is "25"), and punctuation that ends clauses."""
    folded = text.lower().replace("\u2019", "'").replace("-", " ")
    result: list[str] = []
    ten = False
    for token in _TOKEN.findall(folded):
        if token in _TENS:
            result.append(str(_TENS[token]))
        elif token in _UNITS:
            if ten and 0 < _UNITS[token] < 10:
                result[-1] = str(int(result[-1]) + _UNITS[token])
            else:
                result.append(str(_UNITS[token]))
        elif token[0].isdigit():
            plain = re.sub(r",(?=\d{3}\b)", "", token).replace(",", ".")
            result.append(re.sub(r"\.0+$", "", plain))
        else:
            result.append(token.removesuffix("'s"))
        ten = token in _TENS
    return result


@functools.lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Porter2 stem (nltk), so that "fractures" is supported by "fracture"."""
    return str(_stemmer().stem(word))


@functools.cache
def _stemmer() -> Any:
    from nltk.stem.snowball import EnglishStemmer  # type: ignore[import-untyped, unused-ignore]

    return EnglishStemmer()


def is_content(token: str) -> bool:
    """Neither a stop word, a negation, a side nor punctuation."""
    return token[0].isalnum() and token not in STOP_WORDS and token not in _NEGATIONS and token not in _SIDES


def support(text: str, transcript: str) -> float:
    """Share (0 to 1) of the text's content words whose stems the transcript contains; 0 where there are none."""
    said = {stem(t) for t in tokens(transcript)}
    words = [stem(t) for t in tokens(text) if is_content(t)]
    return sum(w in said for w in words) / len(words) if words else 0.0


def judge(text: str, transcript: str, settings: TextSettings) -> tuple[float, str | None]:
    """The support, and why the text is not to be taken: `empty`, `number`, `side`, `negation`, `support`, or None."""
    if not any(is_content(t) for t in tokens(text)):
        return 0.0, "empty"
    share = support(text, transcript)
    said, written = tokens(transcript), tokens(text)
    if not _kept(_qualified(written, _number), _qualified(said, _number), written):
        return share, "number"
    if not _kept(_qualified(written, _side), _qualified(said, _side), written):
        return share, "side"
    if not _negations_kept(_scopes(written), _scopes(said)):
        return share, "negation"
    return share, None if share >= settings.min_support else "support"


@dataclass(frozen=True, slots=True)
class _Qualified:
    """What a text's numbers (or sides) stand before."""

    values: frozenset[str]
    by_word: dict[str, frozenset[str]]
    """Stem of the next content word: the values it is given."""
    bare: frozenset[str]
    """Stems that also occur without any."""
    near: dict[str, frozenset[str]]
    """Value: the stems within `_REACH` words of it in its sentence."""


def _number(words: list[str], i: int) -> str | None:
    return words[i] if words[i][0].isdigit() else None


def _side(words: list[str], i: int) -> str | None:
    """`left`, `right` or `both`; "right here", "all right" and "left with" are no sides."""
    side = _SIDES.get(words[i])
    following = words[i + 1] if i + 1 < len(words) else "."
    if side is None or (side != "both" and following in _AFTER_NO_SIDE):
        return None
    the_side = i > 0 and words[i - 1] in ("the", "your", "my", "her", "his", "patient", "on", "or", "and", "to")
    return side if side == "both" or following[0].isalnum() or the_side else None


def _qualified(words: list[str], value_at: Callable[[list[str], int], str | None]) -> _Qualified:
    by_word: dict[str, set[str]] = defaultdict(set)
    values: set[str] = set()
    bare: set[str] = set()
    current: str | None = None
    for i, word in enumerate(words):
        value = value_at(words, i)
        if value is not None:
            values.add(value)
            current = value
        elif word in _CLAUSE_ENDS:
            current = None
        elif is_content(word):
            if current is None:
                bare.add(stem(word))
            else:
                by_word[stem(word)].add(current)
            current = None
    by = {w: frozenset(v) for w, v in by_word.items()}
    return _Qualified(frozenset(values), by, frozenset(bare), _neighbours(words, value_at))


def _neighbours(words: list[str], value_at: Callable[[list[str], int], str | None]) -> dict[str, frozenset[str]]:
    near: dict[str, set[str]] = defaultdict(set)
    sentence = 0
    numbered = []
    for word in words:
        sentence += word in _SENTENCE_ENDS
        numbered.append(sentence)
    for i in range(len(words)):
        value = value_at(words, i)
        if value is not None:
            reach = range(max(0, i - _REACH), min(len(words), i + _REACH + 1))
            near[value] |= {stem(words[j]) for j in reach if numbered[j] == numbered[i] and is_content(words[j])}
    return {value: frozenset(stems) for value, stems in near.items()}


def _kept(written: _Qualified, said: _Qualified, words: list[str]) -> bool:
    """Nothing invented, nothing put before another word, and nothing lost from a word that always had it."""
    if not written.values <= said.values:
        return False
    if any(word in said.by_word and not values <= said.by_word[word] for word, values in written.by_word.items()):
        return False
    paired = [(value, word) for word, values in written.by_word.items() for value in values]
    known = frozenset[str](said.by_word) | said.bare
    beside = {v: said.near[v] | {w for w, values in said.by_word.items() if v in values} for v in said.values}
    if any(word in known and word not in beside[value] for value, word in paired):
        return False
    mentioned = {stem(w) for w in words}
    always = {w: values for w, values in said.by_word.items() if w not in said.bare}
    return all(values & written.values for word, values in always.items() if word in mentioned)


@dataclass(frozen=True, slots=True)
class _Scopes:
    negated: tuple[frozenset[str], ...]
    """For each negation, the stems it covers."""
    affirmed: frozenset[str]
    """Stems that stand outside every negation somewhere."""


def _scopes(words: list[str]) -> _Scopes:
    """Scopes by clause: "no", "without" cover what follows, "not", "absent" the whole clause (after NegEx, 2001)."""
    negated: list[frozenset[str]] = []
    affirmed: set[str] = set()
    clause: list[str] = []
    for word in [*words, "."]:
        if word not in _CLAUSE_ENDS:
            clause.append(word)
            continue
        at = next((i for i, w in enumerate(clause) if w in _NEGATIONS), len(clause))
        whole = any(w in _CLAUSE_NEGATIONS for w in clause)
        before = {stem(w) for w in clause[:at] if is_content(w)}
        after = {stem(w) for w in clause[at:] if is_content(w)}
        if at < len(clause):
            negated.append(frozenset(before | after if whole else after))
        affirmed |= set() if whole else before
        clause = []
    return _Scopes(tuple(scope for scope in negated if scope), frozenset(affirmed))


def _negations_kept(written: _Scopes, said: _Scopes) -> bool:
    """Each negation of the text covers something the speaker negated; what was only negated is never affirmed."""
    denied = frozenset[str]().union(*said.negated)
    invented = any(not scope & denied for scope in written.negated)
    lost = written.affirmed & (denied - said.affirmed)
    return not invented and not lost
