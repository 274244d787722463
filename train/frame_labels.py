"""Labelled pictures for a frame classifier: from folders or a CSV, grouped by source, split with every group in one part."""

import csv
import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from actors.domain_labels import columns_of
from pipelines.arrow import arrow_table
from pipelines.errors import UsageError
from pipelines.store import Store
from train.frame_data import (
    SUFFIXES,
    difference_hash,
    is_hidden,
    is_picture,
    pixel_sha256,
    read_picture,
    same_picture,
)

LEARNED, HELD_OUT = "learned", "held out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One picture and what it is said to show."""

    path: str
    label: str
    group: str
    """Pictures of one source (a video, a patient, a slide), or that look alike: all in one part."""
    part: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """`index/index.json`: the classes in their order, and what was left out, by reason."""

    labels: tuple[str, ...]
    pictures: int
    held_out: int
    left_out: dict[str, int] = field(default_factory=dict)
    contradictions: int = 0
    """Pictures that look the same as one with another label: one of the two is wrong."""

    def lines(self) -> list[str]:
        """For people."""
        said = [f"{self.pictures} pictures of {len(self.labels)} classes, {self.held_out} of them held out"]
        if self.left_out:
            said.append("left out: " + ", ".join(f"{n} {reason}" for reason, n in sorted(self.left_out.items())))
        if self.contradictions:
            said.append(f"{self.contradictions} pictures look the same as one with another label")
        return said


def read(sources: Sequence[Path]) -> tuple[list[Labelled], dict[str, int]]:
    """All labelled pictures of folders and CSV files, and how many rows have none, by reason.

    Raises:
        UsageError: a source is neither, or labels one picture twice.
    """
    found: list[Labelled] = []
    left_out: Counter[str] = Counter()
    for source in sources:
        rows = csv_labels(source) if source.suffix.lower() == ".csv" else folder_labels(source)
        found += [row for row in rows if row.label]
        left_out.update("without a label" for row in rows if not row.label)
    path, times = Counter(row.path for row in found).most_common(1)[0] if found else ("", 1)
    if times > 1:
        raise UsageError(f"{path} is labelled {times} times.")
    return found, dict(left_out)


def folder_labels(folder: Path) -> list[Labelled]:
    """`folder/<label>/<picture>`, and `folder/<label>/<group>/<picture>` for pictures of one source.

    Raises:
        UsageError: there are no such pictures, or none in one of the folders.
    """
    rows = []
    for file in sorted(f for f in folder.glob("*/**/*") if is_picture(f, folder)):
        within = file.relative_to(folder)
        label, *between, _ = within.parts
        rows.append(Labelled(path=str(file.resolve()), label=label, group="/".join(between) or within.as_posix()))
    if not rows:
        raise UsageError(f"{folder} must hold folders of pictures, one for each class.")
    named = {f.name for f in folder.iterdir() if f.is_dir() and not is_hidden(f.name)}
    if bare := sorted(named - {row.label for row in rows}):
        raise UsageError(f"{folder / bare[0]} holds no picture ({', '.join(SUFFIXES)}).")
    return rows


def csv_labels(file: Path) -> list[Labelled]:
    """Columns `path`, `label` and perhaps `group`; a relative path begins at the file's folder. A label may be empty.

    Raises:
        UsageError: the file or a column is missing.
    """
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if not {"path", "label"} <= set(reader.fieldnames or ()):
            raise UsageError(f"{file} needs the columns path and label, and may have group.")
        rows = []
        for row in reader:
            if not (row["path"] or "").strip():
                raise UsageError(f"Line {reader.line_num} of {file} names no picture.")
            path = str((file.parent / row["path"]).resolve())
            group = (row.get("group") or "").strip() or row["path"]
            rows.append(Labelled(path=path, label=(row["label"] or "").strip(), group=group))
    return rows


def digest(found: Sequence[Labelled]) -> str:
    """SHA-256 (hex) over all labels: a corrected one makes another run."""
    return hashlib.sha256(msgspec.json.encode(sorted((r.path, r.label, r.group) for r in found))).hexdigest()


