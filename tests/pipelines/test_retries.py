from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.dataset import rows
from pipelines.errors import UsageError
from pipelines.image_file import image_path
from pipelines.retries import again, was_screened
from pipelines.schema import Reason, Status
from pipelines.store import Store
from tests.pipelines import datasets


@pytest.fixture
def store(tmp_path: Path) -> Store:
    videos, pictures = datasets.sample()
    return Store(datasets.build(tmp_path / "out", [videos], pictures))


def attempts(store: Store) -> dict[str, int]:
    return {r["video_id"]: r["attempt"] for r in store.manifest()}


def test_failed_rows_get_one_more_attempt_and_no_others(store: Store) -> None:
    newest = attempts(store)
    failed = [v.video_id for v in rows(store.out) if v.status is Status.FAILED]
    assert failed
    assert again(store, None, changed=False) == len(failed)
    assert attempts(store) == newest | {video_id: newest[video_id] + 1 for video_id in failed}
    assert again(store, None, changed=False) == 0  # they are pending already


def test_only_sources_that_matter_are_asked_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("pipelines.retries.content_id", lambda uri: asked.append(uri))
    failed = [v.video_id for v in rows(store.out) if v.status is Status.FAILED]
    assert again(store, None, changed=False) == len(asked) == len(failed)


def test_a_reason_chooses(store: Store) -> None:
    assert again(store, "out_of_memory", changed=False) == 0
    with pytest.raises(UsageError, match="'weather' does not exist"):
        again(store, "weather", changed=False)
    with pytest.raises(UsageError, match="'no_speech' is a decision, not a fault; faults are missing, "):
        again(store, "no_speech", changed=False)


def test_another_attempt_takes_the_manifests_address_and_changed_ones_count(store: Store) -> None:
    manifest = store.manifest()
    for row in manifest:
        if row["video_id"] in ("liver", "broken"):
            row["uri"] = f"/mended/{row['video_id']}.mp4"
    store.save_manifest(manifest)
    assert again(store, None, changed=True) == 2
    mended = [r["uri"] for r in store.manifest() if r["attempt"] == attempts(store)[r["video_id"]]]
    assert {"/mended/liver.mp4", "/mended/broken.mp4"} <= set(mended)


@pytest.mark.parametrize("harm", [lambda path: path.write_bytes(b""), lambda path: path.unlink()])
def test_videos_whose_pictures_are_broken_are_made_anew(store: Store, harm: Callable[[Path], object]) -> None:
    newest = attempts(store)
    failed = again(store, None, broken=True)  # nothing is broken yet
    harm(Path(image_path(store.out, "knee")))
    assert again(store, None) == 0
    assert again(store, None, broken=True) == 1
    assert attempts(store)["knee"] == newest["knee"] + 1
    assert failed == sum(v.status is Status.FAILED for v in rows(store.out))


def test_rejected_rows_have_pictures_too(tmp_path: Path) -> None:
    picture = datasets.picture("a", 1)
    out = datasets.build(tmp_path / "rejected", [[datasets.ended("a", Reason.NO_CLIPS, "write")]], [picture])
    Path(image_path(out, "a")).write_bytes(b"")
    assert again(Store(out), None, broken=True) == 1


def test_a_dataset_of_curate_was_not_only_screened(store: Store, tmp_path: Path) -> None:
    assert not was_screened(store.out)
    with pytest.raises(UsageError, match="not a dataset"):
        was_screened(str(tmp_path))
