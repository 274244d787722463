"""Around Whisper: where to cut the audio, and which words to disbelieve."""

import dataclasses
from collections.abc import Sequence

from pipelines.config import TranscriptSettings
from pipelines.schema import Span, Word

_AROUND_S = 2.0
"""Kept around a window's speech: more than the VAD's edges are wrong by."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One Whisper segment with its own account of itself."""

    words: tuple[Word, ...]
    compression_ratio: float
    no_speech_probability: float
    mean_log_probability: float


def windows(speech: Sequence[Span], duration_s: float, window_s: float) -> list[Span]:
    """Windows of at most `window_s` that cover the speech, cut in the widest pause of their last third.

    Windows without speech are left out, and silence at either end of a window: nothing is transcribed where nobody speaks.
    """
    cuts = [0.0]
    while duration_s - cuts[-1] > window_s:
        low, high = cuts[-1] + window_s * 2 / 3, cuts[-1] + window_s
        cuts.append(_widest_pause(speech, low, high))
    spans = [Span(start_s=a, end_s=b) for a, b in zip(cuts, [*cuts[1:], duration_s], strict=True)]
    return [spoken for window in spans if (spoken := _spoken_part(window, speech))]


def _spoken_part(window: Span, speech: Sequence[Span]) -> Span | None:
    inside = [s for s in speech if s.start_s < window.end_s and s.end_s > window.start_s]
    if not inside:
        return None
    start_s, end_s = min(s.start_s for s in inside) - _AROUND_S, max(s.end_s for s in inside) + _AROUND_S
    return Span(start_s=max(window.start_s, start_s), end_s=min(window.end_s, end_s))


def _widest_pause(speech: Sequence[Span], low: float, high: float) -> float:
    """The middle of the widest speechless stretch between `low` and `high`; `high` where there is none."""
    edges = [low]
    for span in speech:
        if span.end_s > low and span.start_s < high:
            edges += [max(low, span.start_s), min(high, span.end_s)]
    edges.append(high)
    pauses = [(edges[i + 1] - edges[i], (edges[i] + edges[i + 1]) / 2) for i in range(0, len(edges), 2)]
    width, middle = max(pauses)
    return middle if width > 0 else high


def guard(segments: Sequence[Segment], speech: Sequence[Span], settings: TranscriptSettings) -> tuple[Word, ...]:
    """All words, each hallucinated one marked with the rule that dropped it.

    `repetition`: the segment compresses too well, or repeats its two predecessors word for word. `no_speech`: Whisper
    itself doubts that anyone spoke. `outside_speech`: the VAD hears nobody near the word.
    """
    words: list[Word] = []
    texts: list[str] = []
    for segment in segments:
        text = " ".join(w.text.strip().lower() for w in segment.words)
        rule = None
        if segment.compression_ratio > settings.max_compression_ratio or (text and texts[-2:] == [text, text]):
            rule = "repetition"
        elif (
            segment.no_speech_probability > settings.max_no_speech_probability
            and segment.mean_log_probability < settings.min_log_probability
        ):
            rule = "no_speech"
        texts.append(text)
        for word in segment.words:
            outside = _distance_s(speech, word) > settings.max_outside_speech_s
            words.append(dataclasses.replace(word, dropped=rule or ("outside_speech" if outside else None)))
    return tuple(words)


def _distance_s(speech: Sequence[Span], word: Word) -> float:
    return min((max(s.start_s - word.end_s, word.start_s - s.end_s, 0.0) for s in speech), default=float("inf"))
