"""Where somebody speaks: Silero VAD over decoded audio, a bounded window at a time."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipelines.config import SpeechSettings
from pipelines.errors import RowError
from pipelines.schema import Reason, Span

SAMPLE_RATE = 16000
"""Hertz; what Silero and Whisper listen at."""


class AudioClock:
    """Decoded audio frames as gapless 16 kHz mono int16 on the video's clock.

    Missing stretches (late start, lost packets) become silence, and what comes a second time (timestamps that step back) is
    dropped, so that a sample's index is its time.
    """

    def __init__(self, origin_s: float) -> None:
        self._resampler: Any = None
        self._sound: tuple[str, str, int] | None = None
        self._origin_s = origin_s
        self._next_sample = 0
        self._surplus = 0

    def pcm(self, frame: Any) -> Iterator[np.ndarray]:
        """The samples that `frame` adds; pass None at the end to flush the resampler."""
        sound = (frame.format.name, frame.layout.name, frame.sample_rate) if frame is not None else None
        if sound != self._sound:  # a resampler takes one kind of sound only
            yield from self._resampled(None)
            self._resampler, self._sound = _resampler() if sound else None, sound
        if frame is None:
            return
        if frame.time is not None:
            gap = round((frame.time - self._origin_s) * SAMPLE_RATE) - self._next_sample
            if gap > SAMPLE_RATE // 10:  # smaller jitter is the container's rounding
                self._next_sample += gap
                for start in range(0, gap, SAMPLE_RATE * 60):
                    yield np.zeros(min(SAMPLE_RATE * 60, gap - start), np.int16)
            overlap = max(0, -gap)
            self._surplus = overlap if overlap > SAMPLE_RATE // 10 else min(self._surplus, overlap)
        yield from self._resampled(frame)

    def _resampled(self, frame: Any) -> Iterator[np.ndarray]:
        for resampled in self._resampler.resample(frame) if self._resampler is not None else ():
            samples = resampled.to_ndarray().reshape(-1)
            dropped = min(self._surplus, len(samples))
            self._surplus -= dropped
            self._next_sample += len(samples) - dropped
            if dropped < len(samples):
                yield samples[dropped:]


def _resampler() -> Any:
    import av

    return av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)


class SpeechMeter:
    """Speech spans of audio that arrives in pieces."""

    WINDOW = SAMPLE_RATE * 120
    """Two minutes at a time: 4 MB of samples, and a span cut at the seam is joined again."""

    def __init__(self, settings: SpeechSettings) -> None:
        self._settings = settings
        self._pieces: list[np.ndarray] = []
        self._held = 0
        self._done = 0
        self._spans: list[Span] = []

    def add(self, samples: np.ndarray) -> None:
        """Take int16 samples."""
        self._pieces.append(samples)
        self._held += len(samples)
        if self._held >= self.WINDOW:
            self._listen()

    def finish(self) -> tuple[tuple[Span, ...], float]:
        """All speech spans, and the audio's duration in seconds."""
        if self._held:
            self._listen()
        return tuple(self._spans), self._done / SAMPLE_RATE

    def _listen(self) -> None:
        from faster_whisper.vad import VadOptions, get_speech_timestamps

        audio = np.concatenate(self._pieces).astype(np.float32) / 32768.0
        options = VadOptions(threshold=self._settings.vad_threshold, min_silence_duration_ms=500, speech_pad_ms=100)
        for found in get_speech_timestamps(audio, options):
            start_s = (self._done + found["start"]) / SAMPLE_RATE
            end_s = (self._done + found["end"]) / SAMPLE_RATE
            if self._spans and start_s - self._spans[-1].end_s < 0.05:
                start_s = self._spans.pop().start_s
            self._spans.append(Span(start_s=start_s, end_s=end_s))
        self._done += len(audio)
        self._pieces, self._held = [], 0


def overlap_s(spans: tuple[Span, ...], start_s: float, end_s: float) -> float:
    """Seconds of `spans` that lie between `start_s` and `end_s`."""
    return sum(max(0.0, min(s.end_s, end_s) - max(s.start_s, start_s)) for s in spans)


def check_speech(spans: tuple[Span, ...], audio_s: float, settings: SpeechSettings) -> float:
    """The share of the audio that is speech.

    Raises:
        RowError: `no_speech` where it lies below the setting, `unreadable` where no sound could be decoded.
    """
    if not audio_s:  # what nobody could hear is no film without speech
        raise RowError(Reason.UNREADABLE, "no sound could be decoded")
    share = sum(s.end_s - s.start_s for s in spans) / audio_s
    if share < settings.min_share:
        raise RowError(Reason.NO_SPEECH, f"{share:.1%} of the audio is speech, the limit is {settings.min_share:.1%}")
    return min(share, 1.0)
