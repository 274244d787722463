import dataclasses
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import ClipSettings
from pipelines.schema import CursorState, Domain, FrameClass, Span, StableInterval, Trace, TracePoint, Word
from pipelines.stages.clips import (
    bounding_box,
    key_frame_chunks,
    make_clips,
    probability_runs,
    representative,
    shown_medically,
    split_long,
    words_between,
)

SETTINGS = ClipSettings()
SPAN = Span(start_s=0.0, end_s=10.0)


def frames(probabilities: list[float], step_s: float = 0.5) -> list[FrameClass]:
    return [
        FrameClass(time_s=i * step_s, until_s=(i + 1) * step_s, domain=Domain.MRI if p > 0.5 else Domain.NONMEDICAL,
                   probability=max(p, 1 - p), medical_probability=p)
        for i, p in enumerate(probabilities)
    ]


def spoken(text: str, start_s: float = 0.0, step_s: float = 0.5) -> list[Word]:
    return [
        Word(start_s=start_s + i * step_s, end_s=start_s + (i + 1) * step_s, text=t, probability=1.0, sentence=0)
        for i, t in enumerate(text.split())
    ]


def ends(spans: list[Span]) -> list[tuple[float, float]]:
    return [(s.start_s, s.end_s) for s in spans]


def test_ten_negatives_are_bridged_and_eleven_split() -> None:
    assert ends(probability_runs(frames([1] * 4 + [0] * 10 + [1] * 4), SETTINGS)) == [(0.0, 9.0)]
    assert ends(probability_runs(frames([1] * 4 + [0] * 11 + [1] * 4), SETTINGS)) == [(0.0, 2.0), (7.5, 9.5)]


def test_a_run_that_reaches_the_last_frame_is_kept() -> None:
    assert ends(probability_runs(frames([0] * 4 + [1] * 4), SETTINGS)) == [(2.0, 4.0)]
    assert ends(key_frame_chunks(frames([0, 1, 1], step_s=5.0), SETTINGS)) == [(0.0, 15.0)]


def test_the_published_chunker_lost_this_one() -> None:
    # systems.md 3.3 A: times 0, 5, 8 with 0, 1, 1 gave no chunk at all; all medical from time 0 neither
    assert ends(key_frame_chunks(frames([1, 1, 1], step_s=5.0), SETTINGS)) == [(0.0, 15.0)]


def test_chunks_are_about_as_long_as_asked() -> None:
    chunks = key_frame_chunks(frames([1] * 30, step_s=5.0), SETTINGS)
    assert chunks[0].start_s == 0.0
    assert chunks[-1].end_s == 150.0
    assert all(c.end_s - c.start_s <= 2 * SETTINGS.chunk_s + 10 for c in chunks)


def test_the_threshold_is_exclusive_as_published() -> None:
    assert probability_runs(frames([0.64] * 5), SETTINGS) == []


@given(st.lists(st.booleans(), min_size=1, max_size=80))
def test_every_positive_frame_lies_in_exactly_one_run(positive: list[bool]) -> None:
    found = frames([float(p) for p in positive])
    runs = probability_runs(found, SETTINGS)
    for frame in found:
        inside = sum(r.start_s <= frame.time_s and frame.until_s <= r.end_s for r in runs)
        assert inside == 1 if frame.medical_probability else inside <= 1
    assert all(a.end_s < b.start_s for a, b in zip(runs, runs[1:], strict=False))


@given(st.floats(301, 3000), st.lists(st.floats(0, 3000), max_size=60))
def test_long_spans_are_cut_into_published_lengths(length_s: float, stops: list[float]) -> None:
    words = [Word(start_s=s, end_s=s + 0.1, text="end.", probability=1, sentence=0) for s in sorted(stops)]
    pieces = split_long(Span(start_s=0, end_s=length_s), words, SETTINGS)
    assert pieces[0].start_s == 0
    assert pieces[-1].end_s == length_s
    assert all(a.end_s == b.start_s for a, b in zip(pieces, pieces[1:], strict=False))
    assert all(119.99 <= p.end_s - p.start_s <= 300.01 for p in pieces)


