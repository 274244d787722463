"""The two classify stages: one model, asked about key frames to decide, and about sampled frames to find clips."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from actors.frame_classifier import FrameClassifier
from pipelines.config import Config
from pipelines.errors import RowError
from pipelines.job import Job, Sample
from pipelines.media import from_jpeg
from pipelines.schema import Domain, FrameClass, Video
from pipelines.stages.narrative import check_narrative, choose_domain, is_positive, spoken_share, streak_share

_DOMAINS = tuple(Domain)
_BATCH = 64
"""Frames decoded at a time: memory does not grow with the video."""


def to_classes(samples: Sequence[Sample], probabilities: np.ndarray) -> tuple[FrameClass, ...]:
    """One class a sample, from (N, 13) probabilities in the order of `Domain`. Four decimals: what a reader can use."""
    none = _DOMAINS.index(Domain.NONMEDICAL)
    return tuple(
        FrameClass(
            time_s=sample.time_s,
            until_s=sample.until_s,
            domain=_DOMAINS[int(row.argmax())],
            probability=round(float(row.max()), 4),
            medical_probability=round(float(1.0 - row[none]), 4),
        )
        for sample, row in zip(samples, probabilities, strict=True)
    )


def classified(model: FrameClassifier, samples: Sequence[Sample]) -> Iterator[tuple[FrameClass, ...]]:
    """The samples' classes, a batch at a time."""
    for start in range(0, len(samples), _BATCH):
        batch = samples[start : start + _BATCH]
        yield to_classes(batch, model([from_jpeg(s.jpeg) for s in batch]))


class ScreenClassifier:
    """Decides the domain and whether the video is a narrative, from its key frames."""

    def __init__(self, config: Config, threads: int) -> None:
        self._config = config
        self._model = FrameClassifier(config.classifier, device=config.resources.device, threads=threads)

    def __call__(self, job: Job) -> Job:
        """The job with its domain, without frames.

        Raises:
            RowError: `not_medical` or `not_narrative`.
        """
        classes: list[FrameClass] = []
        for found in classified(self._model, job.samples):
            classes += found
        return Job(video=self._decided(
            dataclasses.replace(job.video, classifier=self._model.name, screen_frames=tuple(classes)),
            [s.rested_s for s in job.samples],
        ))  # fmt: skip

    def _decided(self, video: Video, rested_s: list[float]) -> Video:
        classes, settings = video.screen_frames, self._config.narrative
        try:
            domain, share = choose_domain(classes, self._config.classifier)
            medical = [is_positive(c, domain, self._config.classifier) for c in classes]
            if domain.is_static:
                narrative = streak_share(rested_s, medical, settings)
            else:
                narrative = spoken_share([c.time_s for c in classes], medical, classes[-1].until_s, video.speech, settings)
            video = dataclasses.replace(video, domain=domain, domain_share=share, narrative_share=narrative)
            check_narrative(domain, narrative, settings)
        except RowError as error:
            error.known = video  # a rejected row too says what it was judged by
            raise
        return video


class LookClassifier:
    """Classifies the sampled frames of the full pass; clips are made of its answers."""

    def __init__(self, config: Config, threads: int) -> None:
        self._model = FrameClassifier(config.classifier, device=config.resources.device, threads=threads)

    def __call__(self, job: Job) -> Job:
        """The job with `frames`, and nothing heavy left in it."""
        classes = tuple(c for found in classified(self._model, job.samples) for c in found)
        return Job(video=dataclasses.replace(job.video, frames=classes))
