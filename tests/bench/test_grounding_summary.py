"""Bars, groups and digests of the grounding bench."""

import dataclasses
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.bench.grounding.baselines import kept
from tests.bench.grounding.found import Tally
from tests.bench.grounding.summary import BARS, Bar, FilmMeasure, Summary, merged, met
from tests.bench.grounding.table import cells, draw, number


def film(name: str, f1: float, published: float = 0.5, seconds: float = 1.0, **factors: object) -> FilmMeasure:
    ours = (Tally(metric="scene.f1", numerator=f1, denominator=1.0), Tally(metric="trace.error_p50", values=(f1, 2.0)),
            Tally(metric="seconds.look", numerator=seconds, denominator=1.0))  # fmt: skip
    theirs = (Tally(metric="scene.f1", numerator=published, denominator=1.0),)
    return FilmMeasure(film=name, factors=factors, tallies={"ours": ours, "published": theirs}, digest=f"d{name}")


@pytest.mark.parametrize(
    ("ours", "theirs", "passed"),
    [(0.96, 0.9, True), (0.94, 0.9, False), (0.96, 0.97, False), (0.96, 0.96, False), (1.0, 1.0, True), (0.96, None, True),
     (None, 0.9, None)],
)  # fmt: skip
def test_a_bar_asks_for_its_limit_and_to_be_better(ours: float | None, theirs: float | None, passed: bool | None) -> None:
    assert met(Bar(metric="a", label="a", limit=0.95), ours, theirs) is passed


def test_a_bar_where_less_is_better_and_one_that_asks_for_twice() -> None:
    less = Bar(metric="a", label="a", limit=3.0, higher=False)
    assert [met(less, *pair) for pair in ((2.0, 9.0), (4.0, 9.0), (2.0, 1.0))] == [True, False, False]
    twice = Bar(metric="a", label="a", limit=0.6, times=2.0)
    assert [met(twice, *pair) for pair in ((0.7, 0.3), (0.7, 0.4), (0.7, 0.0))] == [True, False, True]


def test_every_bar_of_the_issue_is_there() -> None:
    limits = {bar.metric: bar.limit for bar in BARS if bar.limit is not None}
    assert limits == {"scene.f1": 0.95, "stable.iou": 0.90, "stable.crossing": 0.0, "image.luma": 2.0,
                      "trace.error_p50": 3.0, "trace.error_p95": 12.0, "trace.recall": 0.93, "trace.false": 0.02,
                      "episode.iou": 0.60, "align.accuracy": 0.95}  # fmt: skip


def test_lines_tell_what_failed() -> None:
    good, bad = Summary((film("a", 1.0), film("b", 0.95))), Summary((film("a", 1.0), film("b", 0.8)))
    assert not [line for line in good.failed() if line.bar.metric == "scene.f1"]
    failed = [line for line in bad.failed() if line.bar.metric == "scene.f1"]
    assert [(line.ours, line.published) for line in failed] == [(pytest.approx(0.9), 0.5)]
    assert cells(failed[0])[1:] == ["0.900", "0.500", "≥ 0.95, better", "FAIL"]
    assert number(None) == "-"


def test_groups_by_factor() -> None:
    films = [film(f"{i}", i / 10, crf=18 + i, cursor="arrow" if i % 2 else None) for i in range(10)]
    summary = Summary(tuple(films))
    assert {name: len(part.films) for name, part in summary.by("cursor").items()} == {"None": 5, "arrow": 5}
    assert summary.by("cursor")["arrow"].value("scene.f1") == pytest.approx(0.5)
    assert [len(part.films) for part in summary.by("crf").values()] == [3, 3, 4]


def test_digest_follows_numbers_and_not_times() -> None:
    one = merged([film("b", 0.9), film("a", 1.0)])
    assert one.digest() == merged([film("a", 1.0, seconds=9.0), film("b", 0.9)]).digest()
    assert one.digest() != merged([film("b", 0.8), film("a", 1.0)]).digest()
    other = dataclasses.replace(film("b", 0.9), digest="else")  # the same numbers from another trace
    assert one.digest() != merged([film("a", 1.0), other]).digest()


def test_table_on_disk(tmp_path: Path) -> None:
    Summary((film("a", 1.0), film("b", 0.9))).write(tmp_path / "t.parquet")
    rows = pq.read_table(tmp_path / "t.parquet").to_pylist()
    values = {(r["film"], r["method"], r["metric"]): r["value"] for r in rows}
    assert values["*", "ours", "scene.f1"] == pytest.approx(0.95)
    assert values["a", "published", "scene.f1"] == 0.5
    assert values["b", "ours", "seconds.look"] == 1.0


def test_picture_of_the_table(tmp_path: Path) -> None:
    summary = Summary((film("a", 1.0), film("b", 0.9)))
    for name in ("a.png", "b.png"):
        draw(summary, tmp_path / name, "a title")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_baselines_are_kept_until_their_key_changes(tmp_path: Path) -> None:
    made = []

    def measure() -> dict[str, list[Tally]]:
        made.append(1)
        return {"codec": [Tally(metric="a", numerator=1.5, denominator=2.0), Tally(metric="b", values=(1.0, 2.5), p=0.95)]}

    first, again = (kept(tmp_path / "film.mp4", "baselines", "key", measure) for _ in range(2))
    assert first == again
    assert len(made) == 1
    kept(tmp_path / "film.mp4", "baselines", "other", measure)
    assert len(made) == 2
