"""Rows by column: what Arrow's own way through dictionaries makes of them, and back to the same rows."""

import dataclasses
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.arrow import arrow_schema, arrow_table, one_row
from pipelines.schema import (
    Box,
    Choice,
    Clip,
    CursorState,
    Domain,
    ModelText,
    Probe,
    Reason,
    Span,
    StableInterval,
    Status,
    Trace,
    TracePoint,
    Video,
)

NUMBERS = st.floats(0, 1e6, allow_nan=False)
TRACES = st.lists(
    st.builds(TracePoint, time_s=NUMBERS, x=NUMBERS, y=NUMBERS, confidence=NUMBERS, state=st.sampled_from(CursorState)),
    max_size=4,
).map(Trace)
SPANS = st.lists(st.builds(Span, start_s=NUMBERS, end_s=NUMBERS), max_size=3).map(tuple)
CLIPS = st.builds(
    Clip,
    clip_id=st.text(max_size=4),
    start_s=NUMBERS,
    end_s=NUMBERS,
    domain=st.sampled_from(Domain),
    segmenter=st.text(max_size=4),
    raw_text=st.text(max_size=8),
    image_width=st.none() | st.integers(0, 9999),
    trace=TRACES,
    box=st.none() | st.builds(Box, x0=NUMBERS, y0=NUMBERS, x1=NUMBERS, y1=NUMBERS),
    caption=st.none() | st.builds(ModelText, text=st.none() | st.text(max_size=4), source=st.just("model"),
                                  model=st.text(max_size=4), prompt=st.text(max_size=4), support=st.none() | NUMBERS),
    modality=st.none() | st.builds(Choice, value=st.text(max_size=4), decided_by=st.just("rules")),
)  # fmt: skip
STABLE = st.builds(
    StableInterval, start_s=NUMBERS, end_s=NUMBERS, image_id=st.text(max_size=4), method=st.just("median"),
    width=st.integers(1, 9999), height=st.integers(1, 9999), trace=TRACES,
)  # fmt: skip
VIDEOS = st.builds(
    Video,
    video_id=st.text(max_size=4),
    uri=st.text(max_size=4),
    status=st.sampled_from(Status),
    reason=st.none() | st.sampled_from(Reason),
    probe=st.none() | st.builds(Probe, container=st.text(max_size=4), duration_s=NUMBERS, truncated=st.booleans()),
    speech=SPANS,
    scene_cuts_s=st.lists(NUMBERS, max_size=3).map(tuple),
    stable=st.lists(STABLE, max_size=2).map(tuple),
    clips=st.lists(CLIPS, max_size=2).map(tuple),
)


def as_dictionary(row: Any) -> Any:
    """The row as nested dictionaries and lists, one sample of a trace as one dictionary."""
    if isinstance(row, (tuple, Trace)):
        return [as_dictionary(entry) for entry in row]
    if dataclasses.is_dataclass(row):
        return {f.name: as_dictionary(getattr(row, f.name)) for f in dataclasses.fields(row)}
    return row


@given(st.lists(VIDEOS, max_size=3))
@settings(max_examples=100, deadline=None)
def test_a_table_by_column_holds_what_one_by_row_holds(videos: list[Video]) -> None:
    made = arrow_table(videos, Video)
    made.validate(full=True)
    assert made.to_pylist() == pa.Table.from_pylist([as_dictionary(v) for v in videos], arrow_schema(Video)).to_pylist()
    assert made.schema.equals(arrow_schema(Video), check_metadata=True)
    assert [one_row(made.slice(i, 1), Video) for i in range(len(videos))] == videos


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optional:
    """What no row has yet: lists that may be unknown."""

    names: tuple[str, ...] | None
    trace: Trace | None = None


def test_an_unknown_list_is_no_empty_one() -> None:
    made = arrow_table([Optional(names=None), Optional(names=()), Optional(names=("a",), trace=Trace())], Optional)
    assert made.to_pylist() == [
        {"names": None, "trace": None}, {"names": [], "trace": None}, {"names": ["a"], "trace": []}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "value"),
    [("trace", [{"time_s": 1.0, "x": None, "y": 1.0, "confidence": 1.0, "state": "moving"}]),
     ("trace", [{"time_s": 1.0, "x": 1.0, "y": 1.0, "confidence": 1.0, "state": "sleeping"}]),
     ("trace", None), ("image_id", None)],
)  # fmt: skip
def test_a_row_that_does_not_fit_is_refused(column: str, value: Any) -> None:
    interval = as_dictionary(
        StableInterval(start_s=0, end_s=1, image_id="i", method="median", width=1, height=1)
    ) | {column: value}  # fmt: skip
    row = as_dictionary(Video(video_id="a", uri="a")) | {"stable": [interval]}
    with pytest.raises(msgspec.ValidationError):
        one_row(pa.Table.from_pylist([row], arrow_schema(Video)), Video)
