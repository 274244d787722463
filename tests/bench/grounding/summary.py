"""All films' numbers pooled, beside the bars."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.grounding.found import Tally, pooled


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A line of the table, and what ours must reach."""

    metric: str
    label: str
    limit: float | None = None
    higher: bool = True
    """Whether more is better."""
    baseline: tuple[str, str] | None = None
    """Method and metric that ours is compared with; by default the published rules' same metric."""
    beats: bool = True
    """Whether ours must be better than the baseline too."""
    times: float = 1.0
    """... by this factor."""
    unit: str = ""


BARS = (
    Bar(metric="scene.f1", label="Scene changes: F1 at 0.5 s, against PySceneDetect Adaptive", limit=0.95),
    Bar(metric="scene.precision", label="  precision", beats=False),
    Bar(metric="scene.recall", label="  recall", beats=False),
    Bar(metric="scene.f1", label="  F1 against PySceneDetect Content", baseline=("content", "scene.f1")),
    Bar(metric="stable.iou", label="Stable intervals: IoU in time, best of each true rest", limit=0.90),
    Bar(metric="stable.union_iou", label="  IoU of all time", beats=False),
    Bar(metric="stable.crossing", label="  intervals across a change, per film", limit=0.0, higher=False, beats=False),
    Bar(metric="image.luma", label="Image: mean error, luma", limit=2.0, higher=False, unit="grey levels"),
    Bar(metric="image.rgb", label="  mean error, RGB", higher=False, unit="grey levels", beats=False),
    Bar(metric="image.floor", label="  the codec alone, luma", baseline=("codec", "image.floor"), beats=False),
    Bar(metric="image.ghost", label="  under the cursor's path, luma", higher=False, unit="grey levels"),
    Bar(metric="image.right", label="  of the right rest"),
    Bar(metric="image.missing", label="  rests without one", higher=False, beats=False),
    Bar(metric="image.duplicates", label="  duplicates, per film", higher=False),
    Bar(metric="trace.error_p50", label="Cursor: error, median, at 720p", limit=3.0, higher=False, unit="px"),
    Bar(metric="trace.error_p95", label="  error, 95th percentile", limit=12.0, higher=False, unit="px"),
    Bar(metric="trace.recall", label="  visible time in rests within 10 px", limit=0.93),
    Bar(metric="trace.recall_film", label="  visible time of the film within 10 px", beats=False),
    Bar(metric="trace.false", label="  false: absent time with a point", limit=0.02, higher=False),
    Bar(metric="trace.false_never", label="  the same, films without a cursor", higher=False),
    Bar(metric="episode.iou", label="Episodes: box IoU, twice the published clustering's", limit=0.60, times=2.0),
    Bar(metric="episode.time_iou", label="  IoU in time", beats=False),
    Bar(metric="episode.extra", label="  found beside the true ones, per minute", higher=False, beats=False),
    Bar(metric="align.accuracy", label="Alignment: sentences tied to their picture and episode", limit=0.95),
    Bar(metric="align.medical", label="  medical sentences to their picture", beats=False),
    Bar(metric="align.roi", label="  ROI sentences to picture and episode", beats=False),
    Bar(metric="align.roi_picture", label="  ROI sentences to their picture", beats=False),
    Bar(metric="align.kind", label="  told apart, medical and ROI", beats=False),
    Bar(metric="align.precision", label="  links that are right", beats=False),
    Bar(metric="align.stray", label="  sentences of no picture tied to one", higher=False, beats=False),
    Bar(metric="word.start_p50_ms", label="Words: error of the start, median", higher=False, unit="ms", beats=False),
    Bar(metric="word.start_p95_ms", label="  error of the start, 95th percentile", higher=False, unit="ms", beats=False),
    Bar(metric="word.matched", label="  heard right", beats=False),
    Bar(metric="word.error_rate", label="  word error rate", higher=False, beats=False),
    Bar(metric="speed.look", label="Visual pass: times real time, as the machine was loaded", beats=False),
    Bar(metric="speed.decode", label="  bare decoding", beats=False),
)  # fmt: skip
VOLATILE = ("seconds.", "speed.")
"""Metrics that may differ between two equal runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmMeasure:
    """One film's numbers, by method."""

    film: str
    factors: dict[str, Any]
    tallies: dict[str, tuple[Tally, ...]]
    digest: str
    """Of all that ours found, pictures included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A bar with its numbers; `passed` is None where nothing is asked or nothing was measured."""

    bar: Bar
    ours: float | None
    published: float | None
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Summary:
    """All films of one set."""

    films: tuple[FilmMeasure, ...]

    def value(self, metric: str, method: str = "ours") -> float | None:
        """The metric pooled over all films; None where nothing was measured."""
        found = [t for f in self.films for t in f.tallies.get(method, ()) if t.metric == metric]
        return pooled(found).value if found else None

    def lines(self) -> tuple[Line, ...]:
        """The table."""
        return tuple(self._line(bar) for bar in BARS)

    def failed(self) -> tuple[Line, ...]:
        """The lines whose bar is not met."""
        return tuple(line for line in self.lines() if line.passed is False)

    def _line(self, bar: Bar) -> Line:
        ours = self.value(bar.metric)
        method, metric = bar.baseline or ("published", bar.metric)
        theirs = self.value(metric, method)
        return Line(bar=bar, ours=ours, published=theirs, passed=met(bar, ours, theirs))

    def by(self, factor: str) -> dict[str, "Summary"]:
        """The films grouped by a factor of the truth; numbers of more than eight values in three groups of equal size."""
        values = {f.film: f.factors.get(factor) for f in self.films}
        numbers = sorted(v for v in values.values() if isinstance(v, int | float) and not isinstance(v, bool))
        if len(set(numbers)) > 8:
            edges = [numbers[0], numbers[len(numbers) // 3], numbers[2 * len(numbers) // 3], numbers[-1]]
            names = {f: v if v is None else _group(float(v), edges) for f, v in values.items()}
        else:
            names = dict(values)
        groups: dict[str, list[FilmMeasure]] = {}
        for film in sorted(self.films, key=lambda f: (str(type(names[f.film])), names[f.film] or 0, f.film)):
            groups.setdefault(str(names[film.film]), []).append(film)
        return {name: Summary(tuple(films)) for name, films in groups.items()}

    def table(self, *, volatile: bool = True) -> Any:
        """One row per film, method and metric, and the pooled ones under the film `*` (pyarrow)."""
        import pyarrow as pa

        rows = [_row(f.film, json.dumps(f.factors, sort_keys=True), method, t)
                for f in self.films for method, tallies in f.tallies.items() for t in tallies]  # fmt: skip
        rows += [_row(f.film, "{}", "ours", Tally(metric="found"), f.digest) for f in self.films]
        for method in sorted({m for f in self.films for m in f.tallies}):
            for metric in dict.fromkeys(t.metric for f in self.films for t in f.tallies.get(method, ())):
                found = [t for f in self.films for t in f.tallies.get(method, ()) if t.metric == metric]
                rows.append(_row("*", "{}", method, pooled(found)))
        kept = [r for r in rows if volatile or not r["metric"].startswith(VOLATILE)]
        return pa.Table.from_pylist(kept, _schema())

    def digest(self) -> str:
        """SHA-256 of the table as Parquet, without the columns of time."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        sink = pa.BufferOutputStream()
        pq.write_table(self.table(volatile=False), sink)
        return hashlib.sha256(sink.getvalue()).hexdigest()

    def write(self, path: Path) -> None:
        """`table()` as a Parquet file."""
        import pyarrow.parquet as pq

        pq.write_table(self.table(), path)


def met(bar: Bar, ours: float | None, theirs: float | None) -> bool | None:
    """Whether ours reaches the bar and, where asked, beats the baseline (or both are perfect)."""
    asked = bar.limit is not None or (bar.beats and theirs is not None)
    if ours is None or not asked:
        return None
    good = bar.limit is None or (ours >= bar.limit if bar.higher else ours <= bar.limit)
    if bar.beats and theirs is not None:
        perfect = ours == theirs == (1.0 if bar.higher else 0.0)
        better = ours > theirs if bar.higher else ours < theirs
        good = good and (perfect or (better and (bar.times == 1.0 or ours >= bar.times * theirs)))
    return good


def _group(value: float, edges: Sequence[float]) -> str:
    at = 0 if value < edges[1] else 1 if value < edges[2] else 2
    return f"{edges[at]:g} to {edges[at + 1]:g}"


def _schema() -> Any:
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    return pa.schema([("film", text), ("method", text), ("metric", text), ("value", number), ("numerator", number),
                      ("denominator", number), ("values", pa.int64()), ("factors", text), ("digest", text)])  # fmt: skip


def _row(film: str, factors: str, method: str, tally: Tally, digest: str = "") -> dict[str, Any]:
    return {"film": film, "method": method, "metric": tally.metric, "value": tally.value, "numerator": tally.numerator,
            "denominator": tally.denominator, "values": len(tally.values or ()), "factors": factors,
            "digest": digest}  # fmt: skip


def merged(parts: Iterable[FilmMeasure]) -> Summary:
    """Films in the order of their names, whatever order they were measured in."""
    return Summary(tuple(sorted(parts, key=lambda f: f.film)))
