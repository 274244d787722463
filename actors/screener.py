"""The screen stage: probe, speech and key frames of one video, decoded in a child process."""

import dataclasses

from actors.decoder import Decoder
from actors.requests import Probed, Screened, ScreenRequest
from pipelines.config import Config
from pipelines.errors import RowError
from pipelines.job import Job
from pipelines.stages.speech import check_speech, overlap_s


class Screener:
    """Decides what a header and the audio can decide; hands the key frames to the classifier."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._decoder = Decoder(config.resources)

    def __call__(self, job: Job) -> Job:
        """The job with its probe, speech and key frames.

        Raises:
            RowError: rejected or failed.
        """
        video = job.video
        screened: Screened | None = None
        try:
            for message in self._decoder.ask(ScreenRequest(uri=video.uri, config=self._config)):
                if isinstance(message, Probed):
                    video = dataclasses.replace(video, probe=message.probe)
                elif isinstance(message, Screened):
                    screened = message
            assert screened is not None
            video = dataclasses.replace(
                video,
                probe=screened.probe,
                speech=screened.speech,
                first_minute_speech_s=overlap_s(screened.speech, 0.0, 60.0),
            )
            share = check_speech(screened.speech, screened.audio_s, self._config.speech)
        except RowError as error:
            error.known = video
            raise
        return Job(video=dataclasses.replace(video, speech_share=share), samples=screened.frames)
