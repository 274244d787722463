"""Which of the lettered options a reply chooses, or none.

Standard library only: `preceptor evaluate export-lmms` copies this file, so that others score with the same code.
A letter counts only where it stands as a choice: "Aortic valve ..." is not A, "A large mass" is not A, "E. coli" is not E.
"""

import re
from collections.abc import Iterator, Sequence

LETTERS = "ABCDEFGHIJ"
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*%?|[^\W\d_]+(?:['’][^\W\d_]+)*")  # noqa: RUF001 the typographic apostrophe
_DENIALS = frozenset(
    "not no never neither nor cannot without exclude excludes excluding excluded unlike isn't wasn't can't wrong".split()  # noqa: SIM905
)
_CONNECTIVES = frozenset("because since as due given based which this these it the is was for with according".split())  # noqa: SIM905
_COMMON = frozenset("a an the of in on and or is are it its this that to with by".split())  # noqa: SIM905
_SAID = (
    r"(?:answer|option|choice)(?:\s+(?:choice|option|letter))?\s*"
    r"(?:(?:is|was|would\s+be|should\s+be|must\s+be)\s*)?(?:[:=\-]\s*)?(?:(?:option|choice|letter)\s+)?"
)


def tokens(text: str) -> list[str]:
    """Words and numbers in order, case-folded."""
    return [t.casefold() for t in _TOKEN.findall(text)]


def choose(reply: str, options: Sequence[str]) -> int | None:
    """The index of the option that the reply chooses; None where it chooses none, several, or contradicts itself."""
    text = _plain(reply)
    texts = [tokens(o) for o in options]
    said = tokens(text)
    whole = [i for i, t in enumerate(texts) if t and t == said]
    if len(whole) == 1:
        return whole[0]
    if _lists(text, texts):  # the options over again are no choice; an answer named beside them is one
        named = _explicit(text, texts)
        return named if named is not None and named >= 0 else None
    for rule in (_leading_strong, _leading_text, _explicit, _leading_weak, _marked, _mentioned):
        found = rule(text, texts)
        if found is not None:
            return found if found >= 0 else None
    return None


AMBIGUOUS = -1
"""A rule's verdict that ends the search: the reply names several options, or letter and text disagree."""


def _plain(reply: str) -> str:
    """Without Markdown, LaTeX and JSON around the answer."""
    text = re.sub(r"<think>.*?</think>", " ", reply, flags=re.DOTALL)
    text = re.sub(r"\\(?:boxed|text|mathbf|textbf)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r'^\s*[{\[]\s*"[^"]*"\s*:\s*"([^"]*)"\s*[}\]]\s*$', r"\1", text)
    return re.sub(r"[*`$\"“”]|(?<!\w)_|_(?!\w)", "", text).strip()


def _letter(word: str, count: int) -> int | None:
    index = LETTERS.find(word.upper())
    return index if len(word) == 1 and 0 <= index < count else None


def _head(text: str, count: int) -> tuple[int, str, str, str] | None:
    """A letter at the beginning: its index, the sign behind it, the rest of the line, the letter as written."""
    line = text.split("\n", 1)[0].strip()
    match = re.match(r"\(\s*([A-Ja-j])\s*\)|\[([A-Ja-j])\]|([A-Ja-j])(?![\w'’])", line)  # noqa: RUF001
    if match is None:
        return None
    word = next(g for g in match.groups() if g)
    index = _letter(word, count)
    if index is None:
        return None
    rest = line[match.end() :]
    sign = re.match(r"\s*[).:\]\-–—]+", rest)  # noqa: RUF001
    enclosed = match.group(3) is None
    after = rest[sign.end() :] if sign else rest
    return index, (sign.group().strip() if sign else "") or (")" if enclosed else ""), after.strip(), word


def _lists(text: str, texts: list[list[str]]) -> bool:
    """Whether lines begin with several letters, each before its own option's text: the question's list, repeated."""
    heads = filter(None, (_head(line.strip(), len(texts)) for line in text.splitlines()))
    own = {index for index, _, rest, _ in heads if texts[index] and tokens(rest)[: len(texts[index])] == texts[index]}
    return len(own) > 1


def _several(rest: str, count: int) -> bool:
    """Whether what follows a letter names a second one: "A, C", "A and B", "A/B"."""
    match = re.match(r"\s*(?:[,/&+]|and\b|or\b)\s*(?:and\b|or\b)?\s*\(?([A-Ja-j])\)?(?![\w'’])", rest)  # noqa: RUF001
    return match is not None and _letter(match.group(1), count) is not None and match.group(1) != "a"


def _leading_strong(text: str, texts: list[list[str]]) -> int | None:
    """A letter alone on its line, or followed by its own option's text."""
    head = _head(text, len(texts))
    if head is None:
        return None
    index, _, rest, _ = head
    if _several(rest, len(texts)):
        return AMBIGUOUS
    after = tokens(rest)
    if not after:
        return index
    own = texts[index]
    return index if own and after[: len(own)] == own and not _longer(after, texts, index) else None


def _longer(after: list[str], texts: list[list[str]], index: int) -> bool:
    """Whether a longer option than the letter's own begins there too ("A. Mitral stenosis" with A: "Mitral")."""
    return any(i != index and len(t) > len(texts[index]) and after[: len(t)] == t for i, t in enumerate(texts))


def _leading_text(text: str, texts: list[list[str]]) -> int | None:
    """The reply begins with one option's whole text; the longest wins. A denial behind it makes it no choice."""
    said = tokens(re.sub(r"^\s*(?:the\s+)?(?:correct\s+|final\s+|best\s+)?answer(?:\s+is)?\s*:?\s*", "", text, flags=re.I))
    begun = [(len(t), i) for i, t in enumerate(texts) if t and set(t) - _COMMON and said[: len(t)] == t]
    if not begun:
        return None
    length = max(begun)[0]
    longest = [i for n, i in begun if n == length]
    if len(longest) > 1:
        return AMBIGUOUS
    behind = said[length : length + 3]
    if set(behind) & _DENIALS or behind[:1] in (["or"], ["and"], ["vs"], ["versus"]):
        return None
    return longest[0]


def _explicit(text: str, texts: list[list[str]]) -> int | None:
    """The last "the answer is B", "Answer: B", "option (B)" that names a letter as a choice."""
    found = None
    for match in re.finditer(_SAID + r"(?:\(\s*([A-Ja-j])\s*\)|([A-J])(?![\w'’])|([a-j])(?=[).\]]|\s*$))", text, re.I):  # noqa: RUF001
        word = next(g for g in match.groups() if g)
        index = _letter(word, len(texts))
        if index is None or (match.group(2) and not word.isupper()):
            continue
        rest = text[match.end() :].split("\n", 1)[0]
        if _several(rest, len(texts)):
            found = AMBIGUOUS
            continue
        if re.match(r"\s+(?:is|was)\s+(?:not|in)?\s*(?:wrong|incorrect|correct|excluded)", rest):
            if "not" in rest.split()[:3] or re.search(r"\b(?:wrong|incorrect|excluded)", rest[:30]):
                continue
            found = index
            continue
        after = tokens(rest)
        own = texts[index]
        enclosed = match.group(1) is not None or re.match(r"\s*[).:,;\]\-–—]|\s*$", rest) is not None  # noqa: RUF001
        if enclosed and _begins_other(after, texts, index):
            found = AMBIGUOUS
        elif enclosed or not after or after[: len(own)] == own or after[0] in _CONNECTIVES:
            found = index
    return found


def _begins_other(after: list[str], texts: list[list[str]], index: int) -> bool:
    own = texts[index]
    if own and after[: len(own)] == own and not _longer(after, texts, index):
        return False
    return any(i != index and t and after[: len(t)] == t for i, t in enumerate(texts))


def _leading_weak(text: str, texts: list[list[str]]) -> int | None:
    """A letter with a sign behind it ("B) because ..."), not contradicted by the text that follows."""
    head = _head(text, len(texts))
    if head is None:
        return None
    index, sign, rest, word = head
    if not sign:  # "A large mass", "I think": a word of the sentence
        return None
    after = tokens(rest)
    if _begins_other(after, texts, index):
        return AMBIGUOUS
    if set(after[:3]) & _DENIALS:
        return None
    if sign == "." and rest[:1].islower():  # "E. coli", "C. difficile", "a. carotis": an abbreviation
        return None
    if sign.startswith(("-", "–", "—")) and not word.isupper():  # noqa: RUF001
        return None
    if re.match(r"[-–—]\w", text[len(word) :]):  # noqa: RUF001 "A-line", "B-cell"
        return None
    return index


def _marked(text: str, texts: list[list[str]]) -> int | None:
    """Letters in round brackets anywhere, if they are one and the same: "I would choose (B)"."""
    found = {_letter(m.group(1), len(texts)) for m in re.finditer(r"(?<!\w)\(([A-J])\)", text)} - {None}
    if len(found) > 1:
        return None
    return found.pop() if found else None


def _mentioned(text: str, texts: list[list[str]]) -> int | None:
    """The one option whose text the reply contains, not denied and not inside a longer option's text."""
    clauses = [tokens(c) for c in re.split(r"[;:!?\n]|[.,](?!\d)", text)]
    said = [t for c in clauses for t in c]
    begins = [sum(map(len, clauses[:i])) for i, c in enumerate(clauses) for _ in c]
    spans = [(start, start + len(t), i) for i, t in enumerate(texts) for start in _places(said, t)]
    free = [s for s in spans if not any(o[0] <= s[0] and s[1] <= o[1] and o[1] - o[0] > s[1] - s[0] for o in spans)]
    named = {i for start, _, i in free if not _denied(said[max(begins[start], start - 4) : start])}
    return named.pop() if len(named) == 1 else None


def _places(said: list[str], wanted: list[str]) -> Iterator[int]:
    if set(wanted) - _COMMON:
        yield from (s for s in range(len(said) - len(wanted) + 1) if said[s : s + len(wanted)] == wanted)


def _denied(before: list[str]) -> bool:
    """Whether the words before a mention, within its clause, deny it."""
    two = {" ".join(pair) for pair in zip(before, before[1:], strict=False)}
    return bool(set(before[-3:]) & _DENIALS or two & {"rather than", "instead of", "ruled out", "rule out", "rules out"})
