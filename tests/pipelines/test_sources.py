import json
import os
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import boto3
import moto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import RowError, UsageError
from pipelines.media import open_media
from pipelines.schema import Reason
from pipelines.sources import content_id, inputs, video_id_of
from tests.media import write_video


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_a_folder_gives_its_videos_in_a_stable_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp4", "deep/a.MKV", "notes.txt", "a.truth.json")
    found = inputs(str(tmp_path))
    assert sorted(Path(i.uri).name for i in found) == ["a.MKV", "b.mp4"]
    assert found == inputs(str(tmp_path))
    assert inputs(str(tmp_path), limit=1) == found[:1]


def test_a_glob_and_one_file(tmp_path: Path) -> None:
    touch(tmp_path, "a1.mp4", "a2.mp4", "b.mp4")
    assert len(inputs(str(tmp_path / "a*.mp4"))) == 2
    assert len(inputs(str(tmp_path / "b.mp4"))) == 1


def test_two_videos_of_one_name_have_two_ids() -> None:
    assert video_id_of("/x/a.mp4") != video_id_of("/y/a.mp4")
    assert video_id_of("/x/a.mp4") == video_id_of("/x/a.mp4")


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_manifests_carry_further_columns(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, "a.mp4")
    rows = [
        {"video_id": "one", "uri": "a.mp4", "channel": "x"},
        {"video_id": "two", "uri": "https://h/b.mp4?k=1", "channel": "y"},
    ]
    path = tmp_path / f"m.{suffix}"
    if suffix == "csv":
        path.write_text("video_id,uri,channel\none,a.mp4,x\ntwo,https://h/b.mp4?k=1,y\n")
    elif suffix == "jsonl":
        path.write_text("\n".join(json.dumps(r) for r in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    one, two = inputs(str(path))
    assert (one.video_id, one.uri, json.loads(one.extra)) == ("one", str(tmp_path / "a.mp4"), {"channel": "x"})
    assert two.uri == "https://h/b.mp4?k=1"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("video_id,uri\na,x.mp4\na,y.mp4\n", "'a'"),
        ("id,uri\na,x.mp4\n", "video_id"),
        ("video_id,uri\n,x.mp4\n", "Row 1"),
        ("video_id,uri\n", "no videos"),
    ],
)
def test_wrong_manifests_stop_the_run(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(UsageError, match=sentence):
        inputs(str(tmp_path / "m.csv"))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no videos"):
        inputs(str(tmp_path))
    with pytest.raises(UsageError, match="nowhere"):
        inputs(str(tmp_path / "nowhere"))


def test_content_changes_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(5_000_000))
    before = content_id(str(path))
    with path.open("r+b") as file:
        file.seek(4_999_000)
        file.write(b"x")
    assert content_id(str(path)) not in (before, None)
    assert content_id(str(tmp_path / "none")) is None


def test_a_pipe_does_not_block_the_listing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (found,) = inputs(str(tmp_path))
    assert found.content_id is None


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: Files(*a, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def duration(uri: str) -> float:
    with open_media(uri) as container:
        return container.duration / 1e6


def test_http_addresses_are_read_and_faults_are_typed(tmp_path: Path, site: str) -> None:
    write_video(tmp_path / "a.mp4", seconds=6)
    assert duration(f"{site}/a.mp4") == pytest.approx(6, abs=0.2)
    assert content_id(f"{site}/a.mp4") is not None
    with pytest.raises(RowError) as missing:
        duration(f"{site}/none.mp4?secret=1")
    assert missing.value.reason is Reason.MISSING
    assert "secret" not in missing.value.detail
    with pytest.raises(RowError) as unreachable:
        duration("http://127.0.0.1:1/a.mp4")
    assert unreachable.value.reason is Reason.UNREACHABLE


def test_s3_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(key, value)
    with moto.mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="films")
        client.upload_file(str(write_video(tmp_path / "a.mp4", seconds=6)), "films", "talks/a.mp4")
        client.put_object(Bucket="films", Key="talks/notes.txt", Body=b"")
        (found,) = inputs("s3://films/talks/")
        assert (found.uri, found.content_id is not None) == ("s3://films/talks/a.mp4", True)
        assert duration(found.uri) == pytest.approx(6, abs=0.2)
        with pytest.raises(RowError) as missing:
            duration("s3://films/talks/none.mp4")
        assert missing.value.reason is Reason.MISSING
