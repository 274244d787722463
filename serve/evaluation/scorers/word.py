"""Whether a reply says yes or no (or maybe), or neither. There is no default.

"Normal ..." is not no; "No abnormality is seen" answers no question with no: there the word belongs to a noun.

Standard library only, as `choice`.
"""

import re
from collections.abc import Sequence

_OPENERS = (
    r"it|its|it's|there|there's|this|that|these|those|the|they|he|she|we|you|i|because|since|as|but|not|based|in|on|only|"
    r"according|however|sir|definitely|absolutely|indeed|for|there’s|it’s"  # noqa: RUF001
)
_SIGN = r"\s*(?:$|[.,;:!)\]\n\-–—])"  # noqa: RUF001


def say(reply: str, words: Sequence[str]) -> str | None:
    """Which of `words` the reply answers with; None where it answers with none, or with several."""
    text = re.sub(r"^.*</think>|<think>.*", " ", reply, flags=re.DOTALL)
    text = re.sub(r'^\s*[{\[]\s*"[^"]*"\s*:\s*"([^"]*)"\s*[}\]]\s*$', r"\1", text)
    replaced = 1
    while replaced:  # one may stand in the other
        text, replaced = re.subn(r"\\(?:boxed|text|mathbf|mathrm|textbf)\s*\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"</?answer>", " ", text, flags=re.IGNORECASE).strip()
    text = re.sub(r"[*`$\"“”'‘’_]|^\s*[#>(\[]+", "", text).strip().casefold()  # noqa: RUF001
    either = "|".join(re.escape(w.casefold()) for w in words)
    if re.match(rf"(?:{either})\s*(?:/|\bor\b|\band\b|,\s*(?:or|and)\b)\s*(?:{either})\b", text):
        return None  # "yes or no", "yes and no"
    for pattern in (
        rf"(?:(?:the\s+)?(?:final\s+|correct\s+|short\s+)?answer(?:\s+is)?\s*:?\s*)?({either})(?:{_SIGN}|\s+(?:{_OPENERS})\b)",
        None,
    ):
        match = re.match(pattern, text) if pattern else _explicit(text, either)
        if match is not None:
            return next(w for w in words if w.casefold() == match.group(1))
    lines = [line.strip(" .!:;,") for line in text.splitlines() if line.strip(" .!:;,")]
    last = lines[-1] if lines else ""
    closing = re.search(rf"(?:^|[.,;:]\s+)({either})$", last)
    return next(w for w in words if w.casefold() == closing.group(1)) if closing else None


def _explicit(text: str, either: str) -> re.Match[str] | None:
    """The last "the answer is no", "answer: yes" as a statement; a noun behind "no" makes it none."""
    found = None
    for match in re.finditer(rf"\banswer(?:\s+(?:is|would\s+be|must\s+be))?\s*[:=]?\s*({either}){_SIGN}", text):
        found = match
    return found
