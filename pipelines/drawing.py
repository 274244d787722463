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


def runs(trace: Sequence[TracePoint], limit: int = MAX_TRACE_POINTS) -> list[list[TracePoint]]:
    """The trace's stretches without a break, each thinned from its first sample to its last: about `limit` samples in all.

    Of more than half as many stretches those with the most samples are kept.
    """
    breaks = [i for i, (a, b) in enumerate(itertools.pairwise(trace), 1) if b.time_s - a.time_s > TRACE_BREAK_S]
    parts = [trace[a:b] for a, b in itertools.pairwise((0, *breaks, len(trace))) if b > a]
    if len(parts) > limit // 2:
        longest = sorted(parts, key=len, reverse=True)[: limit // 2]
        parts = sorted(longest, key=lambda part: part[0].time_s)
    step = max(1, -(-sum(map(len, parts)) // limit))
    return [[*part[: len(part) - 1 : step], part[-1]] for part in parts]


def trace_segments(thinned: Sequence[Sequence[TracePoint]], span: tuple[float, float]) -> tuple[Segment, ...]:
    """Lines between successive samples of each of the `runs`, blue at the span's beginning and red at its end."""
    return tuple(
        Segment(
            x0=round(a.x, 1), y0=round(a.y, 1), x1=round(b.x, 1), y1=round(b.y, 1), colour=time_colour(a.time_s, *span)
        )
        for run in thinned
        for a, b in itertools.pairwise(run)
    )  # fmt: skip
