"""`DIR/instruct/<video_id>.parquet`: a video's questions and answers; beside it, in `dropped/`, those that were not kept.

The file with the questions is the commit: it is written last, whole or not at all, and its metadata name the row it was
made from. A person's files may lie beside it; they are read like ours and never touched.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from pipelines.arrow import arrow_schema, arrow_table
from pipelines.errors import UsageError
from pipelines.image_file import filesystem, put
from pipelines.instruct_schema import Dropped, QuestionAnswer

FOLDER = "instruct"
DROPPED = "dropped"
MADE_FROM, MADE = b"preceptor_row_id", b"preceptor_made"
"""In the files' metadata: the row's id, and how many turns were made, kept or not."""


def write(out: str, row_id: str, video_id: str, kept: Sequence[QuestionAnswer], dropped: Sequence[Dropped]) -> None:
    """Commit a video's turns. Writing the same again changes nothing."""
    fs, root = filesystem(out)
    notes = {MADE_FROM: row_id.encode(), MADE: str(len(kept) + len(dropped)).encode()}
    for path, rows, kind in (
        (dropped_path(root, video_id), dropped, Dropped),
        (kept_path(root, video_id), kept, QuestionAnswer),
    ):
        put(fs, path, _parquet(rows, kind, notes))


def file_name(video_id: str) -> str:
    """The id is quoted, so that it can never name another folder."""
    return f"{quote(video_id, safe='')}.parquet"


def kept_path(root: str, video_id: str) -> str:
    """Where the video's turns lie."""
    return f"{root.rstrip('/')}/{FOLDER}/{file_name(video_id)}"


def dropped_path(root: str, video_id: str) -> str:
    """Where those lie that were not kept."""
    return f"{root.rstrip('/')}/{FOLDER}/{DROPPED}/{file_name(video_id)}"


def committed(out: str) -> dict[str, tuple[str, int]]:
    """Names of the files that we wrote; for each the row (`video_id#attempt`) it was made from, and the turns made.

    Raises:
        UsageError: a file cannot be read.
    """
    fs, root = filesystem(out)
    found: dict[str, tuple[str, int]] = {}
    for info in fs.get_file_info(pafs.FileSelector(f"{root.rstrip('/')}/{FOLDER}", allow_not_found=True)):
        if info.type == pafs.FileType.File and info.path.endswith(".parquet"):
            try:
                notes: dict[bytes, bytes] = pq.read_schema(info.path, filesystem=fs).metadata or {}
            except (pa.ArrowException, OSError) as error:
                raise UsageError(f"{info.path} cannot be read: {error}") from error
            if MADE_FROM in notes:
                found[info.path.rsplit("/", 1)[-1]] = (notes[MADE_FROM].decode(), int(notes[MADE]))
    return found


def accounted(out: str, video_id: str) -> int:
    """Turns that were kept and turns that were dropped, by the files' own counts; a file that is missing adds none."""
    fs, root = filesystem(out)
    paths = [kept_path(root, video_id), dropped_path(root, video_id)]
    there = [i.path for i in fs.get_file_info(paths) if i.type == pafs.FileType.File]
    return sum(int(pq.read_metadata(path, filesystem=fs).num_rows) for path in there)


def remove(out: str, name: str) -> None:
    """Take back what was committed for a row that is no longer the video's newest, the turns first."""
    fs, root = filesystem(out)
    for folder in (FOLDER, f"{FOLDER}/{DROPPED}"):
        path = f"{root.rstrip('/')}/{folder}/{name}"
        if fs.get_file_info(path).type != pafs.FileType.NotFound:
            fs.delete_file(path)


def _parquet(rows: Sequence[Any], kind: type, notes: dict[bytes, bytes]) -> bytes:
    schema = arrow_schema(kind)
    schema = schema.with_metadata({**(schema.metadata or {}), **notes})
    sink = pa.BufferOutputStream()
    pq.write_table(arrow_table(rows, kind, schema), sink, compression="zstd")
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]
