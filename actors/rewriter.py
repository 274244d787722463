"""From a clip's raw transcript to its texts and decisions: one flat task a call, and every answer judged."""

import dataclasses
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from actors.admission import CHOICES, Admission, admit, decision_request
from actors.text_engine import READY, Reply, Request, TextEngine, make_engine
from pipelines import vocabulary
from pipelines.config import TextSettings
from pipelines.schema import Choice, Clip, ModelText
from pipelines.stages import correction, faithfulness, prompts, rules

CHARS_PER_TOKEN = 2.5
"""English runs at four; digits and rare words need more tokens, and a text that is cut short is lost."""


class Rewriter:
    """Fills corrected_text, corrections, caption, medical_text, roi_text, relevant, modality and region of clips.

    Callable from many threads at once: their requests share the engine's batches.
    """

    def __init__(
        self,
        settings: TextSettings,
        *,
        threads: int,
        gpu_memory_share: float,
        admission_folder: str | Path | None,
        engine: TextEngine | None = None,
    ) -> None:
        self._settings = settings
        self._vocabulary = vocabulary.load(settings.vocabulary)
        self._engine = engine or make_engine(settings, threads=threads, gpu_memory_share=gpu_memory_share)
        self._admission_folder = None if admission_folder is None else str(admission_folder)
        self._admission: Admission | None = None
        self._admitting = threading.Lock()

    @property
    def dead(self) -> bool:
        """The engine failed for good: the process must be replaced."""
        return self._engine.dead

    def check(self) -> None:
        """Ask for one word: a wrong key or a broken engine stops the run at its start, not at the first lecture.

        Raises:
            UsageError: the server refuses the key or does not know the model.
            EnvironmentFault: the engine does not answer.
        """
        self._engine.generate([READY])

    @property
    def admission(self) -> Admission:
        """The engine's admission, found out at the first call."""
        with self._admitting:
            if self._admission is None:
                self._admission = admit(self._engine, self._admission_folder)
            return self._admission

    def __call__(self, clips: Sequence[Clip]) -> tuple[Clip, ...]:
        """The clips with their texts and decisions.

        Raises:
            EnvironmentFault: the engine is gone.
        """
        return self._decide(self._write(self._correct(clips)))

    def _correct(self, clips: Sequence[Clip]) -> list[Clip]:
        replies = [Reply()] * len(clips)
        if self.admission.passed("relevance"):  # a model that cannot tell medicine from cooking corrects nothing
            replies = self._engine.generate([self._request("correction", clip.raw_text) for clip in clips])
        corrected = []
        for clip, reply in zip(clips, replies, strict=True):
            proposed = correction.parse_proposals(reply.text or "")
            done = correction.correct(clip.raw_text, self._vocabulary, self._settings, proposed)
            links = tuple(
                dataclasses.replace(link, text=correction.apply(link.text, done.corrections)) for link in clip.links
            )
            corrected.append(
                dataclasses.replace(
                    clip,
                    corrected_text=done.text,
                    corrections=done.corrections,
                    correction_failure=reply.failure,
                    links=links,
                )
            )
        return corrected

    def _write(self, clips: Sequence[Clip]) -> list[Clip]:
        tasks: dict[str, Callable[[str], str | None]] = {
            "caption": lambda text: text,
            "medical_text": lambda text: rules.medical_sentences(text, self._vocabulary),
            "roi_text": rules.roi_sentences,
        }
        asked = [(clip, task) for clip in clips for task in tasks]
        replies = self._engine.generate([self._request(task, clip.corrected_text or "") for clip, task in asked])
        texts: dict[str, list[ModelText]] = {task: [] for task in tasks}
        for (clip, task), reply in zip(asked, replies, strict=True):
            transcript = clip.corrected_text or ""
            texts[task].append(self._judged(task, reply, transcript, tasks[task](transcript)))
        return [
            dataclasses.replace(clip, caption=caption, medical_text=medical, roi_text=roi)
            for clip, caption, medical, roi in zip(clips, *texts.values(), strict=True)
        ]

    def _judged(self, task: str, reply: Reply, transcript: str, fallback: str | None) -> ModelText:
        """The model's text where it passes; else the speaker's own words, with the reason (None where there are none)."""
        support, failure = None, reply.failure
        if reply.text is not None:
            support, failure = faithfulness.judge(reply.text, transcript, self._settings)
        return ModelText(
            text=reply.text if failure is None else fallback,
            source="model" if failure is None else "transcript",
            model=self._engine.name,
            prompt=prompts.load(task).label,
            support=support,
            failure=failure,
        )

    def _decide(self, clips: Sequence[Clip]) -> tuple[Clip, ...]:
        admission = self.admission
        tasks = [task for task in CHOICES if admission.passed(task)]
        asked = [(clip, task) for clip in clips for task in tasks]
        replies = self._engine.generate([decision_request(t, c.corrected_text or "") for c, t in asked]) if asked else []
        answers = {(clip.clip_id, task): reply.text for (clip, task), reply in zip(asked, replies, strict=True)}
        return tuple(self._with_decisions(clip, answers) for clip in clips)

    def _with_decisions(self, clip: Clip, answers: dict[tuple[str, str], str | None]) -> Clip:
        """A model's answer where it was admitted and answered; the rules' otherwise."""
        text = clip.corrected_text or ""
        by_rules = {
            "relevance": rules.relevance(text, clip.domain, self._vocabulary),
            "modality": rules.modality(text, clip.domain),
            "region": rules.region(text, clip.domain),
        }
        chosen = {}
        for task, value in by_rules.items():
            answer = answers.get((clip.clip_id, task))
            by_model = Choice(value=answer, decided_by=f"model:{self._engine.name}") if answer is not None else None
            chosen[task] = by_model or Choice(value=value, decided_by="rules")
        return dataclasses.replace(
            clip, relevant=chosen["relevance"], modality=chosen["modality"], region=chosen["region"]
        )

    def _request(self, task: str, transcript: str) -> Request:
        prompt = prompts.load(task)
        chars = bound(task, transcript, self._settings.max_text_chars)
        return Request(
            system=prompt.system,
            user=prompt.render(transcript),
            max_tokens=int(chars / CHARS_PER_TOKEN) + 16,
            field=task,
            max_chars=chars,
        )


def bound(task: str, transcript: str, max_chars: int) -> int:
    """Characters a reply may have: a rewriting is not longer than 1.25 times its transcript (in steps of 100, so that
    few schemas are compiled), a list of corrections not longer than a third of it.
    """
    share = 1 / 3 if task == "correction" else 1.25
    wanted = -(-int(len(transcript) * share) // 100) * 100
    return max(100, min(max_chars, wanted))
