"""The cursor's true path of a rendered lecture, where `<video>.truth.json` lies beside the video (`tests/lectures`)."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from pipelines.media import is_remote

MAX_BYTES = 64_000_000
"""Larger files are not looked at: 3 hours of film."""

Run = tuple[tuple[float, float, float], ...]


class _Sample(msgspec.Struct):
    """The cursor's tip at one frame, pixels of the upright video."""

    time_s: float
    x: float
    y: float
    visible: bool


class _File(msgspec.Struct):
    cursor: list[_Sample]
    size: tuple[Annotated[float, msgspec.Meta(gt=0)], Annotated[float, msgspec.Meta(gt=0)]] | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """The true path over a whole video."""

    name: str
    """Of the file."""
    cursor: Sequence[_Sample]
    size: tuple[float, float] | None

    def paths(
        self, spans: Sequence[tuple[float, float]], size: tuple[int, int], video: tuple[int, int] | None, limit: int
    ) -> tuple[Run, ...]:
        """Time, x and y in pixels of a picture of that size: one run for each stretch of a span with a visible cursor."""
        width, height = self.size or video or size
        runs: list[Run] = []
        for start_s, end_s in spans:
            begin, end = (bisect.bisect_left(self.cursor, t, key=lambda c: c.time_s) for t in (start_s, end_s))
            stride = max(1, -(-(end - begin) // max(1, limit // len(spans))))
            run: list[tuple[float, float, float]] = []
            for sample in self.cursor[begin:end:stride]:
                if sample.visible:
                    x, y = sample.x * size[0] / width, sample.y * size[1] / height
                    run.append((round(sample.time_s, 2), round(x, 1), round(y, 1)))
                elif run:
                    runs.append(tuple(run))
                    run = []
            runs += [tuple(run)] if run else []
        return tuple(runs)


def read_truth(uri: str) -> Truth | None:
    """The truth of the video at `uri`; None where there is none, or a file of that name says something else."""
    if is_remote(uri):
        return None
    try:
        path = Path(uri).with_suffix(".truth.json")
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        told = msgspec.json.decode(path.read_bytes(), type=_File)
    except (OSError, ValueError):  # msgspec's faults are value errors
        return None
    return Truth(path.name, sorted(told.cursor, key=lambda c: c.time_s), told.size)
