"""The screen stage: probe, speech and key frames of one video, decoded in a child process."""

import dataclasses

from actors.decoder import Decoder
from actors.requests import Probed, Screened, ScreenRequest
from pipelines.config import Config
from pipelines.errors import RowError
from pipelines.job import Job, Sample
from pipelines.schema import Span
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
        return Job(video=dataclasses.replace(video, speech_share=share), samples=_until_next(screened))


def _until_next(screened: Screened) -> tuple[Sample, ...]:
    """Each frame stands for the time until the next one, the last until the end."""
    times = [f.time_s for f in screened.frames]
    ends = [*times[1:], max(screened.probe.duration_s, times[-1])]
    spans = [Span(start_s=a, end_s=b) for a, b in zip(times, ends, strict=True)]
    return tuple(
        Sample(time_s=s.start_s, until_s=s.end_s, jpeg=f.jpeg) for s, f in zip(spans, screened.frames, strict=True)
    )
