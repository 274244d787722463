import dataclasses

import pytest

from actors import writer
from actors.text_engine import Key
from pipelines.errors import RowError, UsageError
from pipelines.job import Job
from pipelines.recipes import starter
from pipelines.schema import (
    Clip,
    CursorState,
    Domain,
    FrameClass,
    Reason,
    StableInterval,
    TextKind,
    Trace,
    TracePoint,
    Video,
    Word,
)


def test_a_wrong_key_is_found_before_any_row(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused:
        def __init__(self, *_: object, **__: object) -> None: ...

        def check(self) -> None:
            raise UsageError("the key was refused")

    monkeypatch.setattr(writer, "Rewriter", Refused)
    with pytest.raises(UsageError, match="refused"):
        writer.Writer(starter(), threads=1, admission="nowhere", key=Key(""))


class Silent:
    """A text engine that leaves clips as they are."""

    dead = False

    def __init__(self, *_: object, **__: object) -> None: ...

    def check(self) -> None: ...

    def __call__(self, clips: tuple[Clip, ...]) -> tuple[Clip, ...]:
        return clips


def video(text: str) -> Video:
    words = tuple(
        Word(start_s=1 + i * 0.4, end_s=1.3 + i * 0.4, text=t, probability=1.0, sentence=0)
        for i, t in enumerate(text.split())
    )
    trace = tuple(
        TracePoint(time_s=i / 10, x=200.0 + 20 * (i % 3), y=300.0, confidence=1.0, state=CursorState.MOVING)
        for i in range(80)
    )
    shown = StableInterval(start_s=0, end_s=10, image_id="i", method="median", width=800, height=600, trace=Trace(trace))
    seen = FrameClass(time_s=0, until_s=10, domain=Domain.CT, probability=1.0, medical_probability=1.0)
    return Video(video_id="v", uri="v.mp4", domain=Domain.CT, words=words, stable=(shown,), frames=(seen,))


def test_clips_are_grounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "Rewriter", Silent)
    made = writer.Writer(starter(), threads=1, admission="nowhere", key=Key(""))
    given = video("Welcome to this talk. Look here at the pleura. Please do subscribe.")
    (clip,) = made(Job(video=given)).video.clips
    assert [(p.image_id, p.end_s) for p in clip.pictures] == [("i", 10)]
    (link,) = clip.links  # the other sentences say nothing medical and do not point
    assert (link.text, link.kind, link.main) == ("Look here at the pleura.", TextKind.ROI, True)
    assert link.episode is not None
    assert clip.episodes[link.episode].box.x1 < 400


def test_too_few_words_are_no_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "Rewriter", Silent)
    made = writer.Writer(starter(), threads=1, admission="nowhere", key=Key(""))
    with pytest.raises(RowError, match="10 transcribed words") as error:
        made(Job(video=dataclasses.replace(video("Look here."), clips=())))
    assert error.value.reason is Reason.NO_CLIPS
