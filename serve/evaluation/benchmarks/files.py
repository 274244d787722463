"""Reading benchmarks' files: JSON, JSONL, CSV, Parquet (with pictures inside), and pickles without running them."""

import csv
import functools
import hashlib
import json
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import UsageError
from serve.evaluation.answer import Fault, Reason
from serve.evaluation.question import Media, Medium

Row = dict[str, Any]
PICTURES = ("", "images", "imgs", "image", "Images")


def find(data: Path, names: Sequence[str]) -> list[Path]:
    """`data` itself if it is a file, else the files of the first pattern of `names` that matches in the folder, sorted.

    Raises:
        UsageError: there is none.
    """
    if data.is_file():
        return [data]
    if not data.is_dir():
        raise UsageError(f"There is no {data}.")
    for name in names:
        found = sorted(p for p in data.glob(name) if p.is_file())
        if found:
            return found
    raise UsageError(f"{data} holds none of {', '.join(names)}; give the file itself.")


def rows(path: Path, *, without: Sequence[str] = ()) -> list[Row]:
    """Every row of the file; of Parquet without the columns that hold pictures.

    Raises:
        UsageError: the file cannot be read, or is no table.
    """
    try:
        found = _READERS.get(path.suffix.lower(), _unknown)(path, without)
    except (OSError, ValueError, pa.ArrowException, pickle.UnpicklingError, EOFError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read: {str(error).splitlines()[0] if str(error) else error!r}.") from error
    if not isinstance(found, list) or not all(isinstance(r, dict) for r in found):
        raise UsageError(f"{path} is no list of rows.")
    return found


def need(row: Row, key: str, path: Path, number: int) -> str:
    """The row's value as text.

    Raises:
        UsageError: it is missing or empty; a question without an answer is no question.
    """
    value = row.get(key)
    text = "" if value is None else str(value).strip()
    if not text:
        raise UsageError(f"Row {number + 1} of {path} has no '{key}'.")
    return text


def identity(path: Path, row: Row, number: int, *keys: str) -> str:
    """The row's own id under the first of `keys` that it has, else the file's name and its number there; 0 is an id too."""
    given = (str(row[k]).strip() for k in keys if row.get(k) is not None)
    return next((g for g in given if g), f"{path.stem}:{number}")


def beside(path: Path, name: str, folders: Sequence[str]) -> Path | None:
    """The file called `name` in one of `folders` beside `path` or beside its parents.

    A name that leaves the folder by "..", or that is absolute, is no file; links that lie in the folder are the user's own.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return None
    for base in (path.parent, path.parent.parent, path.parent.parent.parent):
        for folder in folders:
            found = base / folder / name
            if found.is_file():
                return found.absolute()
    return None


def parquet_pictures(path: Path, column: str = "image", wanted: Sequence[int] | None = None) -> dict[int, Media]:
    """The pictures of the `wanted` rows (all by default), known by the hash of their bytes, and read again when shown."""
    found, number, rows_wanted = {}, 0, frozenset(wanted or ())
    for group in range(pq.read_metadata(path).num_row_groups):
        for place, data in enumerate(_column(str(path), group, column)):
            if wanted is None or number in rows_wanted:
                if data is None:
                    raise UsageError(f"Row {number + 1} of {path} has no picture.")
                read = functools.partial(_cell, str(path), group, column, place)
                found[number] = Media(media_id=hashlib.sha256(data).hexdigest(), medium=Medium.IMAGE, read=read)
            number += 1
    return found


@functools.lru_cache(maxsize=4)
def _column(path: str, group: int, column: str) -> list[bytes | None]:
    """One row group's pictures; four groups are kept, because questions come in order."""
    values = pq.ParquetFile(path).read_row_group(group, columns=[column]).column(column).to_pylist()
    return [v.get("bytes") if isinstance(v, dict) else v for v in values]


def _cell(path: str, group: int, column: str, place: int) -> bytes:
    try:
        data = _column(path, group, column)[place]
    except (OSError, pa.ArrowException, IndexError) as error:
        raise Fault(Reason.MEDIA_UNREADABLE, f"{path}: {error}") from error
    if data is None:
        raise Fault(Reason.MEDIA_MISSING, f"{path} holds no picture there")
    return data


def json_of(path: Path, _: Sequence[str] = ()) -> Any:
    """What a JSON file says."""
    return json.loads(path.read_text(encoding="utf-8-sig"))


def _jsonl(path: Path, _: Sequence[str]) -> list[Any]:
    with path.open(encoding="utf-8-sig") as file:  # `splitlines` also parts at signs that JSON lets stand in a text
        return [json.loads(line) for line in file if line.strip()]


def _csv(path: Path, _: Sequence[str]) -> list[Any]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def _parquet(path: Path, without: Sequence[str]) -> list[Any]:
    names = [n for n in pq.read_schema(path).names if n not in without]
    found: list[Any] = pq.read_table(path, columns=names).to_pylist()
    return found


class _PlainUnpickler(pickle.Unpickler):
    """Lists, dicts, texts and numbers; anything that would call or import something stops it."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it wants to make a {module}.{name}")


def _pickle(path: Path, _: Sequence[str]) -> Any:
    with path.open("rb") as file:
        return _PlainUnpickler(file).load()


def _unknown(path: Path, _: Sequence[str]) -> Any:
    raise ValueError(f"it is none of {', '.join(_READERS)}")


_READERS = {
    ".json": json_of, ".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet, ".pkl": _pickle, ".pickle": _pickle,
}  # fmt: skip


def numbered(paths: Sequence[Path], *, without: Sequence[str] = ()) -> Iterator[tuple[Path, int, Row]]:
    """Every row of every file with its number in the file."""
    for path in paths:
        for number, row in enumerate(rows(path, without=without)):
            yield path, number, row
