"""What all families of questions ask a text model with: one flat task a call, bounded, and every answer judged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from actors.rewriter import CHARS_PER_TOKEN
from actors.text_engine import Reply, Request, TextEngine
from pipelines.instruct_config import InstructConfig
from pipelines.instruct_schema import Drop
from pipelines.schema import Clip
from pipelines.stages import faithfulness, leaks, prompts
from pipelines.stages.drafts import Draft, seeded
from pipelines.stages.pointed import pointed_in

CHARS = {
    "question": 240, "answer": 120, "options": 300, "description": 1600, "concise": 500, "diagnosis": 120, "clues": 600,
    "conversation_question": 240, "conversation_answer": 600, "detail": 2000, "reasoning_question": 300,
    "reasoning_answer": 1600, "student": 360, "mentor": 680,
}  # fmt: skip
"""Most characters of each reply. Published for the dialogue: 90 and 170 tokens, here at four characters each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the model is told of a clip."""

    clip_id: str
    transcript: str
    pointing: str
    """Boxes, as shares of the picture's width and height, and what was said meanwhile."""
    lecture: str
    """The transcripts of all the video's clips: clues may come from anywhere in it."""


def told(clips: Sequence[Clip]) -> list[Told]:
    """The clips that have a transcript."""
    lecture = " ".join(c.corrected_text or c.raw_text for c in clips)
    return [
        Told(clip_id=c.clip_id, transcript=c.corrected_text or c.raw_text, pointing=_pointing(c), lecture=lecture)
        for c in clips
        if (c.corrected_text or c.raw_text).strip()
    ]


class Asking:
    """A text engine and the settings, and what families do with them."""

    def __init__(self, engine: TextEngine, config: InstructConfig) -> None:
        self.engine, self.config = engine, config

    def ask(self, task: str, texts: Sequence[tuple[str, dict[str, str]]]) -> list[Reply]:
        """One reply for each transcript and its other texts, in order.

        Raises:
            EnvironmentFault: the engine is gone.
        """
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
        return self.engine.generate(requests) if requests else []

    def draft(self, about: Told, family: str, number: int, label: str, question: str) -> Draft:
        """A turn without an answer yet."""
        return Draft(clip_id=about.clip_id, family=family, number=number, question=question, source="model", prompt=label,
                     model=self.engine.name)  # fmt: skip

    def asked(self, about: Told, family: str, number: int, label: str, reply: Reply) -> Draft:
        """A turn whose question is the model's reply; with a reason where it is none, or speaks of what it must not."""
        draft = self.draft(about, family, number, label, reply.text or "")
        if not reply.text:
            return draft.dropped(Drop.EMPTY if reply.text is not None else failure(reply))
        return draft.dropped(leaks.mentions(reply.text))

    def answered(
        self, drafts: Sequence[Draft], about: Sequence[Told], task: str, others: Sequence[dict[str, str]],
        *, by_lecture: bool = False,
    ) -> list[Draft]:  # fmt: skip
        """The drafts with the model's answers, judged against the clip's transcript or the whole lecture's."""
        good = [n for n, d in enumerate(drafts) if d.reason is None]
        replies = self.ask(task, [(about[n].transcript, others[n] | {"question": drafts[n].question}) for n in good])
        done = list(drafts)
        for n, reply in zip(good, replies, strict=True):
            done[n] = self.judged(drafts[n], reply, about[n].lecture if by_lecture else about[n].transcript)
        return done

    def judged(self, draft: Draft, reply: Reply, source: str) -> Draft:
        """The draft with the reply as its answer; with a reason where it says more than the source, or other things."""
        if reply.text is None:
            return draft.dropped(failure(reply))
        unsupported = faithfulness.judge(reply.text, source, self.config.text)[1]
        reason = leaks.mentions(reply.text) or (Drop(unsupported) if unsupported else None)
        return replace(draft, answer=reply.text).dropped(reason)

    def clued(self, about: Sequence[Told], family: str, label: str) -> tuple[list[tuple[Told, str]], list[Draft]]:
        """The clips with the diagnosis and clues of their lecture; one dropped turn for each where there are none."""
        replies = self.ask("clues", [(t.lecture, {}) for t in about[:1]]) * len(about)  # one lecture, one answer
        drafts = [
            self.judged(self.draft(t, family, 0, label, ""), reply, t.lecture)
            for t, reply in zip(about, replies, strict=True)
        ]
        found = [(t, d.answer) for t, d in zip(about, drafts, strict=True) if d.reason is None]
        return found, [d for d in drafts if d.reason is not None]

    def worded(self, wordings: Sequence[str], about: Told) -> str:
        """One of the wordings."""
        return seeded(self.config.seed, f"wording:{about.clip_id}/{wordings[0]}").choice(wordings)


def failure(reply: Reply) -> Drop:
    """Why a reply is none."""
    return Drop(reply.failure or Drop.MALFORMED)


def label(*tasks: str) -> str:
    """How rows name the prompts of a family."""
    return ", ".join(prompts.load(f"instruct/{task}").label for task in tasks)


def _pointing(clip: Clip) -> str:
    lines = [
        f"x {p.box.x0:.2f} to {p.box.x1:.2f}, y {p.box.y0:.2f} to {p.box.y1:.2f}: {p.text}" for p in pointed_in(clip)
    ]
    return " ".join(lines) or "nothing is pointed at"
