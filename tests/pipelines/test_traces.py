import pickle

import pytest

from pipelines.schema import CursorState, Trace, TracePoint

POINTS = [
    TracePoint(time_s=i / 10, x=1 / 3 + i, y=2.0 * i, confidence=0.1 * i,
               state=CursorState.MOVING if i % 2 else CursorState.RESTING)
    for i in range(5)
]  # fmt: skip


def test_it_is_the_sequence_of_its_points() -> None:
    trace = Trace(POINTS)
    assert list(trace) == POINTS
    assert (len(trace), trace[-1], bool(trace), bool(Trace())) == (5, POINTS[-1], True, False)
    assert list(trace[1::2]) == POINTS[1::2]
    with pytest.raises(IndexError):
        trace[5]


def test_equal_traces_are_equal_whatever_they_were_cut_from() -> None:
    trace = Trace(POINTS)
    assert trace[1:4] == Trace(POINTS[1:4]) != trace
    assert hash(trace[::2]) == hash(Trace(POINTS[::2]))
    assert trace != POINTS


def test_between_takes_the_beginning_and_leaves_the_end() -> None:
    assert list(Trace(POINTS).between(0.1, 0.3)) == POINTS[1:3]


@pytest.mark.parametrize("points", [POINTS, POINTS[:1], []])
def test_it_survives_bytes_arrow_and_pickle(points: list[TracePoint]) -> None:
    trace = Trace(points)
    assert Trace.from_bytes(bytes(trace)) == Trace.from_arrow(trace.to_arrow()) == pickle.loads(pickle.dumps(trace)) == trace
    assert trace.to_arrow().to_pylist() == [
        {"time_s": p.time_s, "x": p.x, "y": p.y, "confidence": p.confidence, "state": p.state} for p in points
    ]
    assert len(bytes(trace)) == 33 * len(points)


@pytest.mark.parametrize("data", [b"x", bytes(32) + b"\x02", bytes(34)])
def test_bytes_that_are_no_trace_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="trace|size"):
        Trace.from_bytes(data)
