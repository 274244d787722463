from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import IncompleteSnapshotError, OfflineModeIsEnabled

from actors.weights import hash_folder, resolve
from pipelines.errors import EnvironmentFault

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def hub(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    def model_info(self: HfApi, name: str, timeout: float) -> object:
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(sha=answer)

    monkeypatch.setattr(HfApi, "model_info", model_info)


def test_a_hub_model_is_the_same_before_and_after_its_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, COMMIT)
    snapshot = tmp_path / "models--org--name" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    assert hash_folder("org/name") == hash_folder(snapshot) == COMMIT


def test_a_snapshot_without_its_readme_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def incomplete(name: str, *, local_files_only: bool) -> str:
        raise IncompleteSnapshotError("README.md is missing", snapshot_path=f"/cache/models--org--name/snapshots/{COMMIT}")

    monkeypatch.setattr("huggingface_hub.snapshot_download", incomplete)
    hub(monkeypatch, OfflineModeIsEnabled("offline"))
    assert hash_folder(resolve("org/name")) == COMMIT


def test_offline_a_name_stands_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, OfflineModeIsEnabled("offline"))
    assert hash_folder("org/name") == "name:org/name"


def test_a_hub_that_does_not_answer_gives_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, httpx.ConnectError("no route"))
    with pytest.raises(EnvironmentFault, match="org/name .* no route"):
        hash_folder("org/name")


def test_files_are_known_by_their_bytes_and_names(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    before = hash_folder(tmp_path)
    (tmp_path / "a").write_bytes(b"2")
    changed = hash_folder(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({before, changed, hash_folder(tmp_path)}) == 3
