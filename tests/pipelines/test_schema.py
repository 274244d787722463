import dataclasses

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import schema
from pipelines.arrow import arrow_schema, arrow_table
from pipelines.job import Job, Sample, pack, unpack
from pipelines.schema import Clip, Domain, Reason, Span, Status, Video


def pointing() -> Clip:
    shown = schema.ShownPicture(start_s=0, end_s=2, image_id="i", width=8, height=6, method="median")
    box = schema.Box(x0=2, y0=3, x1=3, y1=4)
    episode = schema.Episode(start_s=0.5, end_s=1.5, picture=0, box=box, points=9, confidence=0.9)
    link = schema.Link(kind=schema.TextKind.ROI, text="Look here.", start_s=0.4, end_s=1.6, picture=0, episode=None,
                       time_share=1.0, keyword_share=0.0, main=True)  # fmt: skip
    return Clip(clip_id="a:1", start_s=0.0, end_s=2.5, domain=Domain.MRI, segmenter="probability_runs", raw_text="hello",
                pictures=(shown,), episodes=(episode,), links=(link, dataclasses.replace(link, episode=0)))  # fmt: skip


def video() -> Video:
    point = schema.TracePoint(time_s=1.0, x=2.0, y=3.0, confidence=0.5, state=schema.CursorState.RESTING)
    clip = Clip(clip_id="a:0", start_s=0.0, end_s=2.5, domain=Domain.MRI, segmenter="probability_runs", raw_text="hello",
                trace=schema.Trace([point]), box=schema.Box(x0=2, y0=3, x1=3, y1=4))  # fmt: skip
    return Video(video_id="a", uri="/a.mp4", speech=(Span(start_s=0.5, end_s=2.0),), clips=(clip,), domain=Domain.MRI)


def test_a_row_survives_arrow_and_the_wire() -> None:
    rows = arrow_table([video()], Video)
    (row,) = rows.to_pylist()
    assert row["clips"][0]["box"] == {"x0": 2.0, "y0": 3.0, "x1": 3.0, "y1": 4.0}
    assert row["clips"][0]["trace"][0]["time_s"] == 1.0
    assert row["clips"][0]["trace"][0]["state"] == "resting"
    assert row["reason"] is None
    assert unpack(pack(Job(video=video()))) == Job(video=video())


def test_what_is_pointed_at_survives_arrow_and_the_wire() -> None:
    whole = dataclasses.replace(video(), clips=(pointing(),))
    rows = arrow_table([whole], Video)
    (clip,) = rows.to_pylist()[0]["clips"]
    assert clip["pictures"] == [dataclasses.asdict(p) for p in pointing().pictures]
    assert clip["episodes"] == [dataclasses.asdict(e) for e in pointing().episodes]
    assert [(link["kind"], link["episode"]) for link in clip["links"]] == [("roi", None), ("roi", 0)]
    assert unpack(pack(Job(video=whole))) == Job(video=whole)


def test_every_column_is_typed() -> None:
    types = {f.name: f.type for f in arrow_schema(Video)}
    assert types["attempt"] == pa.int64()
    assert types["status"] == pa.string()
    assert pa.types.is_list(types["clips"])
    assert not any(pa.types.is_null(t) for t in types.values())


def test_each_reason_is_a_decision_or_a_fault() -> None:
    faults = {r for r in Reason if r.status is Status.FAILED}
    assert {Reason.UNREADABLE, Reason.DECODER_CRASHED, Reason.DEADLINE, Reason.ACTOR_DIED, Reason.MISSING} <= faults
    assert {r for r in Reason if r.status is Status.REJECTED} == set(Reason) - faults
    assert Reason.NO_SPEECH not in faults


def test_volatile_columns() -> None:
    assert {"attempt", "stage_times", "host", "finished_at"} == schema.VIDEO_COLUMNS_VOLATILE


@given(st.binary(max_size=50), st.floats(0, 1e6), st.text(max_size=20))
@settings(max_examples=50, deadline=None)
def test_jobs_carry_any_bytes_and_text(jpeg: bytes, time_s: float, text: str) -> None:
    job = Job(video=Video(video_id=text, uri=text), samples=(Sample(time_s=time_s, until_s=time_s, jpeg=jpeg),))
    assert unpack(pack(job)) == job
