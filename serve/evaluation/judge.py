"""A judge behind any OpenAI-compatible address: one fixed scale per benchmark, structured replies, bounded tries.

A reply that is not of the form is asked again a few times; then the question has failed, and no mark is made up.
"""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve.evaluation.answer import Fault, Part, Reason
from serve.evaluation.client import Client
from serve.evaluation.question import Question

_FOLDER = Path(__file__).parent / "judges"
MAX_TOKENS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What is marked, and from where to where: one of `judges/*.toml`."""

    version: str
    minimum: int
    maximum: int
    system: str
    user: str
    marks: tuple[str, ...]
    asks: tuple[str, ...]
    """One request each."""
    together: bool
    """All marks come in one reply, and the last is a share of the first."""

    def names(self, ask: int) -> tuple[str, ...]:
        """The marks that one reply holds."""
        return self.marks if self.together else (self.marks[ask],)

    def schema(self, ask: int) -> dict[str, Any]:
        """The JSON schema of one reply: whole numbers of the scale and nothing else."""
        mark = {"type": "integer", "enum": list(range(self.minimum, self.maximum + 1))}
        names = list(self.names(ask))
        return {
            "type": "object",
            "properties": dict.fromkeys(names, mark),
            "required": names,
            "additionalProperties": False,
        }

    def read(self, ask: int, text: str) -> dict[str, int]:
        """The marks in a reply.

        Raises:
            ValueError: it is not exactly an object of these marks; nothing is rounded, clipped or guessed.
        """
        body = json.loads(text)
        names = self.names(ask)
        if not isinstance(body, dict) or set(body) != set(names):
            raise ValueError(f"not an object of {', '.join(names)}")
        for name, mark in body.items():
            if type(mark) is not int or not self.minimum <= mark <= self.maximum:
                raise ValueError(f"{name} is {mark!r}, not a whole number from {self.minimum} to {self.maximum}")
        return {name: body[name] for name in names}


def scale(name: str) -> Scale:
    """The scale called `name`."""
    body = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    together = bool(body.get("together", False))
    marks = body["marks"]
    return Scale(
        version=body["version"],
        minimum=body["minimum"],
        maximum=body["maximum"],
        system=body["system"].strip(),
        user=body["user"].strip(),
        marks=tuple(m["name"] for m in marks),
        asks=tuple(m["ask"] for m in marks if m["ask"]),
        together=together,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A score as a share of `score_of`, its marks, and what the judge wrote."""

    score: float
    score_of: float
    parts: tuple[Part, ...]
    replies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Marks open answers on one scale."""

    client: Client
    scale: Scale
    tries: int

    @property
    def name(self) -> str:
        """Model and scale, as rows name it."""
        return f"{self.client.model}/{self.scale.version}"

    async def mark(self, question: Question, reply: str) -> Verdict:
        """The verdict on a reply.

        Raises:
            Fault: the judge gives no reply, or none of the form.
        """
        marks: dict[str, int] = {}
        replies = []
        for ask in range(len(self.scale.asks)):
            found, text = await self._ask(question, reply, ask)
            marks |= found
            replies.append(text)
        parts = tuple(Part(name=n, value=float(m)) for n, m in marks.items())
        if self.scale.together:
            score, score_of = float(marks[self.scale.marks[-1]]), float(marks[self.scale.marks[0]])
        else:
            score, score_of = sum(marks.values()) / (self.scale.maximum * len(marks)), 1.0
        return Verdict(score=score, score_of=score_of, parts=parts, replies=tuple(replies))

    async def _ask(self, question: Question, reply: str, ask: int) -> tuple[dict[str, int], str]:
        user = _filled(self.scale.user, question=question.text, expected=question.answer, reply=reply, notes=question.notes)
        messages = [
            {"role": "system", "content": self.scale.system},
            {"role": "user", "content": f"{user}\n\n{self.scale.asks[ask]}"},
        ]
        form = {"name": "marks", "schema": self.scale.schema(ask), "strict": True}
        said, why = "", ""
        for attempt in range(self.tries):
            try:
                got = await self.client.ask(
                    messages,
                    temperature=0.0,
                    seed=attempt,
                    max_tokens=MAX_TOKENS,
                    response_format={"type": "json_schema", "json_schema": form},
                )
            except Fault as fault:
                raise Fault(Reason.JUDGE_FAILED, str(fault)) from fault
            said = got.text
            try:
                return self.scale.read(ask, said), said
            except ValueError as error:
                why = "it is no JSON" if isinstance(error, json.JSONDecodeError) else str(error)
        raise Fault(Reason.JUDGE_MALFORMED, f"{self.tries} replies, the last {said[:100]!r}: {why}")


def _filled(template: str, **values: str) -> str:
    """The template with its fields; braces in the values stay what they are."""
    pieces = template.split("{")
    return pieces[0] + "".join(values[name] + rest for name, _, rest in (p.partition("}") for p in pieces[1:]))
