"""What the user points at, as inputs: a folder, a glob, one file, an address, or a manifest."""

import csv
import glob
import hashlib
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq

from pipelines.errors import UsageError
from pipelines.media import is_remote, public_uri

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".asf"}
    | {".ogv", ".3gp", ".mxf", ".dv", ".rm", ".wtv"}
)
MAX_ID_BYTES = 200
"""An id, quoted, is the name of its pictures' file."""
MANIFEST_SUFFIXES = frozenset({".csv", ".jsonl", ".parquet"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One video to curate."""

    video_id: str
    uri: str
    extra: str = "{}"
    content_id: str | None = None


def inputs(source: str, limit: int | None = None) -> list[Input]:
    """The inputs behind `source`, in a stable order, with the identity of their content where it can be read.

    Raises:
        UsageError: nothing there, two inputs with one id, a name that is not UTF-8, or a manifest without its columns.
    """
    found = sorted(_find(source), key=lambda i: i.video_id) if not _is_manifest(source) else _read_manifest(source)
    if not found:
        raise UsageError(f"There are no videos in {source}.")
    twice = [video_id for video_id, count in Counter(i.video_id for i in found).items() if count > 1]
    if twice:
        raise UsageError(f"Two inputs have the id '{twice[0]}'; ids must be unique.")
    chosen = found[:limit]
    with ThreadPoolExecutor(16) as pool:
        contents = list(pool.map(lambda i: content_id(i.uri), chosen))
    return [
        Input(video_id=i.video_id, uri=i.uri, extra=i.extra, content_id=c) for i, c in zip(chosen, contents, strict=True)
    ]


def video_id_of(uri: str) -> str:
    """A readable id from the canonical address: its name, and a hash that keeps two of one name apart."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", Path(uri.split("?")[0]).stem).strip("-")[:40] or "video"
    return f"{stem}-{hashlib.sha256(uri.encode()).hexdigest()[:10]}"


def is_same_source(a: tuple[str, str | None], b: tuple[str, str | None]) -> bool:
    """Whether two (address, content id) are one source: by content where both are known, else by address without keys."""
    (uri_a, content_a), (uri_b, content_b) = a, b
    if content_a is not None and content_b is not None:
        return content_a == content_b
    return public_uri(uri_a) == public_uri(uri_b)


def _is_manifest(source: str) -> bool:
    return Path(source).suffix.lower() in MANIFEST_SUFFIXES and (is_remote(source) or Path(source).is_file())


def _find(source: str) -> Iterable[Input]:
    if source.startswith("s3://") and source.endswith("/"):
        uris = _list_s3(source)
    elif is_remote(source):
        uris = [source]
    elif Path(source).is_dir():
        uris = [str(p) for p in Path(source).rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and not p.is_dir()]
    elif os.path.lexists(source):  # before globs: downloaded videos are often called `talk [id].mp4`
        uris = [source]
    elif glob.has_magic(source):
        uris = [p for p in glob.glob(source, recursive=True) if not Path(p).is_dir()]
    else:
        raise UsageError(f"There is no file or folder {source}.")
    for uri in uris:
        canonical = uri if is_remote(uri) else os.path.abspath(uri)
        if not _is_utf8(canonical):
            raise UsageError(f"The name {canonical!a} is not UTF-8; rename the file.")
        yield Input(video_id=video_id_of(canonical), uri=canonical)


def _is_utf8(name: str) -> bool:
    """Whether rows can hold it: Python reads a file name's other bytes as surrogates, and JSON can spell them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _list_s3(prefix: str) -> list[str]:
    import boto3
    import botocore.exceptions

    bucket, _, key = prefix.removeprefix("s3://").partition("/")
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    try:
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
        raise UsageError(f"{prefix} cannot be listed: {error}") from error
    return [f"s3://{bucket}/{k}" for k in keys if Path(k).suffix.lower() in VIDEO_SUFFIXES]


def _read_manifest(path: str) -> list[Input]:
    rows = _rows(path)
    if not rows:
        return []
    if not all(isinstance(row, dict) and all(isinstance(key, str) for key in row) for row in rows):
        raise UsageError(f"The manifest {path} has a row that does not fit its columns.")
    missing = {"video_id", "uri"} - set(rows[0])
    if missing:
        raise UsageError(f"The manifest {path} has no column '{sorted(missing)[0]}'.")
    found = []
    for number, row in enumerate(rows, start=1):
        video_id, uri = row.get("video_id"), row.get("uri")
        if video_id in (None, "") or not uri:
            raise UsageError(f"Row {number} of the manifest {path} lacks a video_id or a uri.")
        canonical = _beside(path, str(uri))
        for name in (str(video_id), canonical):
            if not _is_utf8(name):
                raise UsageError(f"Row {number} of the manifest: {name!a} is not UTF-8.")
        if len(quote(str(video_id), safe="")) > MAX_ID_BYTES:
            raise UsageError(f"Row {number} of the manifest {path}: its video_id is too long for a file name.")
        extra = {k: v for k, v in row.items() if k not in ("video_id", "uri")}
        found.append(
            Input(video_id=str(video_id), uri=canonical, extra=json.dumps(extra, sort_keys=True, default=str))
        )
    return found


def _beside(manifest: str, uri: str) -> str:
    """An address as it is; a path that is not absolute counts from the manifest's folder."""
    if is_remote(uri):
        return uri
    if is_remote(manifest) and not os.path.isabs(uri):
        return f"{manifest.rpartition('/')[0]}/{uri}"
    return os.path.abspath(Path(manifest).resolve().parent / uri)


def _rows(path: str) -> Sequence[dict[str, Any]]:
    import botocore.exceptions
    import smart_open

    suffix = Path(path).suffix.lower()
    try:
        with smart_open.open(path, "rb", compression="disable") as file:
            data = file.read()
        if suffix == ".parquet":
            rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
            return rows
        text = io.StringIO(data.decode("utf-8-sig"), newline="")
        if suffix == ".csv":
            return list(csv.DictReader(text))
        return [json.loads(line) for line in text if line.strip()]
    except (ValueError, OSError, csv.Error, botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
        raise UsageError(f"The manifest {path} cannot be read: {error}") from error


def content_id(uri: str) -> str | None:
    """Identity of the bytes behind `uri`: size and a hash of sixteen samples, or size and ETag; None if unknown.

    Sampling keeps it cheap on terabytes: an edit that keeps the size and misses every sample stays unseen.
    """
    if not is_remote(uri):
        return _sampled_hash(uri)
    import boto3
    import botocore.exceptions
    import requests

    try:
        if uri.startswith("s3://"):
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            head = boto3.client("s3").head_object(Bucket=bucket, Key=key)
            return f"{head['ContentLength']}-{head['ETag'].strip(chr(34))}"
        reply = requests.head(uri, allow_redirects=True, timeout=10)
        reply.raise_for_status()
        size, etag = reply.headers.get("Content-Length"), reply.headers.get("ETag") or reply.headers.get("Last-Modified")
        return f"{size}-{etag.strip(chr(34))}" if size and etag else None
    except (requests.RequestException, botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError):
        return None  # the row itself will say why it cannot be read


def _sampled_hash(path: str, samples: int = 16, sample_bytes: int = 65536) -> str | None:
    if not os.path.isfile(path):  # missing, or a pipe that would block: the row will say so
        return None
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            digest = hashlib.sha256(str(size).encode())
            for i in range(samples):
                file.seek(max(0, size - sample_bytes) * i // (samples - 1))
                digest.update(file.read(sample_bytes))
    except OSError:
        return None
    return f"{size}-{digest.hexdigest()[:32]}"