def test_cuts_fall_on_sentence_ends() -> None:
    words = spoken("one. " + "word " * 398 + "stop. " + "word " * 400)
    assert ends(split_long(Span(start_s=0, end_s=400), words, SETTINGS))[0] == (0, 200.0)


def test_a_word_on_a_border_belongs_to_one_clip() -> None:
    (word,) = spoken("border", start_s=9.8)
    assert words_between([word], 0, 10) == []
    assert words_between([word], 10, 20) == [word]


def test_dropped_words_are_not_in_clips() -> None:
    word = Word(start_s=1, end_s=2, text="thanks", probability=1, sentence=0, dropped="outside_speech")
    assert words_between([word], 0, 10) == []


def stable(start_s: float, end_s: float, image_id: str, trace: Iterable[TracePoint] = ()) -> StableInterval:
    return StableInterval(
        start_s=start_s, end_s=end_s, image_id=image_id, method="median", width=10, height=10, trace=Trace(trace)
    )


def test_a_clip_has_the_picture_shown_longest_in_it_and_the_cursor_over_it() -> None:
    state = CursorState.RESTING
    points = tuple(TracePoint(time_s=float(t), x=t, y=2.0 * t, confidence=1, state=state) for t in range(0, 40, 2))
    pictures = [stable(0, 3, "slide"), stable(3, 8, "short"), stable(8, 30, "long", points)]
    seen = frames([0] * 6 + [1] * 34)
    (clip,) = make_clips("v", Domain.MRI, seen, spoken("word " * 40), pictures, SETTINGS)
    assert clip.image_id == "long"
    assert (clip.start_s, clip.end_s) == (3.0, 20.0)
    assert [p.time_s for p in clip.trace] == [4, 6, 8, 10, 12, 14, 16, 18]
    assert clip.box == bounding_box(clip.trace)
    assert clip.raw_text.split() == ["word"] * 34


def test_few_words_make_no_clip() -> None:
    nine = spoken("nine words are not enough for one medical clip")
    assert make_clips("v", Domain.MRI, frames([1] * 40), nine, [], SETTINGS) == ()


def test_a_slide_is_never_the_picture_of_a_medical_clip() -> None:
    pictures = [stable(0, 15, "slide")]
    (clip,) = make_clips("v", Domain.MRI, frames([0] * 30 + [1] * 20), spoken("word " * 60), pictures, SETTINGS)
    assert clip.image_id is None
    assert clip.pictures == ()


def test_a_clip_has_all_its_medical_pictures_in_time_order() -> None:
    pictures = [stable(0, 3, "slide"), stable(3, 8, "one"), stable(8, 12, "two"), stable(12, 20, "one"),
                stable(25, 30, "out")]  # fmt: skip
    (clip,) = make_clips("v", Domain.MRI, frames([0] * 6 + [1] * 34), spoken("word " * 40), pictures, SETTINGS)
    assert [(p.image_id, p.start_s, p.end_s) for p in clip.pictures] == [("one", 3, 8), ("two", 8, 12), ("one", 12, 20)]
    assert all((p.width, p.height, p.method) == (10, 10, "median") for p in clip.pictures)


def test_a_picture_counts_as_long_as_medicine_was_seen_in_it() -> None:
    seen = frames([0] * 6 + [1] * 6 + [0] * 4 + [1] * 4)
    found = shown_medically([stable(0, 3, "slide"), stable(2, 7, "one"), stable(7, 30, "two")], seen, SPAN, SETTINGS)
    assert [(i.image_id, seconds) for i, seconds in found] == [("one", 3.0), ("two", 2.0)]


def test_a_median_goes_before_a_longer_key_frame_and_the_first_among_equals() -> None:
    key_frame = dataclasses.replace(stable(0, 9, "key"), method="key_frame")
    one, two = stable(9, 14, "one"), stable(14, 19, "two")
    assert representative([(key_frame, 9.0), (one, 5.0), (two, 5.0)]) == one
    assert representative([(key_frame, 9.0)]) == key_frame
    assert representative([]) is None
