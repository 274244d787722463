import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines import dataset, recipes
from pipelines.errors import UsageError
from pipelines.image_file import ImageFile, filesystem, image_path, image_uri
from pipelines.media import from_jpeg
from pipelines.sources import Input
from pipelines.stages.look import Still
from pipelines.store import Store


def test_other_settings_stop_and_are_named(tmp_path: Path) -> None:
    store, config = Store(str(tmp_path / "out")), recipes.starter()
    first = store.open_config(config, {"probe.min_duration_s": "60.0", "weights.text": "a"})
    assert store.open_config(config, {"probe.min_duration_s": "60.0", "weights.text": "a"}) == first
    with pytest.raises(UsageError, match=r"weights.text: a there, b here") as error:
        store.open_config(config, {"probe.min_duration_s": "60.0", "weights.text": "b"})
    assert "probe.min_duration_s" not in str(error.value)


def test_an_address_may_end_in_a_slash_and_one_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.store.filesystem", lambda uri: (None, uri.removeprefix("s3://")))
    store = Store("s3://films/data/")
    assert (store.out, store.uri("admission")) == ("s3://films/data", "s3://films/data/admission")
    assert store.path("a") == "films/data/a"
    for address in ("https://h/x", "s3://films/my data"):
        with pytest.raises(UsageError, match="cannot be used"):
            filesystem(address)


def test_a_second_run_is_kept_out(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    with store.locked(), pytest.raises(UsageError, match="Another run"), Store(str(tmp_path / "out")).locked():
        pass
    with store.locked():
        pass


def test_the_manifest_only_grows(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    a, b = (Input(video_id=v, uri=f"/{v}", content_id="1") for v in "ab")
    assert store.request([b]) == []
    assert store.request([a, b]) == []
    assert [r["row_id"] for r in store.manifest()] == ["a#1", "b#1"]
    assert store.request([Input(video_id="a", uri="/a", content_id="2")], {"a#1"}) == ["a"]
    assert [r["content_id"] for r in store.manifest()] == ["1", "1"]


def test_a_mended_address_takes_effect(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    store.request([Input(video_id="a", uri="/wrong"), Input(video_id="b", uri="https://h/b?key=old", content_id="1")])
    mended = [
        Input(video_id="a", uri="/right", content_id="2"),
        Input(video_id="b", uri="https://h/b?key=new", content_id="1"),
    ]
    assert store.request(mended, {"b#1"}) == []
    assert [(r["uri"], r["content_id"]) for r in store.manifest()] == [("/right", "2"), ("https://h/b?key=new", "1")]
    assert store.request([Input(video_id="b", uri="/elsewhere")], {"b#1"}) == ["b"]


def test_no_half_file_is_ever_seen(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "out"))
    store.write(b"old", "run.json")
    temporary = f"run.json.{os.getpid()}.tmp"
    (tmp_path / "out" / temporary).mkdir()  # nothing can be written under the temporary name
    with pytest.raises(OSError, match=temporary):
        store.write(b"new", "run.json")
    assert store.read("run.json") == b"old"


@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize("video_id", ["plain", "../../etc/passwd", "a/b", "ü %2F", "..", ".hidden"])
def test_pictures_stay_in_their_folder(tmp_path: Path, video_id: str, scheme: str) -> None:
    out = f"{scheme}{tmp_path}"
    rgb = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    with ImageFile(out, video_id, 95) as images:
        used = images.keep(Still(start_s=1, end_s=2, method="median", rgb=rgb))
        images.keep(Still(start_s=1, end_s=2, method="median", rgb=rgb[::-1].copy()))
        assert not Path(image_path(str(tmp_path), video_id)).exists()
        images.commit({used})
    (path,) = (tmp_path / "images").iterdir()
    assert path == Path(image_path(str(tmp_path), video_id))
    (row,) = pq.read_table(path).to_pylist()
    assert (row["image_id"], row["width"], row["height"]) == (used, 60, 40)
    assert from_jpeg(row["data"]).shape == (40, 60, 3)
    assert dataset.image_ids(out, video_id) == {used}
    fs, named = filesystem(image_uri(out, video_id))
    assert fs.get_file_info(named).size == path.stat().st_size
