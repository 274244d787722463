"""What a text model knows without the picture: such questions do not teach or test looking."""

from collections.abc import Sequence

from actors.admission import choice_request
from actors.text_engine import Reply, Request, TextEngine
from pipelines.instruct_schema import LETTERS
from pipelines.stages import leaks, prompts
from pipelines.stages.drafts import Draft, in_seeded_order

ORDERS = 2
"""A question with options counts as known only if it is answered rightly in each of so many orders: of four options a mere
guess passes once in sixteen."""
GUESS_CHARS = 200
"""Longer answers nobody guesses, and they are not asked."""


def known_without_looking(engine: TextEngine, drafts: Sequence[Draft], seed: int) -> list[bool]:
    """Whether the model, asked the question alone, gives its answer. A reply that failed does not.

    Raises:
        EnvironmentFault: the engine is gone.
    """
    asked = [(number, request, right) for number, draft in enumerate(drafts) for request, right in _asked(draft, seed)]
    replies = engine.generate([request for _, request, _ in asked]) if asked else []
    known = [bool(draft.options) or len(draft.answer) <= GUESS_CHARS for draft in drafts]
    for (number, request, right), reply in zip(asked, replies, strict=True):
        known[number] &= _says(request, reply, right)
    return known


def _asked(draft: Draft, seed: int) -> list[tuple[Request, str]]:
    """The requests, and what a reply that knows the answer says."""
    if not draft.options and len(draft.answer) > GUESS_CHARS:
        return []
    if not draft.options:
        prompt = prompts.load("instruct/guess")
        request = Request(system=prompt.system, user=prompt.render(draft.question), max_tokens=96, field="guess",
                          max_chars=GUESS_CHARS)  # fmt: skip
        return [(request, draft.answer)]
    orders = [in_seeded_order(draft.options, seed, f"blind{n}:{draft.question_id}") for n in range(ORDERS)]
    return [
        (choice_request("knowledge", "None.", draft.question, order), LETTERS[order.index(draft.answer)])
        for order in orders
    ]


def _says(request: Request, reply: Reply, right: str) -> bool:
    if reply.text is None:
        return False
    return reply.text == right if request.choices else leaks.in_question(reply.text, right)
