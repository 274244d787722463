"""The look stage: one full decode of an accepted video, in a child process that also writes its pictures."""

import dataclasses

from actors.decoder import Decoder
from actors.requests import Looked, LookRequest
from pipelines.config import Config
from pipelines.job import Job


class Looker:
    """Scenes, resting intervals, pictures and cursor traces."""

    def __init__(self, config: Config, out: str) -> None:
        self._config, self._out = config, out
        self._decoder = Decoder(config.resources)

    def __call__(self, job: Job) -> Job:
        """The job with scene cuts, intervals and the frames to classify.

        Raises:
            RowError: failed.
        """
        video = job.video
        assert video.domain is not None
        assert video.probe is not None
        request = LookRequest(
            uri=video.uri,
            video_id=video.video_id,
            out=self._out,
            static=video.domain.is_static,
            settings=self._config.look,
            until_s=video.probe.duration_s,
        )
        (looked,) = [m for m in self._decoder.ask(request, video.probe.duration_s) if isinstance(m, Looked)]
        video = dataclasses.replace(video, scene_cuts_s=looked.scene_cuts_s, stable=looked.intervals)
        return Job(video=video, samples=looked.frames)
