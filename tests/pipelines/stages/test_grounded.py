"""A clip's episodes and links, from the traces of all its pictures."""

import dataclasses

from pipelines.config import ClipSettings, PointingSettings
from pipelines.schema import Clip, CursorState, Domain, FrameClass, StableInterval, TextKind, Trace, TracePoint, Word
from pipelines.stages.clips import make_clips
from pipelines.stages.grounded import grounded


def spoken(text: str, start_s: float, step_s: float = 0.5) -> list[Word]:
    return [
        Word(start_s=start_s + i * step_s, end_s=start_s + (i + 1) * step_s, text=t, probability=1.0, sentence=0)
        for i, t in enumerate(text.split())
    ]


def stable(start_s: float, end_s: float, image_id: str, *, x: float | None = None) -> StableInterval:
    times = [start_s + i / 10 for i in range(round(10 * (end_s - start_s)))] if x is not None else []
    points = tuple(
        TracePoint(time_s=t, x=(x or 0) + 20 * (i % 3), y=300.0 + 15 * (i % 2), confidence=1.0, state=CursorState.MOVING)
        for i, t in enumerate(times)
    )
    return StableInterval(
        start_s=start_s, end_s=end_s, image_id=image_id, method="median", width=800, height=600, trace=Trace(points)
    )


WORDS = [
    *spoken("Here is the liver on the left.", 1.0),
    *spoken("You see here the spleen of this patient.", 12.0),
    *spoken("Thanks for all the likes.", 22.0),
]
STABLE = [stable(0, 10, "liver", x=200), stable(10, 20, "spleen", x=600), stable(20, 30, "spleen")]
SEEN = [
    FrameClass(time_s=float(t), until_s=t + 1.0, domain=Domain.CT, probability=1.0, medical_probability=1.0)
    for t in range(30)
]


def clip_of(words: list[Word] = WORDS, seen: list[FrameClass] = SEEN) -> Clip:
    (clip,) = make_clips("v", Domain.CT, seen, words, STABLE, ClipSettings())
    return grounded(
        clip,
        words,
        STABLE,
        is_medical=lambda text: "liver" in text or "spleen" in text,
        settings=PointingSettings(),
    )


def test_each_picture_has_its_own_episodes_and_sentences() -> None:
    clip = clip_of()
    assert [p.image_id for p in clip.pictures] == ["liver", "spleen", "spleen"]
    assert {e.picture for e in clip.episodes} == {0, 1}
    assert all(e.box.x1 < 400 for e in clip.episodes if e.picture == 0)
    assert all(e.box.x0 > 400 for e in clip.episodes if e.picture == 1)
    assert [(link.picture, link.kind) for link in clip.links] == [(0, TextKind.ROI), (1, TextKind.ROI)]
    for link in clip.links:
        assert link.episode is not None
        assert clip.episodes[link.episode].picture == link.picture


def test_the_rest_of_the_clip_stays() -> None:
    clip = clip_of()
    assert clip.image_id in ("liver", "spleen")
    assert len(clip.raw_text.split()) == len(WORDS)
    assert clip.trace


def test_only_what_falls_into_the_clip_counts() -> None:
    seen = [f for f in SEEN if f.time_s >= 5]
    words = [*WORDS, *spoken("a b c d e f g h i j.", 25.0)]
    clip = clip_of(words, seen)
    assert clip.start_s == 5.0
    assert [link.text for link in clip.links] == ["You see here the spleen of this patient."]
    assert min(e.start_s for e in clip.episodes) >= 5.0


def test_a_dropped_word_says_nothing() -> None:
    words = [dataclasses.replace(w, dropped="guard") if "liver" in w.text else w for w in WORDS]
    assert clip_of(words).links[0].text == "Here is the on the left."
