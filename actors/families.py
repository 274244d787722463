"""The families of questions that an admitted text model writes from a clip's transcript.

OpenBiomedVid's multi-turn questions, open and with four options (`qa`); ViDRiP's description with its two-round quality
gate, then the diagnosis (`description`); Quilt's conversation, detailed description, complex reasoning and iterative
reasoning, which are told where the lecturer points and must not speak of it. A turn that fails stays in the list, with
its reason.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from actors.admission import WRITING, choice_request, decision_request
from actors.asking import Asking, Told, failure, label, told
from actors.dialogue import iterative
from actors.text_engine import Reply, TextEngine
from pipelines.instruct_config import InstructConfig
from pipelines.instruct_schema import LETTERS, Drop
from pipelines.schema import Clip
from pipelines.stages import leaks
from pipelines.stages.drafts import Draft, in_seeded_order

WRONG_OPTIONS = 3
_DESCRIBE = (
    "Describe the picture: which relevant details does it show?",
    "What does this picture show? Describe it in the proper terms.",
)
_DIAGNOSE = "What is the best diagnosis for this picture?"
_DETAIL = (
    "Describe this picture in full detail.",
    "Explain everything that can be seen in this picture.",
    "Give a complete description of what the picture shows.",
)


class Writer:
    """Writes the turns of one family for all clips of a video. Callable from many threads at once."""

    def __init__(self, engine: TextEngine, config: InstructConfig) -> None:
        self._asking = Asking(engine, config)

    def __call__(self, family: str, clips: Sequence[Clip]) -> list[Draft]:
        """The family's turns, each clip's in order; those that failed with their reason.

        Raises:
            EnvironmentFault: the engine is gone.
        """
        return _FAMILIES[family](self._asking, told(clips))


def questions(asking: Asking, about: Sequence[Told]) -> list[Draft]:
    """Open ones; every second becomes one with three wrong options, and is then asked with the transcript at hand."""
    drafts = _exchanges(asking, about, "qa_open", "question", "answer", boxes=False)
    open_ones, chosen = ([d for d in drafts if d.number % 2 == rest] for rest in (0, 1))
    return open_ones + _consistent(asking, _with_options(asking, chosen, about), about)


def _with_options(asking: Asking, drafts: Sequence[Draft], about: Sequence[Told]) -> list[Draft]:
    transcripts = {t.clip_id: t.transcript for t in about}
    named = label("question", "answer", "options", "understanding")
    done = [replace(d, family="qa_choice", prompt=named) for d in drafts]
    good = [n for n, d in enumerate(done) if d.reason is None]
    texts = [(transcripts[done[n].clip_id], {"question": done[n].question, "right": done[n].answer}) for n in good]
    for n, reply in zip(good, asking.ask("options", texts), strict=True):
        done[n] = _optioned(done[n], reply, asking.config.seed)
    return done


def _optioned(draft: Draft, reply: Reply, seed: int) -> Draft:
    if reply.text is None:
        return draft.dropped(failure(reply))
    right, wrong = draft.answer.strip(" ."), [w.strip(" .") for w in reply.text.split(";") if w.strip(" .")]
    options = [right, *wrong]
    if not right or len(wrong) != WRONG_OPTIONS or len({o.casefold() for o in options}) != len(options):
        return draft.dropped(Drop.FORM)
    return replace(draft, answer=right, options=in_seeded_order(options, seed, draft.question_id))


def _consistent(asking: Asking, drafts: Sequence[Draft], about: Sequence[Told]) -> list[Draft]:
    """The model itself, reading the transcript, must choose the answer that it gave."""
    transcripts = {t.clip_id: t.transcript for t in about}
    done = list(drafts)
    good = [n for n, d in enumerate(done) if d.reason is None]
    requests = [
        choice_request("understanding", transcripts[done[n].clip_id], done[n].question, done[n].options) for n in good
    ]
    for n, reply in zip(good, asking.engine.generate(requests) if requests else [], strict=True):
        agrees = reply.text == LETTERS[done[n].options.index(done[n].answer)]
        done[n] = done[n].dropped(None if agrees else Drop.INCONSISTENT)
    return done


def conversation(asking: Asking, about: Sequence[Told]) -> list[Draft]:
    """A student's questions about what lies where, and the answers."""
    return _exchanges(asking, about, "conversation", "conversation_question", "conversation_answer", boxes=True)


