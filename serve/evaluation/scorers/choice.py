"""Which of the lettered options a reply chooses, or none.

Standard library only: `preceptor evaluate export-lmms` copies this file, so that others score with the same code.
A letter counts only where it stands as a choice: "Aortic valve ..." is not A, "A large mass" is not A, "E. coli" is not E.
"""

import itertools
import re
from collections.abc import Iterator, Sequence

LETTERS = "ABCDEFGHIJ"
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*%?|[^\W\d_]+(?:['’][^\W\d_]+)*")  # noqa: RUF001 the typographic apostrophe
_NEGATIONS = frozenset(
    "not never cannot isn't aren't wasn't weren't don't doesn't didn't can't couldn't won't wouldn't".split()  # noqa: SIM905
)
_DENIALS = _NEGATIONS | frozenset(
    "no neither nor without exclude excludes excluding excluded unlike wrong incorrect unlikely".split()  # noqa: SIM905
)
_NONE_OF = frozenset("no neither nor without absence absent".split())  # noqa: SIM905
_NOT_NONE = frozenset("doubt question better other longer more less".split())  # noqa: SIM905
_VERBS = frozenset(
    "is was are were be can could would should does did do has had seems appears looks".split()  # noqa: SIM905
)
_SAY = frozenset(
    "suggest suggests suggesting show shows showing indicate indicates indicating confirm confirms support supports "  # noqa: SIM905
    "represent represents favor favors mean means reveal reveals demonstrate demonstrates choose use recommend".split()
)
_ENDS = frozenset("and or but which that who while whereas although though than seen shown".split())  # noqa: SIM905
_GONE = r"(?:is|are|was|were) (?:absent|excluded|not (?:present|seen|visible|shown|found|identified|evident|noted))\b"
_EPITHETS = frozenset(
    "aeruginosa albicans anthracis aureus botulinum burgdorferi cereus coli difficile diphtheriae fumigatus gonorrhoeae "  # noqa: SIM905
    "histolytica influenzae jejuni lamblia leprae meningitidis monocytogenes neoformans pallidum perfringens pestis "
    "pneumoniae pneumophila pylori pyogenes tetani trachomatis tuberculosis vivax".split()
)
"""Of the germs that are written with a letter and a point."""
_TURNS = frozenset("but so hence thus therefore however instead".split())  # noqa: SIM905
_CONNECTIVES = frozenset("because since as due given based which this these it the for with according".split())  # noqa: SIM905
_CALLED = r"(?:is|was|must be|should be|would be) (?:the )?(?:correct|right|best|answer|most)"
_IT = r"(?:correct|right|the (?:correct |right |best |most likely |most appropriate )?(?:answer|option|choice))"
_COMMON = frozenset("a an the of in on and or is are it its this that to with by".split())  # noqa: SIM905
_LINK = r"\s*(?:(?:is|was|would\s+be|should\s+be|must\s+be)\s*)?(?:[:=\-]\s*)?(?:(?:option|choice|letter)\s+)?"
_ANSWER = r"\banswer(?:\s+(?:choice|option|letter))?" + _LINK
_OPTION = r"\b(?:option|choice)(?:\s+letter)?" + _LINK
_PLACED = r"(?:\(\s*([A-Ja-j])\s*\)|([A-J])(?![\w'’])|([a-j])(?=[).\]]|\s*$))"  # noqa: RUF001
_CLAUSE = r"[;:!?\n]|[.,](?!\d)"


def tokens(text: str) -> list[str]:
    """Words and numbers in order, case-folded."""
    return [t.casefold().replace("’", "'") for t in _TOKEN.findall(text)]  # noqa: RUF001


def choose(reply: str, options: Sequence[str]) -> int | None:
    """The index of the option that the reply chooses; None where it chooses none, several, or contradicts itself."""
    text = _plain(reply)
    # a letter that is an option's whole text is still asked for as a letter: "C" is the third option, whatever its text
    texts = [[] if len(t) == 1 and _letter(t[0], len(options)) is not None else t for t in map(tokens, options)]
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


def without_thoughts(reply: str) -> str:
    """What is said after thinking. Some templates open the thought in the prompt; one not closed has said nothing yet."""
    return re.sub(r"^.*</think>|<think>.*", " ", reply, flags=re.DOTALL)


def _plain(reply: str) -> str:
    """Without thoughts, and without Markdown, LaTeX, tags and JSON around the answer."""
    text, replaced = without_thoughts(reply), 1
    while replaced:  # one may stand in the other
        text, replaced = re.subn(r"\\(?:boxed|text|mathbf|mathrm|textbf)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"</?answer>|^[ \t]*#+[ \t]", " ", text, flags=re.MULTILINE | re.IGNORECASE)
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
    """Whether what follows a letter names a second one: "A, C", "A and B", "A/B", "A or option B"."""
    match = re.match(
        r"\s*(?:[,/&+]|and\b|or\b)\s*(?:and\b|or\b)?\s*(?:option\s+|choice\s+)?\(?([A-Ja-j])\)?(?![\w'’])",  # noqa: RUF001
        rest,
    )
    return match is not None and _letter(match.group(1), count) is not None and match.group(1) != "a"


def _leading_strong(text: str, texts: list[list[str]]) -> int | None:
    """A letter alone on its line, or followed by its own option's text."""
    head = _head(text, len(texts))
    if head is None:
        return None
    index, _, rest, _ = head
    after, own = tokens(rest), texts[index]
    said_own = bool(own) and after[: len(own)] == own  # which may begin as a second letter does: "A history of ..."
    if _several(rest, len(texts)) and not said_own:
        return AMBIGUOUS
    if not after:
        return index
    if not own or after[: len(own)] != own or _longer(after, texts, index) or _dismissed(after[len(own) :]):
        return None
    return index


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
    if set(behind) & _DENIALS or _dismissed(said[length:]) or behind[:1] in (["or"], ["and"], ["vs"], ["versus"]):
        return None
    return longest[0]


def _explicit(text: str, texts: list[list[str]]) -> int | None:
    """The last "the answer is B" or "Answer: B"; without one, the only letter that "option B" names as a choice."""
    found = None
    for match in re.finditer(_ANSWER + _PLACED, text, re.IGNORECASE):
        verdict = _chosen(match, text, texts)
        found = found if verdict is None else verdict
    if found is not None:
        return found
    options = {_chosen(m, text, texts, alone=True) for m in re.finditer(_OPTION + _PLACED, text, re.IGNORECASE)} - {None}
    return options.pop() if len(options) == 1 else AMBIGUOUS if options else None


def _chosen(match: re.Match[str], text: str, texts: list[list[str]], *, alone: bool = False) -> int | None:
    """The letter of a match, if it is chosen there and not only spoken of.

    Behind "the answer is" a letter is chosen unless it turns out to be a word; `alone`, behind "option", it is where
    nothing follows but its own text and a reason, or "is correct".
    """
    word = next(g for g in match.groups() if g)
    index = _letter(word, len(texts))
    if index is None or (match.group(2) and not word.isupper()):
        return None
    rest = text[match.end() :].split("\n", 1)[0]
    before = tokens(re.split(r"[.,;:!?\n]", text[: match.start()])[-1])
    after, own = tokens(rest), texts[index]
    said_own = bool(own) and after[: len(own)] == own
    if (_several(rest, len(texts)) and not said_own) or before[-1:] in (["or"], ["and"]):
        return AMBIGUOUS
    if re.match(r"\.\s?[a-z]", rest) and after[0] in _EPITHETS and not said_own:  # "E. coli", "C. difficile"
        return None
    behind = after[len(own) :] if said_own else after
    clause = tokens(re.split(_CLAUSE, re.sub(r"^[\s).:\]\-–—]+", "", rest))[0])  # noqa: RUF001
    if _denied(before) or _dismissed(clause[len(own) :] if said_own else clause):
        return None
    enclosed = match.group(1) is not None or re.match(r"\s*[).:,;\]\-–—]|\s*$", rest) is not None  # noqa: RUF001
    if enclosed and _begins_other(after, texts, index):
        return AMBIGUOUS
    if alone:
        ends = re.match(r"\s*[)\]]?\s*(?:[.,;!]|$)", rest) is not None or (said_own and not behind)
        right = re.match(_CALLED, " ".join(behind)) is not None
        return index if ends or right or behind[:1] == ["because"] else None
    return index if enclosed or not after or said_own or after[0] in _CONNECTIVES or after[0] in _VERBS else None


def _dismissed(behind: list[str], *, skipped: int = 0) -> bool:
    """Whether the words behind say that it is not the one ("is wrong"), or, some `skipped`, not there ("is absent")."""
    passed = list(itertools.takewhile(lambda word: word not in _VERBS | _NEGATIONS, behind))
    if passed:
        gone = re.match(_GONE, " ".join(behind[len(passed) :])) is not None
        return gone and len(passed) <= skipped and not set(passed) & _ENDS
    near = behind[:4]
    if not near or near[0] not in _VERBS | _NEGATIONS:
        return False
    two = {" ".join(pair) for pair in zip(near, near[1:], strict=False)}
    return bool(set(near[:3]) & (_DENIALS | {"absent"}) or two & {"less likely", "ruled out", "least likely"})


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
    after = tokens(rest)
    if not sign:  # "A large mass", "I think": a word of the sentence
        clause = " ".join(tokens(re.split(_CLAUSE, rest)[0]))
        return index if word.isupper() and re.match(rf"(?:is|was) {_IT}(?: because| since| as|$)", clause) else None
    if _begins_other(after, texts, index):
        return AMBIGUOUS
    if set(after[:3]) & _DENIALS or _dismissed(after):
        return None
    if sign == "." and rest[:1].islower():
        return None
    if sign.startswith(("-", "–", "—")) and not word.isupper():  # noqa: RUF001
        return None
    if re.match(r"[-–—]\w", text[len(word) :]):  # noqa: RUF001 "A-line", "B-cell"
        return None
    return index


def _marked(text: str, texts: list[list[str]]) -> int | None:
    """Letters in round brackets anywhere, if they are one and the same and not denied: "I would choose (B)"."""
    found = set()
    for match in re.finditer(r"(?<!\w)\(([A-J])\)", text):
        before, behind = re.split(_CLAUSE, text[: match.start()])[-1], re.split(_CLAUSE, text[match.end() :])[0]
        if not _denied(tokens(before)) and not _dismissed(tokens(behind)):
            found.add(_letter(match.group(1), len(texts)))
    found -= {None}
    if len(found) > 1:
        return None
    return found.pop() if found else None


def _mentioned(text: str, texts: list[list[str]]) -> int | None:
    """The one option whose text the reply contains, not denied and not inside a longer option's text."""
    clauses = [tokens(c) for c in re.split(_CLAUSE, text)]
    said = [t for c in clauses for t in c]
    bounds = itertools.pairwise(itertools.accumulate(map(len, clauses), initial=0))
    clause_of = [(begin, end) for begin, end in bounds for _ in range(begin, end)]
    spans = [(start, start + len(t), i) for i, t in enumerate(texts) for start in _places(said, t)]
    free = [s for s in spans if not any(o[0] <= s[0] and s[1] <= o[1] and o[1] - o[0] > s[1] - s[0] for o in spans)]
    named = set()
    for start, end, i in free:
        begins, ends = clause_of[start]
        if not _denied(said[begins:start]) and not _dismissed(said[end:ends], skipped=2):
            named.add(i)
    return named.pop() if len(named) == 1 else None


def _places(said: list[str], wanted: list[str]) -> Iterator[int]:
    if set(wanted) - _COMMON:
        yield from (s for s in range(len(said) - len(wanted) + 1) if said[s : s + len(wanted)] == wanted)


def _denied(before: list[str]) -> bool:
    """Whether the words before a mention, within its clause, deny it."""
    two = {" ".join(pair) for pair in zip(before[-4:], before[-3:], strict=False)}
    if two & {"rather than", "instead of", "ruled out", "rule out", "rules out"}:
        return True
    turn = max((i for i, word in enumerate(before) if word in _TURNS), default=-1)
    near = before[turn + 1 :]
    if set(near[-3:]) & _DENIALS or set(near[-6:]) & _NEGATIONS:
        return True
    # "no evidence of a mass or effusion"; but "no mass is seen in the effusion", "absence of markings suggests ..."
    verb = max((i for i, word in enumerate(near) if word in _VERBS | _SAY), default=-1)
    reach = near[max(verb + 1, len(near) - 6) :]
    return any(a in _NONE_OF and b not in _NOT_NONE for a, b in itertools.pairwise([*reach, ""]))