def build(store: Store, found: Sequence[Labelled], left_out: dict[str, int], share: float) -> Contents:
    """Read every picture once, group and split them, and write `index/pictures.parquet`; one that is there is taken.

    Raises:
        UsageError: the labels name no domains, or a class has too few independent pictures.
    """
    if store.exists("index", "index.json"):
        return msgspec.json.decode(store.read("index", "index.json"), type=Contents)
    if len(set(columns_of(sorted({row.label for row in found})))) < 2:  # or `curate` could not use what is trained
        raise UsageError("There is one class only: nothing is to be told apart.")
    with ThreadPoolExecutor(4) as pool:
        known = list(pool.map(_known_by, (row.path for row in found)))
    readable = [row for row, k in zip(found, known, strict=True) if k is not None]
    if not readable:
        raise UsageError("There are no labelled pictures that can be read.")
    hashes, pixels = zip(*filter(None, known), strict=True)
    kinds, contradicted = alike(np.stack(hashes), pixels, np.array([r.label for r in readable]))
    rows = split(grouped(readable, kinds), share)
    lost = {"unreadable": len(found) - len(readable)} if len(readable) < len(found) else {}
    contents = Contents(
        labels=tuple(sorted({row.label for row in rows})), pictures=len(rows),
        held_out=sum(row.part == HELD_OUT for row in rows), left_out={**left_out, **lost},
        contradictions=int(contradicted.sum()),
    )  # fmt: skip
    sink = pa.BufferOutputStream()
    pq.write_table(arrow_table(rows, Labelled), sink)
    store.write(sink.getvalue().to_pybytes(), "index", "pictures.parquet")
    store.write(msgspec.json.encode(contents), "index", "index.json")
    return contents


def load(out: str) -> list[Labelled]:
    """The index's rows."""
    store = Store(out)
    table = pq.read_table(store.path("index", "pictures.parquet"), filesystem=store.fs)
    return [Labelled(**row) for row in table.to_pylist()]


def streams(rows: Iterable[Labelled], labels: Sequence[str]) -> list[list[Labelled]]:
    """What is learned from, by class in the order of `labels`."""
    by_label = defaultdict(list)
    for row in rows:
        if row.part == LEARNED:
            by_label[row.label].append(row)
    return [by_label[label] for label in labels]


def _known_by(path: str) -> tuple[np.ndarray, str] | None:
    """The picture's difference hash and its pixels' SHA-256; None where it cannot be read."""
    try:
        rgb = read_picture(Path(path))
    except UsageError:
        return None
    return difference_hash(rgb), pixel_sha256(rgb)


def alike(hashes: np.ndarray, pixels: Sequence[str], labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of `hashes` (N, 256) bool, the number of its kind (N,), and whether the kind's labels differ (N,) bool.

    Pictures that are one up to scale, compression and margins are of a kind, also by way of others. A picture with little
    structure (a blank screen) has too few bits to tell it by, and is of a kind only with one of the same `pixels`.
    """
    words, bits = np.packbits(hashes, axis=1).view(np.uint64), hashes.sum(axis=1)
    first = dict[str, int]()
    kinds = np.array([first.setdefault(sha256, i) for i, sha256 in enumerate(pixels)])
    for i in range(len(words)):
        near = same_picture(np.bitwise_count(words[:i] ^ words[i]).sum(axis=1, dtype=int), int(bits[i]), bits[:i])
        if near.any():
            joined = np.unique([*kinds[:i][near], kinds[i]])
            kinds[np.isin(kinds, joined)] = joined[0]
    differing = [kind for kind in np.unique(kinds) if len(np.unique(labels[kinds == kind])) > 1]
    return kinds, np.isin(kinds, differing)


def grouped(rows: Sequence[Labelled], kinds: np.ndarray) -> list[Labelled]:
    """The rows with groups joined wherever two of their pictures are of a kind; a group keeps its first name."""
    first = {row.group: row.group for row in rows}

    def root(name: str) -> str:
        while first[name] != name:
            name = first[name]
        return name

    seen: dict[int, str] = {}
    for row, kind in zip(rows, kinds.tolist(), strict=True):
        a, b = sorted((root(seen.setdefault(kind, row.group)), root(row.group)))
        first[b] = a
    return [dataclasses.replace(row, group=root(row.group)) for row in rows]


def split(rows: Sequence[Labelled], share: float) -> list[Labelled]:
    """The rows with their part: of each class's groups, about `share` is held out, at least one, and never all.

    Which ones depends on the groups' names alone. The rarest class chooses first: a group may hold pictures of several.

    Raises:
        UsageError: a class has no two groups, or the groups of several classes leave one of them without a part.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        groups[row.label].add(row.group)
    part: dict[str, str] = {}
    for label in sorted(groups, key=lambda name: (len(groups[name]), name)):
        if len(groups[label]) < 2:
            raise UsageError(f"The class {label} has no two independent pictures (groups): one part would lack it.")
        wanted = min(len(groups[label]) - 1, max(1, round(share * len(groups[label]))))
        held_out = sum(part.get(name) == HELD_OUT for name in groups[label])
        for name in sorted(groups[label], key=lambda n: hashlib.sha256(f"held-out:{n}".encode()).digest()):
            if name not in part:
                part[name] = HELD_OUT if held_out < wanted else LEARNED
                held_out += part[name] == HELD_OUT
    for label, names in groups.items():
        if len({part[name] for name in names}) < 2:
            raise UsageError(f"The class {label} shares its groups with others so that one part lacks it: add sources.")
    return [dataclasses.replace(row, part=part[row.group]) for row in rows]
