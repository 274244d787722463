"""`OUT/images/<video_id>.parquet`: a video's pictures, written once by the process that decoded them."""

import hashlib
import os
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from pipelines.arrow import arrow_table
from pipelines.errors import UsageError
from pipelines.media import public_uri, to_jpeg
from pipelines.schema import Image


class Still(Protocol):
    """A picture and the time it stands for (`pipelines.stages.stable.Still`)."""

    @property
    def start_s(self) -> float: ...  # noqa: D102
    @property
    def end_s(self) -> float: ...  # noqa: D102
    @property
    def rgb(self) -> np.ndarray: ...  # noqa: D102


def filesystem(uri: str) -> tuple[Any, str]:
    """The file system that holds `uri` (local path, `s3://` ...) and the path in it.

    Raises:
        UsageError: it is no address of one.
    """
    if "://" in uri:
        try:
            return pafs.FileSystem.from_uri(uri)  # type: ignore[no-any-return]
        except pa.ArrowInvalid as error:
            raise UsageError(f"'{public_uri(uri)}' cannot be used: {str(error).splitlines()[0]}.") from error
    return pafs.LocalFileSystem(), os.path.abspath(uri)


def put(fs: Any, path: str, data: bytes) -> None:
    """Write a file whole or not at all: object stores do so by themselves; two processes may write the same bytes."""
    fs.create_dir(path.rsplit("/", 1)[0], recursive=True)
    temporary = f"{path}.{os.getpid()}.tmp" if isinstance(fs, pafs.LocalFileSystem) else path
    with fs.open_output_stream(temporary) as file:
        file.write(data)
    if temporary != path:
        fs.move(temporary, path)


def image_path(root: str, video_id: str) -> str:
    """Where the video's pictures lie, in the file system in which the dataset is at `root`.

    The id is quoted, so that it can never name another folder. `filesystem` unquotes addresses: it is for the folder only.
    """
    return f"{root.rstrip('/')}/images/{quote(video_id, safe='')}.parquet"


def image_uri(out: str, video_id: str) -> str:
    """The same for the dataset at `out`, as `filesystem` wants it: in an address the id is quoted once more."""
    return image_path(out, quote(video_id, safe="") if "://" in out else video_id)


class ImageFile:
    """Pictures encoded as they come (at most `max_images`, so memory is bounded), and written by `commit`."""

    def __init__(self, out: str, video_id: str, quality: int) -> None:
        self._fs, root = filesystem(out)
        self._path = image_path(root, video_id)
        self._video_id, self._quality = video_id, quality
        self._written: dict[str, Image] = {}

    def __enter__(self) -> "ImageFile":
        return self

    def keep(self, still: Still) -> str:
        """Encode and hold the picture; its id is the hash of its bytes."""
        data = to_jpeg(still.rgb, self._quality)
        image_id = hashlib.sha256(data).hexdigest()
        height, width = still.rgb.shape[:2]
        self._written.setdefault(
            image_id,
            Image(
                image_id=image_id,
                video_id=self._video_id,
                start_s=still.start_s,
                end_s=still.end_s,
                width=width,
                height=height,
                format="jpeg",
                data=data,
            ),
        )
        return image_id

    def commit(self, used: set[str]) -> None:
        """Write the pictures that are used, under a temporary name, and rename: never half a file."""
        images = [i for i in self._written.values() if i.image_id in used]
        temporary = f"{self._path}.{os.getpid()}.tmp" if isinstance(self._fs, pafs.LocalFileSystem) else self._path
        self._fs.create_dir(self._path.rsplit("/", 1)[0], recursive=True)
        with self._fs.open_output_stream(temporary) as sink:
            # JPEG does not compress further
            pq.write_table(arrow_table(images, Image), sink, compression="none", row_group_size=8)
        if temporary != self._path:
            self._fs.move(temporary, self._path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._written.clear()
