import base64
import io

import PIL.Image

from pipelines.drawing import MAX_TRACE_POINTS, runs, small_picture, trace_segments
from tests.pipelines import datasets


def test_the_traces_colour_runs_along_time() -> None:
    segments = trace_segments([datasets.points([0.0, 1.0, 2.0])], (0.0, 2.0))
    assert [(s.x0, s.y0, s.x1, s.y1) for s in segments] == [(0, 0, 1, 2), (1, 2, 2, 4)]
    assert [s.colour for s in segments] == ["hsl(210 95% 55%)", "hsl(105 95% 55%)"]


def test_a_gap_in_the_trace_is_not_bridged_and_a_point_draws_nothing() -> None:
    segments = trace_segments(runs(datasets.points([0.0, 1.0, 9.0, 10.0])), (0, 10))
    assert [(s.x0, s.x1) for s in segments] == [(0.0, 1.0), (9.0, 10.0)]
    assert trace_segments(runs(datasets.points([1.0])), (0, 10)) == trace_segments(runs([]), (0, 10)) == ()


def test_a_break_of_a_long_trace_is_none_of_its_thinning() -> None:
    """Every tenth sample of a trace would hide a cursor that is gone for eight seconds."""
    times = [i / 10 for i in range(2400) if not 1000 <= i < 1080]
    thinned = runs(datasets.points(times))
    assert [(run[0].time_s, run[-1].time_s) for run in thinned] == [(0.0, 99.9), (108.0, 239.9)]
    assert sum(map(len, thinned)) <= MAX_TRACE_POINTS + len(thinned)


def test_of_too_many_stretches_the_longest_are_kept() -> None:
    times = [3.0 * i + part for i in range(1000) for part in ((0.0, 0.1) if i % 100 == 0 else (0.0,))]
    thinned = runs(datasets.points(times), 40)
    assert len(thinned) == 20
    assert sum(map(len, thinned)) <= 40 + len(thinned)
    assert {300.0 * i for i in range(10)} <= {run[0].time_s for run in thinned}


def test_long_traces_are_thinned_from_end_to_end() -> None:
    segments = trace_segments(runs(datasets.points([i / 10 for i in range(30_000)])), (0, 3000))
    assert 100 < len(segments) <= MAX_TRACE_POINTS
    assert segments[-1].x1 == 2999.9


def test_pictures_are_made_small() -> None:
    uri = small_picture(datasets.picture("a", 1, (1600, 900)).data)
    assert uri is not None
    small = PIL.Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
    assert small.size == (640, 360)
    assert small_picture(b"no picture") is None
