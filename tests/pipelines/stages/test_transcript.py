from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import TranscriptSettings
from pipelines.schema import Span, Word
from pipelines.stages.transcript import Segment, guard, windows

SETTINGS = TranscriptSettings()


def segment(
    text: str, start_s: float, *, compression: float = 1.2, no_speech: float = 0.1, log_probability: float = -0.3
) -> Segment:
    words = tuple(
        Word(start_s=start_s + i / 2, end_s=start_s + (i + 1) / 2, text=t, probability=0.9, sentence=0)
        for i, t in enumerate(text.split())
    )
    return Segment(
        words=words,
        compression_ratio=compression,
        no_speech_probability=no_speech,
        mean_log_probability=log_probability,
    )


def dropped(segments: list[Segment], speech: list[Span]) -> list[str | None]:
    return [w.dropped for w in guard(segments, speech, SETTINGS)]


SPEECH = [Span(start_s=0, end_s=100)]


def test_believed_words_stay() -> None:
    assert dropped([segment("the liver is normal", 1)], SPEECH) == [None] * 4


def test_words_where_nobody_speaks_are_dropped() -> None:
    assert dropped([segment("thanks for watching", 300)], SPEECH) == ["outside_speech"] * 3
    assert dropped([segment("thanks", 100.9)], SPEECH) == [None]
    assert dropped([segment("thanks", 1)], []) == ["outside_speech"]


def test_repetition_is_dropped() -> None:
    assert dropped([segment("so so so", 1, compression=2.5)], SPEECH) == ["repetition"] * 3
    same = [segment("thank you", t) for t in (1, 3, 5, 7)]
    assert dropped(same, SPEECH) == [None] * 4 + ["repetition"] * 4


def test_whispers_own_doubt_needs_both_signs() -> None:
    assert dropped([segment("you", 1, no_speech=0.9, log_probability=-1.5)], SPEECH) == ["no_speech"]
    assert dropped([segment("you", 1, no_speech=0.9)], SPEECH) == [None]


@given(
    st.lists(st.tuples(st.floats(0, 3000), st.floats(0.1, 50)), max_size=40),
    st.floats(1, 3600),
)
def test_windows_cover_all_speech_once(raw: list[tuple[float, float]], duration_s: float) -> None:
    speech = []
    for start, length in sorted(raw):
        if (not speech or start >= speech[-1].end_s) and start + length <= duration_s:
            speech.append(Span(start_s=start, end_s=start + length))
    cuts = windows(speech, duration_s, 60.0)
    assert all(0 <= w.start_s < w.end_s <= duration_s and w.end_s - w.start_s <= 60.0 + 1e-9 for w in cuts)
    assert all(a.end_s <= b.start_s for a, b in zip(cuts, cuts[1:], strict=False))
    for s in speech:
        covered = sum(max(0.0, min(s.end_s, w.end_s) - max(s.start_s, w.start_s)) for w in cuts)
        assert abs(covered - (s.end_s - s.start_s)) < 1e-6


def test_audio_is_cut_in_a_pause() -> None:
    speech = [Span(start_s=0, end_s=50), Span(start_s=52, end_s=120)]
    assert [(w.start_s, w.end_s) for w in windows(speech, 120, 60.0)] == [(0.0, 51.0), (51.0, 111.0), (111.0, 120)]


def test_silence_is_not_transcribed() -> None:
    assert windows([], 600, 60.0) == []
    assert windows([Span(start_s=130, end_s=140)], 600, 60.0) == [Span(start_s=128, end_s=142)]


def test_silence_around_a_windows_speech_is_left_out() -> None:
    speech = [Span(start_s=100, end_s=110), Span(start_s=150, end_s=160), Span(start_s=400, end_s=410)]
    assert windows(speech, 600.0, 300.0) == [Span(start_s=98, end_s=162), Span(start_s=398, end_s=412)]
    assert windows([Span(start_s=1, end_s=599.5)], 600.0, 600.0) == [Span(start_s=0, end_s=600)]