def _exchanges(asking: Asking, about: Sequence[Told], family: str, ask: str, answer: str, *, boxes: bool) -> list[Draft]:
    """Rounds of a question and its answer about every clip; each question knows those before it."""
    named = label(ask, answer)
    before = {t.clip_id: "" for t in about}
    drafts = []
    for number in range(asking.config.gate.turns):
        context = [{"pointing": t.pointing} if boxes else {} for t in about]
        asked = asking.ask(
            ask, [(t.transcript, c | {"asked": before[t.clip_id] or "none"}) for t, c in zip(about, context, strict=True)]
        )
        made = [asking.asked(t, family, number, named, reply) for t, reply in zip(about, asked, strict=True)]
        made = [d.dropped(Drop.REPEATED if d.question and d.question in before[d.clip_id] else None) for d in made]
        drafts += asking.answered(made, about, answer, context)
        for draft in made:
            before[draft.clip_id] += f" {draft.question}"
    return drafts


def description(asking: Asking, about: Sequence[Told]) -> list[Draft]:
    """ViDRiP's: round one rates the source text and describes it in detail; what fails gets a concise description in round
    two, which is rated itself. Then the diagnosis.
    """
    named = label("description", "concise", "quality")
    empty = [asking.draft(t, "description", 0, named, asking.worded(_DESCRIBE, t)) for t in about]
    first = _rated(asking, empty, [t.transcript for t in about])
    first = _formed(asking.answered(first, about, "description", [{} for _ in about]))
    again = [n for n, d in enumerate(first) if d.reason is not None]
    second = [about[n] for n in again]
    concise = _formed(asking.answered([empty[n] for n in again], second, "concise", [{} for _ in again]))
    for n, draft in zip(again, _rated(asking, concise, [d.answer for d in concise]), strict=True):
        first[n] = draft
    last = [asking.draft(t, "description", 1, label("diagnosis"), _DIAGNOSE) for t in about]
    last = [d.dropped(f.reason and Drop.INCOMPLETE) for f, d in zip(first, last, strict=True)]
    last = asking.answered(last, about, "diagnosis", [{} for _ in about])
    return [d for pair in zip(first, last, strict=True) for d in pair]


def _formed(drafts: Sequence[Draft]) -> list[Draft]:
    return [d if d.answer.startswith("The image") else d.dropped(Drop.FORM) for d in drafts]


def _rated(asking: Asking, drafts: Sequence[Draft], texts: Sequence[str]) -> list[Draft]:
    """Those whose text is rated below the bar get a reason."""
    done = list(drafts)
    good = [n for n, d in enumerate(done) if d.reason is None]
    requests = [decision_request("quality", texts[n], WRITING) for n in good]
    for n, reply in zip(good, asking.engine.generate(requests) if requests else [], strict=True):
        done[n] = done[n].dropped(gate(reply, asking.config.gate.min_quality))
    return done


def gate(reply: Reply, min_quality: int) -> Drop | None:
    """Kept from the bar up; a rating that failed is no rating."""
    if reply.text is None:
        return failure(reply)
    return None if int(reply.text) >= min_quality else Drop.QUALITY


def detail(asking: Asking, about: Sequence[Told]) -> list[Draft]:
    """One full description a clip."""
    drafts = [asking.draft(t, "detail", 0, label("detail"), asking.worded(_DETAIL, t)) for t in about]
    return asking.answered(drafts, about, "detail", [{"pointing": t.pointing} for t in about])


def reasoning(asking: Asking, about: Sequence[Told]) -> list[Draft]:
    """One question a clip, from what is visible to what it means; the lecture's clues must not stand in it."""
    named = label("clues", "reasoning_question", "reasoning_answer")
    clued, missing = asking.clued(about, "reasoning", named)
    about = [t for t, _ in clued]
    context = [{"pointing": t.pointing, "clues": clues} for t, clues in clued]
    asked = asking.ask("reasoning_question", [(t.transcript, c) for t, c in zip(about, context, strict=True)])
    drafts = []
    for (t, clues), reply in zip(clued, asked, strict=True):
        draft = asking.asked(t, "reasoning", 0, named, reply)
        reveals = any(leaks.in_question(draft.question, clue) for clue in clues.split(";"))
        drafts.append(draft.dropped(Drop.ANSWER_IN_QUESTION if reveals else None))
    return missing + asking.answered(drafts, about, "reasoning_answer", context, by_lecture=True)


_FAMILIES: dict[str, Callable[[Asking, Sequence[Told]], list[Draft]]] = {
    "qa": questions,
    "description": description,
    "conversation": conversation,
    "detail": detail,
    "reasoning": reasoning,
    "iterative": iterative,
}
