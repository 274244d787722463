"""Small pictures as data URIs, and cursor paths as lines in the colour of their time."""

import base64
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.schema import TracePoint

MAX_EDGE_PX = 640
MAX_TRACE_POINTS = 240
TRACE_BREAK_S = 1.5
"""Cursor samples further apart than this are not joined by a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A piece of the trace, pixels of the stored picture, in the colour of its time."""

    x0: float
    y0: float
    x1: float
    y1: float
    colour: str


def time_colour(time_s: float, begin_s: float, end_s: float) -> str:
    """Blue at the beginning, red at the end."""
    share = min(1.0, max(0.0, (time_s - begin_s) / max(end_s - begin_s, 1e-9)))
    return f"hsl({210 - 210 * share:.0f} 95% 55%)"


def small_picture(data: bytes, edge: int = MAX_EDGE_PX) -> str | None:
    """The picture, its longer edge at most `edge` pixels, as a data URI; None for bytes that are no picture."""
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(data)) as opened:
            small = opened.convert("RGB")
    except (OSError, PIL.Image.DecompressionBombError):
        return None
    small.thumbnail((edge, edge))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def stride(trace: Sequence[TracePoint], limit: int) -> int:
    """Every how many-th sample leaves at most `limit`."""
    return max(1, -(-len(trace) // limit))


def thinned(trace: Sequence[TracePoint], limit: int) -> Sequence[TracePoint]:
    """Samples from end to end, evenly taken, at most `limit`."""
    return trace[:: stride(trace, limit)]


def trace_segments(
    trace: Sequence[TracePoint], span: tuple[float, float], limit: int = MAX_TRACE_POINTS
) -> tuple[Segment, ...]:
    """Lines between successive samples, blue at the span's beginning and red at its end; long traces are thinned."""
    points = thinned(trace, limit)
    step_s = TRACE_BREAK_S * stride(trace, limit)
    return tuple(
        Segment(
            x0=round(a.x, 1), y0=round(a.y, 1), x1=round(b.x, 1), y1=round(b.y, 1), colour=time_colour(a.time_s, *span)
        )
        for a, b in itertools.pairwise(points)
        if b.time_s - a.time_s <= step_s
    )  # fmt: skip
