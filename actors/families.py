"""The families of questions that an admitted text model writes from a clip's transcript: one flat task a call.

OpenBiomedVid's multi-turn questions, open and with four options (`qa`); ViDRiP's description with its two-round quality
gate, then the diagnosis (`description`); Quilt's conversation, detailed description, complex reasoning and iterative
reasoning, which are told where the cursor points and must not speak of it.

Every text is judged as a caption is (`pipelines.stages.faithfulness`). A turn that fails stays in the list with its reason.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from actors.admission import WRITING, choice_request, decision_request
from actors.rewriter import CHARS_PER_TOKEN
from actors.text_engine import Reply, Request, TextEngine
from pipelines.instruct_config import InstructConfig
from pipelines.instruct_schema import LETTERS, Drop
from pipelines.schema import Clip
from pipelines.stages import faithfulness, leaks, prompts
from pipelines.stages.drafts import Draft, in_seeded_order, question_id, seeded
from pipelines.stages.pointed import pointed_in

CHARS = {
    "question": 240, "answer": 120, "options": 300, "description": 1600, "concise": 500, "diagnosis": 120, "clues": 600,
    "conversation_question": 240, "conversation_answer": 600, "detail": 2000, "reasoning_question": 300,
    "reasoning_answer": 1600, "student": 360, "mentor": 680, "mentor_end": 680,
}  # fmt: skip
"""Most characters of each reply. Published for the dialogue: 90 and 170 tokens, at four characters each."""
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
_CORRECT = re.compile(r"\s*(?:CORRECT!*|End of Guidance\.?)\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the model is told of a clip."""

    clip_id: str
    transcript: str
    pointing: str
    lecture: str
    """The transcripts of all the video's clips: clues may come from anywhere in it."""


