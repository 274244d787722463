"""One question from its pictures to its row."""

import asyncio
import dataclasses
from dataclasses import dataclass, field

from pipelines.errors import EnvironmentFault
from pipelines.store import now
from serve.evaluation.answer import SERVER_FAULTS, Answer, Fault, Reason, Status
from serve.evaluation.client import Client
from serve.evaluation.conditions import Asked
from serve.evaluation.config import OpenScore, Settings
from serve.evaluation.journal import Journal
from serve.evaluation.judge import Judge
from serve.evaluation.pictures import parts
from serve.evaluation.prompts import prompt
from serve.evaluation.question import Question
from serve.evaluation.scoring import is_judged, said, score


@dataclass(slots=True, kw_only=True)
class Asker:
    """Asks, judges, scores and saves; many questions at once."""

    client: Client
    judge: Judge
    measure: OpenScore
    instruction: str
    max_tokens: int
    settings: Settings
    journal: Journal
    _faults_in_a_row: int = field(default=0, init=False)

    async def answer(self, asked: Asked) -> None:
        """Save the question's row, whatever becomes of it.

        Raises:
            UsageError, EnvironmentFault: every question would fail; this one keeps what was known of it.
        """
        before = self.journal.answer(asked.question.question_id)
        row = self._blank(asked, before)
        try:
            if before is None or before.reply is None:
                row = await self._replied(asked, row)
            else:  # only the judge's word is missing
                row = dataclasses.replace(before, attempt=row.attempt, status=Status.OK, reason=None, detail=None)
            row = await self._scored(asked.question, row)
        except Fault as fault:
            row = dataclasses.replace(row, status=fault.reason.status, reason=fault.reason, detail=fault.detail)
        self.journal.save(row)
        self._watch(row)

    def _blank(self, asked: Asked, before: Answer | None) -> Answer:
        question = asked.question
        return Answer(
            question_id=question.question_id,
            source_id=question.source_id,
            group=question.group,
            kind=str(question.kind),
            prompt=prompt(question, self.instruction),
            options=question.options,
            expected=question.answer,
            media=tuple(m.media_id for m in asked.media),
            labelled_by=question.labelled_by,
            status=Status.OK,
            attempt=before.attempt + 1 if before else 1,
            model=self.client.model,
            asked_at=now(),
        )

    async def _replied(self, asked: Asked, row: Answer) -> Answer:
        content = []
        for media in asked.media:  # reading and decoding must not hold up the others' replies
            content += await asyncio.to_thread(parts, media, self.settings)
        message = {"role": "user", "content": [*content, {"type": "text", "text": row.prompt}] if content else row.prompt}
        reply = await self.client.ask(
            [message],
            temperature=self.settings.temperature,
            seed=self.settings.seed,
            max_tokens=self.max_tokens,
        )
        row = dataclasses.replace(
            row,
            reply=reply.text,
            finish_reason=reply.finish_reason,
            latency_s=reply.latency_s,
            retries=reply.retries,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
        )
        if is_judged(asked.question, self.measure):
            self.journal.save(row, waits=True)
        return row

    async def _scored(self, question: Question, row: Answer) -> Answer:
        reply = said(row.reply or "")
        scored = score(question, reply, self.measure)
        is_marked = is_judged(question, self.measure)
        if scored.reason is not None and not (is_marked and self.judge.scale.together):
            # beside a reference that is marked too, an empty answer is marked as any other
            return dataclasses.replace(row, status=scored.reason.status, reason=scored.reason)
        row = dataclasses.replace(row, chosen=scored.chosen, parts=scored.parts)
        if not is_marked:
            return dataclasses.replace(row, score=scored.score, score_of=1.0)
        verdict = await self.judge.mark(question, reply)
        return dataclasses.replace(
            row,
            score=verdict.score,
            score_of=verdict.score_of,
            parts=(*scored.parts, *verdict.parts),
            judge=self.judge.name,
            judge_replies=verdict.replies,
        )

    def _watch(self, row: Answer) -> None:
        """A server that fails so many questions in a row is broken, and would fail all others too."""
        if row.status is Status.FAILED and row.reason in SERVER_FAULTS:
            self._faults_in_a_row += 1
        elif row.reason not in (Reason.MEDIA_MISSING, Reason.MEDIA_UNREADABLE, Reason.MEDIA_TOO_LARGE):
            self._faults_in_a_row = 0
        if self._faults_in_a_row >= self.settings.stop_after:
            raise EnvironmentFault(
                f"{self._faults_in_a_row} questions in a row have failed, the last: {row.reason}, {row.detail}."
            )
