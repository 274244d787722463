"""What differs where a dataset lies in an object store: no renaming, no lock, folders copied. The store is a subtree."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.fs as pafs
import pytest

from pipelines import dataset, instruct_file
from pipelines.image_file import ImageFile
from pipelines.instruct_schema import QuestionAnswer
from pipelines.media import from_jpeg
from pipelines.sources import Input
from pipelines.stages.look import Still
from pipelines.store import Store
from train import checkpoint

OUT = "s3://bucket/out/"


@pytest.fixture(autouse=True)
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the objects lie."""
    system = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    for module in ("image_file", "store", "instruct_file"):
        monkeypatch.setattr(f"pipelines.{module}.filesystem", lambda uri: (system, uri.removeprefix("s3://").rstrip("/")))
    yield tmp_path / "bucket"
    assert not list(tmp_path.rglob("*.tmp"))  # a name of its own only where it can be renamed


def test_the_manifest_is_written_and_read(bucket: Path) -> None:
    store = Store(OUT)
    with store.locked():
        store.request([Input(video_id="a", uri="/a", content_id="1")])
    assert [r["row_id"] for r in Store(OUT).manifest()] == ["a#1"]
    assert (bucket / "out" / "manifest.parquet").is_file()
    assert not (bucket / "out" / ".lock").exists()


def test_pictures_are_written_under_their_ids_name(bucket: Path) -> None:
    grey = np.full((48, 64, 3), 90, np.uint8)
    with ImageFile(OUT, "a/b c", quality=90) as file:
        image_id = file.keep(Still(start_s=1.0, end_s=2.0, rgb=grey, method="median"))
        file.commit({image_id})
    (image,) = dataset.images(OUT, "a/b c").values()
    assert image.image_id == image_id
    assert np.abs(from_jpeg(image.data).astype(int) - 90).max() <= 2
    assert [p.name for p in (bucket / "out" / "images").iterdir()] == ["a%2Fb%20c.parquet"]


def test_questions_are_committed_counted_and_taken_back() -> None:
    turn = QuestionAnswer(
        video_id="a", clip_id="a:0", turn=0, question="Which?", answer="CT", options=(), family="modality_open",
        source="template", prompt="modality@1", model="", question_id="q", picture_only=False,
    )  # fmt: skip
    instruct_file.write(OUT, "a#1", "a", [turn], [])
    assert instruct_file.committed(OUT) == {"a.parquet": ("a#1", 1)}
    assert instruct_file.accounted(OUT, "a") == 1
    instruct_file.remove(OUT, "a.parquet")
    assert instruct_file.committed(OUT) == {}


def test_a_model_is_published_whole_and_read_as_a_copy(bucket: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    (made / "deep").mkdir(parents=True)
    (made / "config.json").write_text("{}")
    (made / "deep" / "weights").write_bytes(b"w")
    assert not checkpoint.published(OUT, "model")
    checkpoint.publish(made, OUT, "model")
    assert checkpoint.published(OUT, "model")
    copy = Store(OUT).local_copy("model")
    assert not copy.is_relative_to(bucket)
    assert {p.relative_to(copy).as_posix() for p in copy.rglob("*") if p.is_file()} == {"config.json", "deep/weights"}