class Writer:
    """Writes the turns of one family for all clips of a video. Callable from many threads at once."""

    def __init__(self, engine: TextEngine, config: InstructConfig) -> None:
        self._engine, self._config = engine, config
        self._families: dict[str, Callable[[Sequence[Told]], list[Draft]]] = {
            "qa": self._questions,
            "description": self._description,
            "conversation": self._conversation,
            "detail": self._detail,
            "reasoning": self._reasoning,
            "iterative": self._iterative,
        }

    def __call__(self, family: str, clips: Sequence[Clip]) -> list[Draft]:
        """The family's turns, clip by clip; those that failed with their reason.

        Raises:
            EnvironmentFault: the engine is gone.
        """
        lecture = " ".join(filter(None, (c.corrected_text or c.raw_text for c in clips)))
        told = [
            Told(clip_id=c.clip_id, transcript=c.corrected_text or c.raw_text, pointing=_pointing(c), lecture=lecture)
            for c in clips
        ]
        return self._families[family]([t for t in told if t.transcript.strip()])

    def _questions(self, told: Sequence[Told]) -> list[Draft]:
        """Half of the turns stay open, the others get three wrong options and are asked with the transcript at hand."""
        drafts = self._exchanges("qa_open", told, "question", "answer", boxes=False)
        chosen = [d for d in drafts if d.number % 2 == 1]
        return [d for d in drafts if d.number % 2 == 0] + self._with_options(chosen, {t.clip_id: t for t in told})

    def _with_options(self, drafts: Sequence[Draft], told: dict[str, Told]) -> list[Draft]:
        label = f"{drafts[0].prompt}, {prompts.load('instruct/options').label}" if drafts else ""
        drafts = [replace(d, family="qa_choice", prompt=label) for d in drafts]
        good = [d for d in drafts if d.reason is None]
        lists = self._ask(
            "options", [(told[d.clip_id].transcript, {"question": d.question, "right": d.answer}) for d in good]
        )
        made = iter([self._optioned(d, reply) for d, reply in zip(good, lists, strict=True)])
        drafts = [d if d.reason is not None else next(made) for d in drafts]
        return self._consistent(drafts, told)

    def _optioned(self, draft: Draft, reply: Reply) -> Draft:
        if reply.text is None:
            return draft.dropped(_failure(reply))
        wrong = [w.strip(" .") for w in reply.text.split(";") if w.strip(" .")]
        options = [draft.answer, *wrong]
        if len(wrong) != WRONG_OPTIONS or len({o.casefold().strip(" .") for o in options}) != len(options):
            return draft.dropped(Drop.FORM)
        return replace(draft, options=in_seeded_order(options, self._config.seed, draft.question_id))

    def _consistent(self, drafts: Sequence[Draft], told: dict[str, Told]) -> list[Draft]:
        """The model itself, reading the transcript, must choose the answer that it gave."""
        good = [d for d in drafts if d.reason is None]
        asked = [choice_request("understanding", told[d.clip_id].transcript, d.question, d.options) for d in good]
        replies = iter(self._engine.generate(asked) if asked else [])
        checked = []
        for draft in drafts:
            if draft.reason is None:
                chosen = next(replies).text
                agrees = chosen == LETTERS[draft.options.index(draft.answer)]
                draft = draft.dropped(None if agrees else Drop.INCONSISTENT)
            checked.append(draft)
        return checked

    def _conversation(self, told: Sequence[Told]) -> list[Draft]:
        return self._exchanges("conversation", told, "conversation_question", "conversation_answer", boxes=True)

    def _exchanges(self, family: str, told: Sequence[Told], ask: str, answer: str, *, boxes: bool) -> list[Draft]:
        """Rounds of a question and its answer about every clip; each question knows those before it."""
        label = _label(ask, answer)
        asked: dict[str, list[str]] = {t.clip_id: [] for t in told}
        drafts = []
        for number in range(self._config.gate.turns):
            context = [(t.transcript, _boxes(t, boxes) | {"asked": "; ".join(asked[t.clip_id]) or "none"}) for t in told]
            questions = self._ask(ask, context)
            made = [self._question(t, family, number, label, q) for t, q in zip(told, questions, strict=True)]
            drafts += self._answered(made, told, answer, [_boxes(t, boxes) for t in told])
            for draft in made:
                asked[draft.clip_id] += [draft.question] if draft.question else []
        return drafts

    def _question(self, told: Told, family: str, number: int, label: str, reply: Reply) -> Draft:
        draft = self._draft(told, family, number, label, reply.text or "")
        repeated = _failure(reply) if reply.text is None else leaks.mentions(reply.text)
        return draft.dropped(repeated if reply.text else repeated or Drop.EMPTY)

    def _answered(
        self, drafts: Sequence[Draft], told: Sequence[Told], task: str, others: Sequence[dict[str, str]],
        sources: Sequence[str] | None = None,
    ) -> list[Draft]:  # fmt: skip
        """The drafts with the model's answers, judged against what was said; where one failed, its reason."""
        good = [n for n, d in enumerate(drafts) if d.reason is None]
        replies = self._ask(task, [(told[n].transcript, others[n] | {"question": drafts[n].question}) for n in good])
        done = list(drafts)
        for n, reply in zip(good, replies, strict=True):
            done[n] = self._judged(drafts[n], reply, sources[n] if sources else told[n].transcript)
        return done

    def _judged(self, draft: Draft, reply: Reply, source: str) -> Draft:
        if reply.text is None:
            return draft.dropped(_failure(reply))
        draft = replace(draft, answer=reply.text)
        unsaid = leaks.mentions(reply.text)
        failure = faithfulness.judge(reply.text, source, self._config.text)[1]
        return draft.dropped(unsaid or (Drop(failure) if failure else None))

    def _description(self, told: Sequence[Told]) -> list[Draft]:
        """Round one: a detailed description, rated 0 to 5. Below the bar, round two: a concise one, rated again."""
        first = self._described(told, "description")
        again = [n for n, d in enumerate(first) if d.reason is Drop.QUALITY]
        for n, draft in zip(again, self._described([told[n] for n in again], "concise"), strict=True):
            first[n] = draft
        label = _label("diagnosis")
        second = [self._draft(t, "description", 1, label, _DIAGNOSE) for t in told]
        second = [s.dropped(None if f.reason is None else Drop.INCOMPLETE) for f, s in zip(first, second, strict=True)]
        second = self._answered(second, told, "diagnosis", [{} for _ in told])
        return [d for pair in zip(first, second, strict=True) for d in pair]

    def _described(self, told: Sequence[Told], task: str) -> list[Draft]:
        drafts = [
            self._draft(t, "description", 0, _label("description", "concise", "quality"), self._worded(_DESCRIBE, t))
            for t in told
        ]
        drafts = self._answered(drafts, told, task, [{} for _ in told])
        drafts = [d if d.answer.startswith("The image") else d.dropped(Drop.FORM) for d in drafts]
        good = [n for n, d in enumerate(drafts) if d.reason is None]
        asked = [decision_request("quality", drafts[n].answer, WRITING) for n in good]
        for n, reply in zip(good, self._engine.generate(asked) if asked else [], strict=True):
            drafts[n] = drafts[n].dropped(gate(reply, self._config.gate.min_quality))
        return drafts

    def _detail(self, told: Sequence[Told]) -> list[Draft]:
        drafts = [self._draft(t, "detail", 0, _label("detail"), self._worded(_DETAIL, t)) for t in told]
        return self._answered(drafts, told, "detail", [_boxes(t, True) for t in told])

    def _reasoning(self, told: Sequence[Told]) -> list[Draft]:
        """One question a clip, from what is visible to what it means; the lecture's clues must not stand in it."""
        label = _label("clues", "reasoning_question", "reasoning_answer")
        clued, missing = self._clued(told, "reasoning", label)
        context = [_boxes(t, True) | {"clues": clues} for t, clues in clued]
        told = [t for t, _ in clued]
        questions = self._ask("reasoning_question", [(t.transcript, c) for t, c in zip(told, context, strict=True)])
        drafts = []
        for (t, clues), question in zip(clued, questions, strict=True):
            draft = self._question(t, "reasoning", 0, label, question)
            reveals = any(leaks.in_question(draft.question, clue) for clue in clues.split(";"))
            drafts.append(draft.dropped(Drop.ANSWER_IN_QUESTION if reveals else None))
        return missing + self._answered(drafts, told, "reasoning_answer", context, [t.lecture for t in told])

    def _iterative(self, told: Sequence[Told]) -> list[Draft]:
        """A student guesses, a mentor hints: two exchanges, or three in `gate.long_share` of the clips, or until it is right.

        A guess may be wrong, so only the mentor is judged.
        """
        label = _label("clues", "student", "mentor", "mentor_end")
        clued, drafts = self._clued(told, "iterative", label)
        said: dict[str, list[str]] = {t.clip_id: [] for t, _ in clued}
        number = 0
        while clued:
            told = [t for t, _ in clued]
            students = self._ask("student", [(t.transcript, {"asked": _so_far(said[t.clip_id])}) for t in told])
            made = [self._question(t, "iterative", number, label, s) for t, s in zip(told, students, strict=True)]
            goes_on = []
            for is_last in (False, True):
                part = [n for n, t in enumerate(told) if (number + 1 == self._rounds(t)) == is_last]
                chosen = [told[n] for n in part]
                context = [
                    _boxes(told[n], True) | {"clues": clued[n][1]} | ({} if is_last else {"asked": _so_far(said[told[n].clip_id])})
                    for n in part
                ]
                task = "mentor_end" if is_last else "mentor"
                lectures = [t.lecture for t in chosen]
                for n, draft in zip(part, self._answered([made[n] for n in part], chosen, task, context, lectures), strict=True):
                    is_right = _CORRECT.search(draft.answer) is not None
                    draft = replace(draft, answer=_CORRECT.sub("", draft.answer))
                    drafts.append(draft if draft.answer else draft.dropped(Drop.EMPTY))
                    said[draft.clip_id] += [f"Student: {draft.question}", f"Mentor: {draft.answer}"]
                    if not (is_last or is_right or draft.reason):
                        goes_on.append(n)
            clued = [clued[n] for n in sorted(goes_on)]
            number += 1
        broken = {d.clip_id for d in drafts if d.reason is not None}  # half a dialogue leads nowhere
        return [d.dropped(Drop.INCOMPLETE if d.clip_id in broken else None) for d in drafts]

    def _rounds(self, told: Told) -> int:
        """Published: four messages, or six."""
        long = seeded(self._config.seed, f"rounds:{told.clip_id}").random() < self._config.gate.long_share
        return 3 if long else 2

    def _clued(self, told: Sequence[Told], family: str, label: str) -> tuple[list[tuple[Told, str]], list[Draft]]:
        """The clips with the diagnosis and clues of their lecture; one dropped turn for each that has none."""
        replies = self._ask("clues", [(t.lecture, {}) for t in told[:1]]) * len(told)  # one lecture, one answer
        found, missing = [], []
        for t, reply in zip(told, replies, strict=True):
            draft = self._judged(self._draft(t, family, 0, label, ""), reply, t.lecture)
            if draft.reason is None:
                found.append((t, draft.answer))
            else:
                missing.append(replace(draft, answer=""))
        return found, missing

    def _draft(self, told: Told, family: str, number: int, label: str, question: str) -> Draft:
        return Draft(clip_id=told.clip_id, family=family, number=number, question=question, source="model", prompt=label,
                     model=self._engine.name)  # fmt: skip

    def _worded(self, wordings: Sequence[str], told: Told) -> str:
        return seeded(self._config.seed, f"wording:{question_id(told.clip_id, wordings[0], 0)}").choice(wordings)

    def _ask(self, task: str, texts: Sequence[tuple[str, dict[str, str]]]) -> list[Reply]:
        prompt = prompts.load(f"instruct/{task}")
        requests = [
            Request(
                system=prompt.system,
                user=prompt.render(transcript, **others),
                max_tokens=int(CHARS[task] / CHARS_PER_TOKEN) + 16,
                field=task,
                max_chars=CHARS[task],
            )
            for transcript, others in texts
        ]
        return self._engine.generate(requests) if requests else []


def gate(reply: Reply, min_quality: int) -> Drop | None:
    """ViDRiP's gate: kept from the bar up; a rating that failed is no rating."""
    if reply.text is None:
        return _failure(reply)
    return None if int(reply.text) >= min_quality else Drop.QUALITY


def _failure(reply: Reply) -> Drop:
    return Drop(reply.failure or "malformed")


def _label(*tasks: str) -> str:
    return ", ".join(prompts.load(f"instruct/{task}").label for task in tasks)


def _boxes(told: Told, wanted: bool) -> dict[str, str]:
    return {"pointing": told.pointing} if wanted else {}


def _so_far(said: Sequence[str]) -> str:
    return " ".join(said) or "nothing yet"


def _pointing(clip: Clip) -> str:
    """Where the lecturer points with which words, as shares of the picture's width and height."""
    lines = [
        f"x {p.box.x0:.2f} to {p.box.x1:.2f}, y {p.box.y0:.2f} to {p.box.y1:.2f}: {p.text}" for p in pointed_in(clip)
    ]
    return " ".join(lines) or "nothing is pointed at"
