"""Every sample as tokens, on disk: a memory-mapped Arrow file for each source, kind and task; any row in constant time.

Written once, when a run begins; a run that goes on reads what it began with, whatever became of the sources since.
"""

import dataclasses
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.arrow import arrow_schema
from pipelines.errors import UsageError
from pipelines.store import Store
from train.chat import Document
from train.samples import Found, LeftOut

BATCH_ROWS = 256
DONE = "index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One file: the samples of one source that have one kind of media and one task."""

    source: str
    kind: str
    task: str
    samples: int
    tokens: int
    targets: int

    @property
    def name(self) -> str:
        """What tells it from the others."""
        return f"{self.source}.{self.kind}.{self.task}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """`index.json`: what the index holds and what was left out, by source and reason."""

    streams: tuple[Stream, ...]
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """For people."""
        said = [f"{s.source}: {s.samples} {s.kind} samples ({s.task}), {s.tokens} tokens, {s.targets} learned"
                for s in self.streams]  # fmt: skip
        for source, reasons in self.left_out.items():
            said.append(f"{source}: left out " + ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items())))
        return said


def build(store: Store, found: Iterable[tuple[str, Found]], encode: Callable[[Any], Document | LeftOut]) -> Contents:
    """Write the index of all sources into `store/index`, whole or not at all; one that is there is taken as it is.

    Raises:
        UsageError: there is nothing to learn from.
    """
    if store.exists("index", DONE):
        return msgspec.json.decode(store.read("index", DONE), type=Contents)
    with tempfile.TemporaryDirectory() as folder:
        writer = _Writer(Path(folder))
        for source, samples in found:
            for sample in samples:
                writer.add(source, sample if isinstance(sample, LeftOut) else encode(sample))
        contents = writer.finish()
        if not contents.streams:
            raise UsageError("There is nothing to learn from: " + ("; ".join(contents.lines()) or "no samples at all") + ".")
        store.fs.create_dir(store.path("index"), recursive=True)
        for path in sorted(Path(folder).iterdir()):
            with path.open("rb") as source_file, store.fs.open_output_stream(store.path("index", path.name)) as target:
                shutil.copyfileobj(source_file, target)
    store.write(msgspec.json.encode(contents), "index", DONE)
    return contents


class _Writer:
    """Arrow files of equal batches, and the list of what is left out."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._schema = folder, arrow_schema(Document)
        self._files: dict[tuple[str, str, str], pa.RecordBatchFileWriter] = {}
        self._rows: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        self._sums: dict[tuple[str, str, str], Counter[str]] = {}
        self._left_out: dict[str, Counter[str]] = {}
        self._listed: list[dict[str, Any]] = []
        schema = arrow_schema(LeftOut).append(pa.field("source", pa.string()))
        self._list = pq.ParquetWriter(folder / "left_out.parquet", schema)

    def add(self, source: str, document: Document | LeftOut) -> None:
        """One more sample."""
        if isinstance(document, LeftOut):
            self._left_out.setdefault(source, Counter())[document.reason] += 1
            self._listed.append({**dataclasses.asdict(document), "source": source})
            if len(self._listed) == BATCH_ROWS:
                self._flush_list()
            return
        key = (source, document.kind, document.task)
        rows = self._rows.setdefault(key, [])
        rows.append(msgspec.to_builtins(document))
        self._sums.setdefault(key, Counter()).update(samples=1, tokens=document.length, targets=document.targets)
        if len(rows) == BATCH_ROWS:
            self._flush(key)

    def finish(self) -> Contents:
        """Close all files."""
        for key in list(self._rows):
            self._flush(key)
        for file in self._files.values():
            file.close()
        self._flush_list()
        self._list.close()
        streams = tuple(Stream(source=s, kind=k, task=t, **self._sums[s, k, t]) for s, k, t in sorted(self._sums))
        return Contents(streams=streams, left_out={s: dict(c) for s, c in self._left_out.items()})

    def _flush_list(self) -> None:
        self._list.write_table(pa.Table.from_pylist(self._listed, self._list.schema))
        self._listed = []

    def _flush(self, key: tuple[str, str, str]) -> None:
        if not self._rows[key]:
            return
        if key not in self._files:
            self._files[key] = pa.ipc.new_file(self._folder / f"{'.'.join(key)}.arrow", self._schema)
        self._files[key].write_batch(pa.RecordBatch.from_pylist(self._rows[key], self._schema))
        self._rows[key] = []


class Reader:
    """Rows of some of the index's streams, memory-mapped: nothing is held but what is being read."""

    def __init__(self, folder: Path, streams: Sequence[Stream]) -> None:
        self._files = [pa.ipc.open_file(pa.memory_map(str(folder / f"{s.name}.arrow"))) for s in streams]

    def length(self, stream: int, row: int) -> int:
        """Tokens of a document."""
        return int(self._batch(stream, row).column("length")[row % BATCH_ROWS].as_py())

    def targets(self, stream: int, row: int) -> int:
        """Learned tokens of a document."""
        return int(self._batch(stream, row).column("targets")[row % BATCH_ROWS].as_py())

    def document(self, stream: int, row: int) -> Document:
        """A whole document."""
        found = self._batch(stream, row).slice(row % BATCH_ROWS, 1).to_pylist()[0]
        return msgspec.convert(found, Document)

    def _batch(self, stream: int, row: int) -> pa.RecordBatch:
        return self._files[stream].get_batch(row // BATCH_ROWS)


def local_folder(out: str) -> Path:
    """The index on this machine: where it was written, or a copy of it."""
    return Store(out).local_copy("index")
