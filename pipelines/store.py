"""The folder of a dataset: its manifest, its configuration, and the lock that keeps a second run out."""

import atexit
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Container, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from pipelines import settings as flat
from pipelines.errors import UsageError
from pipelines.image_file import filesystem, put
from pipelines.sources import Input, is_same_source

MANIFEST_SCHEMA = pa.schema(
    {
        "row_id": pa.string(),
        "video_id": pa.string(),
        "attempt": pa.int64(),
        "uri": pa.string(),
        "extra": pa.string(),
        "content_id": pa.string(),
    }
)


class Store:
    """`OUT`: local folder or `s3://` address."""

    def __init__(self, out: str) -> None:
        self.out = out.rstrip("/") if "://" in out else os.path.abspath(out)
        self.fs, self.root = filesystem(self.out)

    def uri(self, *parts: str) -> str:
        """The address of something in the folder."""
        return "/".join([self.out, *parts])

    def path(self, *parts: str) -> str:
        """The same, as the file system wants it."""
        return "/".join([self.root.rstrip("/"), *parts])

    def exists(self, *parts: str) -> bool:
        """Whether the file is there."""
        return bool(self.fs.get_file_info(self.path(*parts)).type != pafs.FileType.NotFound)

    def read(self, *parts: str) -> bytes:
        """A small file's bytes."""
        with self.fs.open_input_stream(self.path(*parts)) as file:
            return bytes(file.read())

    def write(self, data: bytes, *parts: str) -> None:
        """A small file, whole or not at all."""
        put(self.fs, self.path(*parts), data)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Only one run at a time writes here (local folders; on S3 the operator sees to it).

        Raises:
            UsageError: another run holds the folder.
        """
        if not isinstance(self.fs, pafs.LocalFileSystem):
            yield
            return
        Path(self.root).mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.path(".lock"))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise UsageError(f"Another run is writing to {self.out}.") from error
        try:
            yield
        finally:
            lock.release()

    def open_config(self, config: object, settings: dict[str, str], advice: str = "choose another --out") -> str:
        """The fingerprint under which this folder continues; a new folder takes the given settings.

        Raises:
            UsageError: the folder was made with other settings, which are named.
        """
        fingerprint = flat.fingerprint(settings)
        if self.exists("config.json"):
            saved: dict[str, str] = json.loads(self.read("config.json"))["settings"]
            differing = sorted(k for k in saved.keys() | settings.keys() if saved.get(k) != settings.get(k))
            if differing:
                named = "; ".join(f"{k}: {saved.get(k)} there, {settings.get(k)} here" for k in differing[:5])
                more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
                raise UsageError(f"{self.out} was made with another configuration ({named}{more}); {advice}.")
        elif self.exists("videos"):
            raise UsageError(f"{self.out} holds videos but no config.json; choose another --out.")
        body = {
            "fingerprint": fingerprint,
            "settings": settings,
            "config": json.loads(flat.to_json(config)),
        }
        self.write(json.dumps(body, indent=2, sort_keys=True).encode(), "config.json")
        return fingerprint

    def local_copy(self, *parts: str) -> Path:
        """A folder of the dataset on this machine: itself, or a copy that goes when the process ends."""
        if isinstance(self.fs, pafs.LocalFileSystem):
            return Path(self.path(*parts))
        folder = tempfile.mkdtemp(prefix="preceptor-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        pafs.copy_files(self.path(*parts), folder, source_filesystem=self.fs)
        return Path(folder)

    def manifest(self) -> list[dict[str, Any]]:
        """All rows ever asked for: one per video and attempt."""
        if not self.exists("manifest.parquet"):
            return []
        rows: list[dict[str, Any]] = pq.read_table(self.path("manifest.parquet"), filesystem=self.fs).to_pylist()
        return rows

    def save_manifest(self, rows: Sequence[dict[str, Any]]) -> None:
        """Replace the manifest."""
        sink = pa.BufferOutputStream()
        ordered = sorted(rows, key=lambda r: (r["video_id"], r["attempt"]))
        pq.write_table(pa.Table.from_pylist(list(ordered), MANIFEST_SCHEMA), sink)
        self.write(sink.getvalue().to_pybytes(), "manifest.parquet")

    def request(self, inputs: Sequence[Input], committed: Container[str] = ()) -> list[str]:
        """Add the inputs that are new; returns the ids of those that were committed and whose source differs since.

        A known id takes the address and the further columns that it is given now (an address mended, a signature
        renewed); a row that is not committed yet also the content.
        """
        rows = self.manifest()
        newest = {r["video_id"]: r for r in rows}
        changed = []
        for i in inputs:
            known = newest.get(i.video_id)
            if known is None:
                rows.append(manifest_row(i, attempt=1))
                continue
            if known["row_id"] not in committed:
                known["content_id"] = i.content_id
            elif not is_same_source((i.uri, i.content_id), (known["uri"], known["content_id"])):
                changed.append(i.video_id)
            known |= {"uri": i.uri, "extra": i.extra}
        self.save_manifest(rows)
        return changed


def manifest_row(item: Input, attempt: int) -> dict[str, Any]:
    """One row of the manifest."""
    return {
        "row_id": f"{item.video_id}#{attempt}",
        "video_id": item.video_id,
        "attempt": attempt,
        "uri": item.uri,
        "extra": item.extra,
        "content_id": item.content_id,
    }


def now() -> str:
    """The present, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
