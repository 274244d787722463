"""Ten lectures guard what `preceptor bench grounding` measures on sixty: what these ten reached, less a margin."""

import dataclasses
from pathlib import Path

import pytest

from tests.bench.grounding.measure import measure_factors
from tests.lectures.grounding.factors import factors

FILMS = [dataclasses.replace(factors(7, index), preset="ultrafast") for index in range(10)]
"""Encoding takes half of a film's time otherwise."""
AT_LEAST = {"scene.f1": 0.90, "stable.iou": 0.88, "trace.recall": 0.72, "episode.iou": 0.46, "align.accuracy": 0.86}
AT_MOST = {"image.luma": 2.0, "trace.error_p50": 3.0, "trace.error_p95": 12.0, "trace.false": 0.02, "stable.crossing": 0.0}


@pytest.mark.timeout(900)
def test_ten_lectures_keep_the_bars(tmp_path: Path) -> None:
    summary = measure_factors(FILMS, tmp_path)
    found = {name: summary.value(name) for name in (*AT_LEAST, *AT_MOST)}
    assert all(value is not None for value in found.values()), found
    below = {name: found[name] for name, bar in AT_LEAST.items() if (found[name] or 0.0) < bar}
    above = {name: found[name] for name, bar in AT_MOST.items() if (found[name] or 0.0) > bar}
    assert (below, above) == ({}, {}), found
