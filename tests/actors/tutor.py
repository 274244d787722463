"""A text model of rules behind an HTTP address: knows the admission probe, and one lecture about a liver."""

import json
import re
from collections.abc import Callable
from typing import Any

from actors.admission import WRITING, probe_items
from tests.serve.evaluation.chat import words

TEXT = (
    "On this axial slice the mass sits in the right lobe of the liver. Its rim enhances after contrast. "
    "It is four centimetres wide. This is a haemangioma."
)
QA = {
    "Where does the mass sit?": ("in the right lobe of the liver", "in the left lobe; in the spleen; in the kidney"),
    "How wide is it?": ("four centimetres", "two centimetres; ten centimetres; one centimetre"),
    "What does its border do?": ("enhances after contrast", "calcifies; bleeds; disappears"),
}
SAYS = {
    "options": lambda asked: next(wrong for question, (_, wrong) in QA.items() if question in asked),
    "question": lambda asked: next(q for q in QA if q not in asked),
    "answer": lambda asked: next(answer for question, (answer, _) in QA.items() if question in asked),
    "conversation_question": lambda asked: next(q for q in QA if q not in asked),
    "conversation_answer": lambda asked: next(answer for question, (answer, _) in QA.items() if question in asked),
    "description": "The image shows a mass in the right lobe of the liver, its rim enhances after contrast.",
    "concise": "The image shows a mass in the liver.",
    "diagnosis": "a haemangioma",
    "clues": "haemangioma; the rim enhances after contrast",
    "detail": "On the axial slice a mass sits in the right lobe of the liver, four centimetres wide; its rim enhances.",
    "reasoning_question": "What does the picture lead to?",
    "reasoning_answer": "The rim of the mass enhances after contrast, so it is a haemangioma of the liver.",
    "student": lambda asked: "It is a haemangioma." if "Mentor" in asked else "Is it a cyst?",
    "mentor": lambda asked: (
        "It is a haemangioma, its rim enhances after contrast. CORRECT!!!" if '"It is a haem' in asked
        else "See the rim, which enhances after contrast."
    ),
    "quality": "4",
    "guess": "I cannot know.",
    "knowledge": "A",
    "understanding": lambda asked: next(
        letter for letter, option in re.findall(r"([A-D]): ([^;\"]+)", asked) if option.strip() in TEXT
    ),
}  # fmt: skip
Says = str | Callable[[str], str]
RATED = {"good": "4", "poor": "1"}


def tutor(wrong: tuple[str, ...] = (), **says: Says) -> Callable[[dict[str, Any]], str]:
    """Answers every request; fails the probe in the tasks `wrong`, and says otherwise what `says` gives for a field."""
    probe = {(i.task, i.text, i.question): i for i in probe_items(WRITING)}

    def answer(request: dict[str, Any]) -> str:
        asked = words(request)
        field = request["response_format"]["json_schema"]["name"]
        item = next((i for (task, text, question), i in probe.items()
                     if task == field and text in asked and question in asked and (question or i.label in RATED)), None)  # fmt: skip
        said: Says = (SAYS | says)[field]
        if item is not None:
            label = RATED.get(item.label, item.label)
            said = label if field not in wrong else "0" if field == "quality" else "ABCD"["BADC".index(label)]
        return json.dumps({field: said(asked) if callable(said) else said})

    return answer
