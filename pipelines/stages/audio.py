"""Audio of given windows, decoded in one pass: what the transcriber listens to."""

from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.media import clock_origin_s, decode_quietly, open_media, packets
from pipelines.schema import Span
from pipelines.stages.probe import audio_stream
from pipelines.stages.speech import SAMPLE_RATE, AudioClock


def audio_windows(uri: str, windows: Sequence[Span]) -> Iterator[tuple[float, np.ndarray]]:
    """For each window in time order: its start in seconds and its int16 mono samples at 16 kHz.

    Audio before, between and after the windows is decoded and forgotten, so memory is that of one window.
    """
    with open_media(uri) as container:
        stream = audio_stream(container)
        clock = AudioClock(clock_origin_s(container))
        cutter = _Cutter(windows)
        for packet in packets(container, stream):
            for frame in decode_quietly(packet):
                for samples in clock.pcm(frame):
                    yield from cutter.add(samples)
            if cutter.finished:
                return
        for samples in clock.pcm(None):
            yield from cutter.add(samples)
        yield from cutter.rest()


class _Cutter:
    """Cuts a stream of samples into windows."""

    def __init__(self, windows: Sequence[Span]) -> None:
        self._bounds = [(round(w.start_s * SAMPLE_RATE), round(w.end_s * SAMPLE_RATE)) for w in windows]
        self._starts = [w.start_s for w in windows]
        self._position = 0
        self._held: list[np.ndarray] = []

    @property
    def finished(self) -> bool:
        return not self._bounds

    def add(self, samples: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
        first, self._position = self._position, self._position + len(samples)
        while self._bounds:
            start, end = self._bounds[0]
            self._held.append(samples[max(0, start - first) : max(0, end - first)])
            if self._position < end:
                return
            yield from self.rest()

    def rest(self) -> Iterator[tuple[float, np.ndarray]]:
        """The current window, as far as there was audio."""
        if self._bounds and any(len(h) for h in self._held):
            yield self._starts[0], np.concatenate(self._held)
        self._bounds, self._starts, self._held = self._bounds[1:], self._starts[1:], []
