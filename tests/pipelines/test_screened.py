"""What the screen accepted is a manifest again, with all that the first one said."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.screened import write_accepted
from pipelines.sources import inputs
from pipelines.store import Store
from tests.pipelines import datasets


def accepted(tmp_path: Path, extras: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The further columns of videos that were all accepted, once through the table."""
    videos = [dataclasses.replace(datasets.ok(v, []), extra=json.dumps(extra)) for v, extra in extras.items()]
    out = datasets.build(tmp_path / "out", [videos], [])
    assert write_accepted(out) == len(videos)
    return {i.video_id: json.loads(i.extra) for i in inputs(f"{out}/accepted.parquet")}


def test_the_accepted_are_those_last_asked_for(tmp_path: Path) -> None:
    videos, _ = datasets.sample()
    store = Store(datasets.build(tmp_path / "out", [videos], []))
    manifest = store.manifest()
    for row in manifest:
        if row["attempt"] == max(r["attempt"] for r in manifest if r["video_id"] == row["video_id"]):
            row |= {"uri": f"https://h/{row['video_id']}.mp4?key=new", "extra": '{"channel": "x"}'}
    store.save_manifest(manifest)
    assert write_accepted(store.out) == 3
    table = pq.read_table(tmp_path / "out" / "accepted.parquet").to_pylist()
    assert table == [
        {"video_id": v, "uri": f"https://h/{v}.mp4?key=new", "screened_domain": "ct", "screened_share": 0.9, "channel": "x"}
        for v in ("knee", "liver", "lung")
    ]


def test_further_columns_keep_their_types(tmp_path: Path) -> None:
    extras = {
        "a": {"title": "Liver", "views": 3, "hd": True, "tags": ["x", "y"], "licence": {"by": "me"}},
        "b": {"title": None, "views": 4, "hd": False, "tags": [], "licence": {"by": "you"}},
    }
    found = accepted(tmp_path, extras)
    for video_id, extra in extras.items():
        assert found[video_id] == extra | {"screened_domain": "ct", "screened_share": 0.9}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((2020, "unknown"), ("2020", "unknown")),
        (({"by": "me"}, {"of": 3}), ('{"by": "me"}', '{"of": 3}')),
        ((1 << 70, 1), (str(1 << 70), "1")),
        (("half \ud83d", "whole"), ("half ?", "whole")),
        ((float("nan"), 1.5), (None, 1.5)),
        ((1, 2.5), (1.0, 2.5)),
    ],
)
def test_columns_that_have_no_one_type_are_text(tmp_path: Path, values: tuple[Any, Any], expected: tuple[Any, Any]) -> None:
    found = accepted(tmp_path, {"a": {"x": values[0]}, "b": {"x": values[1]}, "c": {}})
    assert [found[v]["x"] for v in "abc"] == [*expected, None]


def test_the_screens_own_verdict_wins(tmp_path: Path) -> None:
    found = accepted(tmp_path, {"a": {"screened_domain": "mri", "screened_share": 0.1}})
    assert found == {"a": {"screened_domain": "ct", "screened_share": 0.9}}


def test_nothing_accepted_is_an_empty_table(tmp_path: Path) -> None:
    store = Store(datasets.build(tmp_path / "out", [[]], []))
    assert write_accepted(store.out) == 0
    assert pq.read_table(tmp_path / "out" / "accepted.parquet").num_rows == 0
