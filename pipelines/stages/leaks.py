"""Can a question be answered without looking? What its own words, and the words before it, give away.

What a text model knows without the picture is asked of it in `actors.blind`.
"""

import re
from collections.abc import Sequence

from pipelines.instruct_schema import Drop
from pipelines.stages.faithfulness import is_content, stem, tokens

_PLACES = re.compile(
    r"\b(?:left|right|upper|lower|upward|downward|top|bottom|above|below|beneath|under|over|up|down|higher|superior\w*|"
    r"inferior\w*|corners?|quadrants?|quarters?|middle|cent(?:er|re|ral)\w*|midline)\b",
    re.IGNORECASE,
)
_BOXES = re.compile(
    r"\b(?:bounding|box(?:es)?|rectangles?|coordinates?|pixels?|cursor|pointer)\b|\b0?\.\d{2}\b", re.IGNORECASE
)
_SOURCES = re.compile(
    r"\b(?:transcripts?|captions?|narrat\w+|lecturers?|speakers?|the text|the passage|according to the (?:video|lecture))\b",
    re.IGNORECASE,
)


def in_question(question: str, answer: str, options: Sequence[str] = ()) -> bool:
    """Whether the question holds the answer's words, or, where there are options, words of the right one alone."""
    own = _stems(answer)
    asked = _stems(question)
    if not options:
        return bool(own) and own <= asked
    others = set[str]().union(*(_stems(option) for option in options if option != answer))
    return bool((own - others) & asked)


def said_before(answer: str, earlier: Sequence[str]) -> bool:
    """Whether one of the earlier answers of the conversation holds the answer's words."""
    own = _stems(answer)
    return bool(own) and any(own <= _stems(text) for text in earlier)


def says_place(text: str) -> bool:
    """Whether a sentence says where in the picture to look; sides of the body count, for they are places too."""
    return _PLACES.search(text) is not None


def mentions(text: str) -> Drop | None:
    """Boxes are given to the model so that it knows what is where; like the transcript, they are not to be spoken of."""
    if _BOXES.search(text):
        return Drop.MENTIONS_BOX
    return Drop.MENTIONS_SOURCE if _SOURCES.search(text) else None


def _stems(text: str) -> set[str]:
    return {stem(token) for token in tokens(text) if is_content(token)}
