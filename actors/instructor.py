"""The stage of `preceptor instruct`: a video's clips to its questions and answers, checked for leaks and committed."""

import dataclasses
from collections.abc import Mapping

from actors.admission import WRITING, Admission, admit, known_admission
from actors.blind import known_without_looking
from actors.families import Writer
from actors.text_engine import Key, TextEngine, engine_name, make_engine
from pipelines import instruct_file, vocabulary
from pipelines.instruct_config import TEMPLATES, InstructConfig
from pipelines.instruct_schema import Drop
from pipelines.job import Job
from pipelines.schema import Clip
from pipelines.stages import leaks, rules, templates
from pipelines.stages.drafts import Draft, settled

UNASKED = ("modality", "place", "iterative")
"""Families that the blind model is not asked: the answers of two templates are asked for equally often, so a guess wins
nothing, and dropping its lucky ones would unbalance them; a dialogue's guesses are no questions."""


class Instructor:
    """Owns the text engine, if a model is admitted; many videos at once share its batches."""

    def __init__(
        self, config: InstructConfig, out: str, balances: Mapping[str, templates.Balance], threads: int, key: Key
    ) -> None:
        key.install()
        self._config, self._out, self._balances = config, out, balances
        self._vocabulary = vocabulary.load(config.text.vocabulary)
        self._engine, self._admission = admitted(config, admission_folder(out), threads)
        self._writer = Writer(self._engine, config) if self._engine else None

    @property
    def dead(self) -> bool:
        """The engine has failed for good: this process must be replaced."""
        return self._engine is not None and self._engine.dead

    def __call__(self, job: Job) -> Job:
        """Commit the video's turns; the job comes back without its clips.

        Raises:
            EnvironmentFault: the engine is gone.
        """
        video = job.video
        made = self._checked(self._made(usable(video.clips)))
        kept, dropped = settled(video.video_id, made)
        instruct_file.write(self._out, video.row_id, video.video_id, kept, dropped)
        return Job(video=dataclasses.replace(video, clips=()))

    def _made(self, clips: tuple[Clip, ...]) -> list[Draft]:
        families = [f for f in TEMPLATES if f in self._config.families]
        made = templates.drafts(
            clips, families, self._balances, is_medical=self._is_medical, seed=self._config.seed
        )
        for family in self._config.generated:
            if self._writer is not None and may_write(family, self._admission):
                made += self._writer(family, clips)
        return made

    def _checked(self, made: list[Draft]) -> list[Draft]:
        """With the reasons why some are not kept: first those that their words give, then what a model knows blind."""
        checked = by_words(made)
        if self._engine is not None and self._admission.passed("knowledge"):
            asked = [n for n, d in enumerate(checked) if d.reason is None and not d.family.startswith(UNASKED)]
            known = known_without_looking(self._engine, [checked[n] for n in asked], self._config.seed)
            for n, is_known in zip(asked, known, strict=True):
                checked[n] = checked[n].dropped(Drop.WITHOUT_LOOKING if is_known else None)
        return whole(checked)

    def _is_medical(self, text: str) -> bool:
        return rules.speaks_medically(text, self._vocabulary)


def by_words(made: list[Draft]) -> list[Draft]:
    """Each turn with the first leak that its words show, beside the kept turns before it in its conversation."""
    earlier: dict[tuple[str, str], list[str]] = {}
    checked = []
    for draft in made:
        before = earlier.setdefault((draft.clip_id, draft.family), [])
        if leaks.in_question(draft.question, draft.answer, draft.options):
            draft = draft.dropped(Drop.ANSWER_IN_QUESTION)
        elif draft.source == "model" and leaks.said_before(draft.answer, before):
            draft = draft.dropped(Drop.SAID_BEFORE)
        if draft.reason is None:
            before.append(draft.answer)
        checked.append(draft)
    return checked


def whole(made: list[Draft]) -> list[Draft]:
    """Half a dialogue leads nowhere, and a diagnosis comes after its description: what depends on a dropped turn is too."""
    lost = {(d.clip_id, d.family) for d in made if d.reason and (d.family, d.number) != ("description", 1)}
    depending = ("iterative", "description")
    return [
        d.dropped(Drop.INCOMPLETE if d.family in depending and (d.clip_id, d.family) in lost else None) for d in made
    ]


def usable(clips: tuple[Clip, ...]) -> tuple[Clip, ...]:
    """The clips that training and evaluation show: with a picture, and not decided to be irrelevant."""
    return tuple(c for c in clips if c.image_id and not (c.relevant and c.relevant.value == "irrelevant"))


def admission_folder(out: str) -> str:
    """Where the results of the probe lie."""
    return f"{out.rstrip('/')}/{instruct_file.FOLDER}/admission"


def may_write(family: str, admission: Admission) -> bool:
    """Whether the model's turns of the family count: it understands transcripts, and for the gate it can rate."""
    return admission.passed("understanding") and (family != "description" or admission.passed("quality"))


def admitted(config: InstructConfig, folder: str, threads: int) -> tuple[TextEngine | None, Admission]:
    """The engine, where it may do anything, and what it may do. A model that is known to have failed is not even loaded.

    Raises:
        UsageError: the server refuses the key or does not know the model.
        EnvironmentFault: the engine does not start or answer.
    """
    known = known_admission(engine_name(config.text), folder, WRITING)
    if known is not None and not any(map(known.passed, WRITING.choices)):
        return None, known
    engine = make_engine(config.text, threads=threads, gpu_memory_share=config.resources.gpu_memory_share)
    found = admit(engine, folder, WRITING)
    return (engine if any(map(found.passed, WRITING.choices)) else None), found
