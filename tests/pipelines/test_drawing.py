import base64
import io

import PIL.Image

from pipelines.drawing import MAX_TRACE_POINTS, small_picture, trace_segments
from tests.pipelines import datasets


def test_the_traces_colour_runs_along_time() -> None:
    segments = trace_segments(datasets.points([0.0, 1.0, 2.0]), (0.0, 2.0))
    assert [(s.x0, s.y0, s.x1, s.y1) for s in segments] == [(0, 0, 1, 2), (1, 2, 2, 4)]
    assert [s.colour for s in segments] == ["hsl(210 95% 55%)", "hsl(105 95% 55%)"]


def test_a_gap_in_the_trace_is_not_bridged_and_a_point_draws_nothing() -> None:
    segments = trace_segments(datasets.points([0.0, 1.0, 9.0, 10.0]), (0, 10))
    assert [(s.x0, s.x1) for s in segments] == [(0.0, 1.0), (9.0, 10.0)]
    assert trace_segments(datasets.points([1.0]), (0, 10)) == trace_segments([], (0, 10)) == ()


def test_long_traces_are_thinned_from_end_to_end() -> None:
    segments = trace_segments(datasets.points([i / 10 for i in range(30_000)]), (0, 3000))
    assert 100 < len(segments) <= MAX_TRACE_POINTS
    assert segments[-1].x1 > 2980


def test_pictures_are_made_small() -> None:
    uri = small_picture(datasets.picture("a", 1, (1600, 900)).data)
    assert uri is not None
    small = PIL.Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
    assert small.size == (640, 360)
    assert small_picture(b"no picture") is None
