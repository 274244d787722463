import gzip
import io
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
import requests

from pipelines.errors import RowError, UsageError
from pipelines.media import open_media, packets, public_uri
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
    touch(tmp_path, "talk [abc].mp4")
    assert [Path(i.uri).name for i in inputs(str(tmp_path / "talk [abc].mp4"))] == ["talk [abc].mp4"]


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
        ("video_id,uri\na,x.mp4,stray\n", "does not fit"),
        ("video_id,uri\n" + "\u4e00" * 30 + ",x.mp4\n", "too long"),
    ],
)
def test_wrong_manifests_stop_the_run(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(UsageError, match=sentence):
        inputs(str(tmp_path / "m.csv"))


def test_a_line_that_is_no_object_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"video_id": 0, "uri": "a.mp4"}\n')
    assert inputs(str(tmp_path / "m.jsonl"))[0].video_id == "0"
    (tmp_path / "m.jsonl").write_text("3\n")
    with pytest.raises(UsageError, match="does not fit"):
        inputs(str(tmp_path / "m.jsonl"))


def test_a_name_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    latin = os.path.join(os.fsencode(tmp_path), b"h\xe9patite.mp4")
    with open(latin, "wb"):
        pass
    for source in (str(tmp_path), str(tmp_path / "h*.mp4"), os.fsdecode(latin)):
        with pytest.raises(UsageError, match=r"h\\udce9patite\.mp4' is not UTF-8"):
            inputs(source)


@pytest.mark.parametrize("row", [{"video_id": "h\udce9", "uri": "a.mp4"}, {"video_id": "a", "uri": "h\udce9"}])
def test_a_manifests_name_that_is_not_utf8_is_named(tmp_path: Path, row: dict[str, str]) -> None:
    (tmp_path / "m.jsonl").write_text(json.dumps(row))
    with pytest.raises(UsageError, match=r"Row 1 .*h\\udce9' is not UTF-8"):
        inputs(str(tmp_path / "m.jsonl"))


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
    """Serves a folder; `/broken/FILE` breaks off in the middle, `/busy/FILE` always answers 503, `/packed/FILE` comes as
    gzip to who does not refuse it.
    """

    def do_GET(self) -> None:
        _, kind, name = self.path.split("/", 2) if self.path.count("/") == 2 else ("", "", self.path)
        if kind == "busy":
            self.send_error(503)
        elif kind == "broken":
            data = (Path(self.directory) / name).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
        elif kind == "packed":
            data = (Path(self.directory) / name).read_bytes()
            packs = "gzip" in self.headers.get("Accept-Encoding", "")
            self.send_response(200)
            if packs:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(gzip.compress(data) if packs else data)
        else:
            super().do_GET()

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
        duration(f"{site.replace('://', '://user:password@')}/none.mp4?secret=1")
    assert missing.value.reason is Reason.MISSING
    assert f"{site}/none.mp4" in missing.value.detail
    assert not any(word in missing.value.detail for word in ("user", "password", "secret"))
    with pytest.raises(RowError) as unreachable:
        duration("http://127.0.0.1:1/talk-404.mp4")  # of the address, not of a server
    assert unreachable.value.reason is Reason.UNREACHABLE


def test_a_server_that_packs_what_it_sends_is_asked_not_to(tmp_path: Path, site: str) -> None:
    write_video(tmp_path / "a.mp4", seconds=6)
    assert duration(f"{site}/packed/a.mp4") == pytest.approx(6, abs=0.2)


@pytest.mark.parametrize("kind", ["broken", "busy"])
def test_a_connection_that_breaks_is_no_end_of_file(tmp_path: Path, site: str, kind: str) -> None:
    write_video(tmp_path / "a.mkv", seconds=6)
    with pytest.raises(RowError) as broken, open_media(f"{site}/{kind}/a.mkv") as container:
        list(packets(container, container.streams.video[0]))
    assert broken.value.reason is Reason.UNREACHABLE


def test_a_stream_that_breaks_later_is_no_end_of_file(tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mkv", seconds=6)

    class Breaks(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > path.stat().st_size // 2:
                raise requests.ConnectionError("reset by peer")
            return super().read(min(size or -1, 8192))

    monkeypatch.setattr("pipelines.media_file._gives_ranges", lambda uri: True)
    monkeypatch.setattr("smart_open.open", lambda *a, **k: Breaks(path.read_bytes()))
    with pytest.raises(RowError, match="reset by peer") as broken, open_media(f"{site}/a.mkv") as container:
        assert list(packets(container, container.streams.video[0]))
    assert broken.value.reason is Reason.UNREACHABLE


@pytest.mark.parametrize(
    ("uri", "public"),
    [("https://u:p@h:1/a.mp4?sig=1#x", "https://h:1/a.mp4"), ("s3://b/k?v#1.mp4", "s3://b/k?v#1.mp4"),
     ("/a?b.mp4", "/a?b.mp4"), ("https://[broken/a.mp4?k=1", "https://[broken/a.mp4"), ("https://", "https://")],
)
def test_public_addresses_carry_no_key(uri: str, public: str) -> None:
    assert public_uri(uri) == public


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
        client.put_object(Bucket="films", Key="m.csv", Body=b"video_id,uri\none,talks/a.mp4\n")
        assert [(i.video_id, i.uri) for i in inputs("s3://films/m.csv")] == [("one", "s3://films/talks/a.mp4")]
        client.put_object(Bucket="films", Key="local.csv", Body=b"video_id,uri\none,/videos/old/../a.mp4\n")
        assert [i.uri for i in inputs("s3://films/local.csv")] == ["/videos/a.mp4"]
        with pytest.raises(UsageError, match="cannot be listed"):
            inputs("s3://nowhere/talks/")
        assert duration(found.uri) == pytest.approx(6, abs=0.2)
        with pytest.raises(RowError) as missing:
            duration("s3://films/talks/none.mp4")
        assert missing.value.reason is Reason.MISSING
