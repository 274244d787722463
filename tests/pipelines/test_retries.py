from pathlib import Path

import pytest

from pipelines.dataset import rows
from pipelines.errors import UsageError
from pipelines.retries import again, was_screened
from pipelines.schema import Status
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
    with pytest.raises(UsageError, match="no reason 'weather'"):
        again(store, "weather", changed=False)


def test_another_attempt_takes_the_manifests_address_and_changed_ones_count(store: Store) -> None:
    manifest = store.manifest()
    for row in manifest:
        if row["video_id"] in ("liver", "broken"):
            row["uri"] = f"/mended/{row['video_id']}.mp4"
    store.save_manifest(manifest)
    assert again(store, None, changed=True) == 2
    mended = [r["uri"] for r in store.manifest() if r["attempt"] == attempts(store)[r["video_id"]]]
    assert {"/mended/liver.mp4", "/mended/broken.mp4"} <= set(mended)


def test_a_dataset_of_curate_was_not_only_screened(store: Store, tmp_path: Path) -> None:
    assert not was_screened(store.out)
    with pytest.raises(UsageError, match="not a dataset"):
        was_screened(str(tmp_path))
