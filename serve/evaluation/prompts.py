"""The words of a question. The options always reach the model."""

from pipelines.instruct_schema import lettered
from serve.evaluation.question import Kind, Question

VERSION = "1"
"""Part of the fingerprint: change it with any wording here."""
SHORT = "Answer with a single word or a short phrase."
LONG = "Answer in full sentences."


def prompt(question: Question, open_instruction: str = SHORT) -> str:
    """Context, question, options, and what form of answer is wanted."""
    parts = [question.context, question.text]
    if question.kind is Kind.OPTIONS:
        parts.append(lettered(question.options))
    elif question.kind is Kind.WORD:
        *some, last = question.options
        parts.append(f"Answer with {', '.join(some)} or {last} only.")
    else:
        parts.append(open_instruction)
    return "\n\n".join(p for p in parts if p)
