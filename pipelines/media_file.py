"""The files behind a container: local ones, `s3://` and `https://`, each remembering why a read of it failed.

FFmpeg takes a failed read for the end of the file: without that memory half a film would pass for a whole one.
"""

import contextlib
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from pipelines.errors import RowError
from pipelines.schema import Reason

_PLAIN = {"Accept-Encoding": "identity"}
"""The bytes as they are: a server that packs what it sends would give no video."""


def _network_faults() -> tuple[type[Exception], ...]:
    import botocore.exceptions
    import requests
    import urllib3.exceptions

    return (OSError, ValueError, requests.RequestException, urllib3.exceptions.HTTPError,
            botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)  # fmt: skip


class _File:
    """What PyAV reads from; `fault` is the first that befell it."""

    def __init__(self, stream: Any, faults: tuple[type[Exception], ...]) -> None:
        self._stream, self._faults = stream, faults
        self.fault: Exception | None = None

    def read(self, size: int) -> bytes:
        return bytes(self._guarded(self._stream.read, size))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._guarded(self._stream.seek, offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def _guarded(self, call: Callable[..., Any], *arguments: int) -> Any:
        try:
            return call(*arguments)
        except self._faults as fault:
            self.fault = self.fault or fault
            raise OSError(errno.EIO, "reading broke off") from fault


class _LocalFile(_File):
    """A local file, under the name that FFmpeg would open: where contents leave a format open, the suffix decides."""

    def __init__(self, stream: Any, name: str) -> None:
        super().__init__(stream, (OSError,))
        self.name = name

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return int(self._stream.seek(offset, whence))
        except OSError:  # damaged data point past what a disk can hold: no fault of the disk, and FFmpeg can go on
            return -1


@contextlib.contextmanager
def local_file(path: str) -> Iterator[_File]:
    """The regular file at `path`, an absolute one.

    Raises:
        RowError: `missing`, `unreadable` without the right to read it, or `unreachable` (also when a read fails later).
    """
    try:
        # FFmpeg has a buffer of its own; a larger one would be read anew at each leap between picture and sound
        stream = open(path, "rb", buffering=0)  # noqa: SIM115 closed by _watched
    except FileNotFoundError as error:
        raise RowError(Reason.MISSING, "there is no such file") from error
    except OSError as error:
        reason = Reason.UNREADABLE if isinstance(error, PermissionError) else Reason.UNREACHABLE
        raise RowError(reason, error.strerror or type(error).__name__) from error
    with _watched(stream, _LocalFile(stream, f"file:{path}")) as file:
        yield file


@contextlib.contextmanager
def remote_file(uri: str) -> Iterator[_File]:
    """The file at an address.

    Raises:
        RowError: `missing` or `unreachable` (also when the connection breaks later).
    """
    import requests
    import smart_open

    try:
        if uri.startswith("s3://") or _gives_ranges(uri):
            stream = smart_open.open(uri, "rb", compression="disable")
        else:  # a server that cannot rewind: its file is copied to a temporary one, which vanishes with this process
            stream = tempfile.TemporaryFile()  # noqa: SIM115 closed by _watched
            with requests.get(uri, headers=_PLAIN, stream=True, timeout=30) as reply:
                reply.raise_for_status()
                shutil.copyfileobj(reply.raw, stream)
            stream.seek(0)
    except _network_faults() as error:
        raise _unreachable(error) from error
    with _watched(stream, _File(stream, _network_faults())) as file:
        yield file


@contextlib.contextmanager
def _watched(stream: Any, file: _File) -> Iterator[_File]:
    with stream:
        try:
            yield file
        finally:  # whatever became of what was read: it was not the whole file
            if file.fault is not None and not isinstance(sys.exception(), GeneratorExit):
                raise _unreachable(file.fault)


def _unreachable(error: Exception) -> RowError:
    return RowError(Reason.MISSING if _is_gone(error) else Reason.UNREACHABLE, words_of(error))


def _is_gone(error: BaseException | None) -> bool:
    """Whether the server, or S3, says that there is no such thing: by its code, for its words name the address too."""
    while error is not None:
        reply = getattr(error, "response", None)
        code = reply.get("Error", {}).get("Code") if isinstance(reply, dict) else getattr(reply, "status_code", None)
        if str(code) in ("404", "410", "NoSuchKey", "NoSuchBucket"):
            return True
        error = getattr(error, "backend_error", None) or error.__cause__
    return False


def _gives_ranges(uri: str) -> bool:
    """Asked with GET, because an address signed for GET refuses HEAD."""
    import requests

    with requests.get(uri, headers={**_PLAIN, "Range": "bytes=0-0"}, stream=True, timeout=30) as reply:
        if reply.status_code != requests.codes.requested_range_not_satisfiable:  # an empty file
            reply.raise_for_status()
        return reply.status_code == requests.codes.partial_content


def words_of(error: Exception) -> str:
    """The first line of an error without addresses' secrets: a user and password, and what signs after the question mark."""
    import av

    line = str(error)
    if isinstance(error, av.FFmpegError):  # its text names the file and a number; its last log line is (level, who, what)
        line = ": ".join(filter(None, [error.strerror, error.log[2].strip() if error.log else ""]))
    line = (line.strip().splitlines() or [type(error).__name__])[0]
    line = re.sub(r"://[^/\s]*@", "://", line)
    return " ".join(part.split("?")[0] for part in line.split())[:200]
