"""The write stage: clips from frame classes and words, then their texts."""

import dataclasses

from actors.rewriter import Rewriter
from actors.text_engine import Key
from pipelines import vocabulary
from pipelines.config import Config
from pipelines.errors import RowError
from pipelines.job import Job
from pipelines.schema import Reason
from pipelines.stages import rules
from pipelines.stages.clips import make_clips
from pipelines.stages.grounded import grounded


class Writer:
    """Owns the text engine; many rows at once share its batches."""

    def __init__(self, config: Config, threads: int, admission: str, key: Key) -> None:
        key.install()
        self._config = config
        self._vocabulary = vocabulary.load(config.text.vocabulary)
        self._rewriter = Rewriter(
            config.text,
            threads=threads,
            gpu_memory_share=config.resources.gpu_memory_share,
            admission_folder=admission,
        )
        self._rewriter.check()

    @property
    def dead(self) -> bool:
        """The engine has failed for good: this process must be replaced."""
        return self._rewriter.dead

    def __call__(self, job: Job) -> Job:
        """The job with its clips.

        Raises:
            RowError: `no_clips`.
            EnvironmentFault: the engine is gone.
        """
        video = job.video
        assert video.domain is not None
        clips = make_clips(video.video_id, video.domain, video.frames, video.words, video.stable, self._config.clips)
        if not clips:
            raise RowError(
                Reason.NO_CLIPS, f"no medical stretch has {self._config.clips.min_words} transcribed words"
            )
        clips = tuple(
            grounded(clip, video.words, video.stable, is_medical=self._is_medical, settings=self._config.pointing)
            for clip in clips
        )
        return Job(video=dataclasses.replace(video, clips=self._rewriter(clips)))

    def _is_medical(self, text: str) -> bool:
        return rules.speaks_medically(text, self._vocabulary)
