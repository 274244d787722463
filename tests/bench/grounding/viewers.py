"""The cursor in recordings of real viewers, whose positions are known for some frames; only where the recordings are.

The folder holds GIFs of whole-slide and DICOM viewers and `histomicsui_cursor_ground_truth.json`: for `union` and
`difference` (256 x 200 px, 4.3 and 4.7 s) the centre of the black crosshair in the frames in which it is whole; in the
others it blends, shows a click's halo, or is not there, so that false traces cannot be counted. The cornerstone3d
recordings have no positions: of them it is only known that a cursor works in them nearly all the time.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.grounding.baselines import ROOT
from tests.bench.grounding.found import Found, Point
from tests.bench.grounding.metrics import HIT_PX, position_at
from tests.bench.grounding.published import Constants, cursor_trace, stable_chunks
from tests.bench.grounding.table import number

TRUTH = "histomicsui_cursor_ground_truth.json"
MIN_STABLE_S = 1.0
"""The viewers redraw their overlays every two seconds or so: of these recordings hardly any has a rest of 3 s."""
STATIC = ("cornerstone3d",)
"""CT in these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One recording by one method."""

    recording: str
    method: str
    known: int
    """Frames with a known position."""
    hits: int
    """... of which the trace has a point within 10 px of the recording (its pictures are small: not at 720p)."""
    errors: tuple[float, ...]
    """Distances in pixels of the recording, in the frames that the trace has a point for."""
    covered: float
    """Share of all frames that the trace has a point for."""


def folder_of(given: Path | None) -> Path | None:
    """Where the recordings are: as given, or beside the repository; None where they are not."""
    folder = given or ROOT.parent / "shared" / "assets" / "cursor"
    return folder if (folder / TRUTH).exists() else None


def measure_viewers(folder: Path) -> list[Seen]:
    """Ours and rules B and D on every recording."""
    from tests.bench.grounding.frames import pictures
    from tests.bench.grounding.ours import traced

    positions = json.loads((folder / TRUTH).read_text())["cursor"]
    seen = []
    for path in sorted(folder.glob("*.gif")):
        times = [p.time_s for p in pictures(path)]
        known = [(c["t_ms"] / 1000, c["x"], c["y"]) for c in positions.get(path.stem.removeprefix("histomicsui_"), ())]
        ours: Found = traced(path, static=path.stem.startswith(STATIC), min_stable_s=MIN_STABLE_S)
        for method, trace in (("ours", ours.trace), ("published", published_trace(path))):
            seen.append(_compared(path.stem, method, trace, times, known))
    return seen


def published_trace(path: Path) -> tuple[Point, ...]:
    """Rules B and D."""
    from tests.bench.grounding.frames import sampled_luma

    constants = Constants(min_stable_s=MIN_STABLE_S)
    samples = sampled_luma(path, fps=constants.fps, width=constants.width_px)
    return tuple(
        p for start, end in stable_chunks(samples, constants)
        for p in cursor_trace([s for s in samples if start <= s[0] < end], 1.0, constants)
    )  # fmt: skip


def _compared(
    name: str, method: str, trace: tuple[Point, ...], times: list[float], known: list[tuple[float, float, float]]
) -> Seen:
    at = [p.time_s for p in trace]
    until = dict(zip(times, [*times[1:], times[-1] + 0.1], strict=True))
    there = {t: position_at(trace, at, t, end) for t, end in until.items()}
    errors = []
    for time_s, x, y in known:
        frame = min(times, key=lambda t: abs(t - time_s))
        place = there[frame]
        if place is not None:
            errors.append(float(np.hypot(place[0] - x, place[1] - y)))
    return Seen(recording=name, method=method, known=len(known), hits=sum(e <= HIT_PX for e in errors),
                errors=tuple(errors), covered=sum(p is not None for p in there.values()) / len(there))  # fmt: skip


def shown_viewers(seen: list[Seen]) -> Any:
    """A rich table."""
    from rich.table import Table

    table = Table(title="Cursor in recordings of real viewers, pixels of the recording", title_justify="left")
    for name in ("recording", "method", "known frames", "within 10 px", "error p50", "error p95", "frames with a point"):
        table.add_column(name, justify="right")
    for s in seen:
        p50, p95 = (number(float(np.percentile(s.errors, q)) if s.errors else None) for q in (50, 95))
        hits = f"{s.hits} ({s.hits / s.known:.0%})" if s.known else "-"
        table.add_row(s.recording, s.method, str(s.known or "-"), hits, p50, p95, f"{s.covered:.0%}")
    return table
