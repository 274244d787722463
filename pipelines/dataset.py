"""Reading a dataset: its rows (the highest attempt of each video), its pictures, its counts and its digest.

Nothing here holds more than a few videos at a time; what grows with the dataset is one short entry a video at most.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from pipelines.arrow import one_row
from pipelines.digest import Digest
from pipelines.errors import UsageError
from pipelines.image_file import image_path
from pipelines.schema import Image, Reason, Status, Video
from pipelines.store import Store

SCREEN_STAGES = frozenset({"screen", "classify"})
"""A row that ended at one of these was not accepted for the full pass."""

_VIDEO_COLUMNS = tuple(f.name for f in dataclasses.fields(Video))
_BATCH_ROWS = 16
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One row of the manifest: a video that was asked for, once per attempt."""

    row_id: str
    video_id: str
    attempt: int
    uri: str
    extra: str = "{}"
    content_id: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`config.json`: what made the rows."""

    fingerprint: str
    settings: dict[str, str] = field(default_factory=dict)
    """Everything that changes rows, flat."""
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def recipe(self) -> str:
        """The recipe's name."""
        return str(self.config.get("recipe", "unknown"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How many videos ended in one way. `unmeasured` of them have no known duration and add nothing to `hours`."""

    status: Status
    stage: str | None
    reason: Reason | None
    videos: int
    hours: float
    unmeasured: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """What became of the inputs. `inputs` counts the manifest's videos, whether they have a row or not."""

    inputs: int
    outcomes: tuple[Outcome, ...]

    def videos(self, status: Status) -> int:
        """Rows of that status."""
        return sum(o.videos for o in self.outcomes if o.status is status)

    @property
    def committed(self) -> int:
        """Rows of any status."""
        return sum(o.videos for o in self.outcomes)

    @property
    def steps(self) -> tuple[tuple[str, int, float], ...]:
        """Name, videos and known hours of each step: inputs, screened, accepted, ok.

        Screened are those the screen came to a decision on; accepted those that it let through to the full pass.
        """
        screened = [o for o in self.outcomes if not (o.status is Status.FAILED and o.stage in SCREEN_STAGES)]
        accepted = [o for o in screened if o.stage not in SCREEN_STAGES]
        ok = [o for o in accepted if o.status is Status.OK]
        first = ("inputs", self.inputs, sum(o.hours for o in self.outcomes))
        named = (("screened", screened), ("accepted", accepted), ("ok", ok))
        return (first, *((name, sum(o.videos for o in g), sum(o.hours for o in g)) for name, g in named))


def manifest(out: str) -> Iterator[Request]:
    """Every (video, attempt) that was ever asked for.

    Raises:
        UsageError: there is no dataset at `out`.
    """
    store = Store(out)
    if not store.exists("manifest.parquet"):
        raise UsageError(f"{out} is not a dataset: it has no manifest.parquet.")
    for batch in _batches(store.fs, store.path("manifest.parquet"), None):
        yield from _rows(batch, Request, "manifest.parquet")


def settings(out: str) -> Settings:
    """The configuration saved beside the rows."""
    store = Store(out)
    if not store.exists("config.json"):
        raise UsageError(f"{out} is not a dataset: it has no config.json.")
    try:
        return msgspec.json.decode(store.read("config.json"), type=Settings)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{out}/config.json cannot be read: {error}") from error


def video_files(out: str) -> list[str]:
    """Paths of the Parquet files with the rows, sorted."""
    return _listed(Store(out), "videos")


def image_files(out: str) -> dict[str, str]:
    """Paths of the files with pictures, by video id."""
    names = {path: path.rsplit("/", 1)[-1].removesuffix(".parquet") for path in _listed(Store(out), "images")}
    return {unquote(name): path for path, name in names.items()}


def read_videos(out: str, path: str, columns: Collection[str] = _VIDEO_COLUMNS) -> Iterator[Video]:
    """Every row of one file; columns not asked for keep their defaults.

    Raises:
        UsageError: the file, or a row in it, cannot be read.
    """
    for batch in _batches(Store(out).fs, path, _wanted(columns)):
        yield from _rows(batch, Video, path)


def rows(out: str, columns: Collection[str] = _VIDEO_COLUMNS) -> Iterator[Video]:
    """Each video's row of the highest attempt, file by file; columns not asked for keep their defaults."""
    newest = _repeated_attempts(out)
    for path in video_files(out):
        for video in read_videos(out, path, columns):
            if video.attempt >= newest.get(video.video_id, 0):
                yield video


def rows_in_order(out: str, status: Status, columns: Collection[str] = _VIDEO_COLUMNS) -> Iterator[Video]:
    """The rows of that status by video id, whatever order they were committed in; holds one row group at a time.

    Raises:
        UsageError: a video has two rows of one attempt.
    """
    store, newest = Store(out), _repeated_attempts(out)
    places: list[tuple[str, str, int]] = []
    for path in video_files(out):
        for position, video in enumerate(read_videos(out, path, ("status",))):
            if video.status is status and video.attempt >= newest.get(video.video_id, 0):
                places.append((video.video_id, path, position))
    places.sort()
    for (first, *_), (second, *_) in itertools.pairwise(places):
        if first == second:
            raise UsageError(f"The video '{first}' has two rows in {out}; `preceptor audit` says more.")
    opened, table, begins = "", pa.table({}), 0
    for _, path, position in places:
        if path != opened or not begins <= position < begins + table.num_rows:
            table, begins = _row_group(store, path, position, _wanted(columns))
            opened = path
        yield from _rows(table.slice(position - begins, 1), Video, path)


def images(out: str, video_id: str) -> dict[str, Image]:
    """The video's pictures by id; empty for a video that has no file of pictures."""
    return {i.image_id: i for i in each_image(out, video_id)}


def image_ids(out: str, video_id: str) -> frozenset[str]:
    """The ids alone, without reading the pictures."""
    return frozenset(each_image(out, video_id, ["image_id"]))


def funnel(out: str) -> Funnel:
    """Counts and hours by status, stage and reason."""
    inputs = len({r.video_id for r in manifest(out)})
    videos: Counter[tuple[Status, str | None, Reason | None]] = Counter()
    unmeasured, milliseconds = videos.copy(), videos.copy()
    for video in rows(out, ("status", "stage", "reason", "probe")):
        key = (video.status, video.stage, video.reason)
        videos[key] += 1
        unmeasured[key] += video.probe is None
        if video.probe is not None:  # integers add up to the same whatever the order of the files
            milliseconds[key] += round(video.probe.duration_s * 1000)
    order = list(Status)
    outcomes = []
    for key in sorted(videos, key=lambda k: (order.index(k[0]), -videos[k], k[1] or "", k[2] or "")):
        status, stage, reason = key
        hours, count = milliseconds[key] / 3_600_000, videos[key]
        outcomes.append(
            Outcome(status=status, stage=stage, reason=reason, videos=count, hours=hours, unmeasured=unmeasured[key])
        )
    return Funnel(inputs=inputs, outcomes=tuple(outcomes))


def digest(out: str) -> str:
    """The `Digest` of the whole dataset."""
    whole = Digest()
    for video in rows(out):
        whole.add(video, image_ids(out, video.video_id))
    return whole.hexdigest()


def _wanted(columns: Collection[str]) -> list[str]:
    return [c for c in _VIDEO_COLUMNS if c in columns or c in ("video_id", "uri", "attempt")]


def _listed(store: Store, folder: str) -> list[str]:
    infos = store.fs.get_file_info(pafs.FileSelector(store.path(folder), allow_not_found=True))
    return sorted(i.path for i in infos if i.type == pafs.FileType.File and i.path.endswith(".parquet"))


def _repeated_attempts(out: str) -> dict[str, int]:
    newest: dict[str, int] = {}
    if all(r.attempt == 1 for r in manifest(out)):  # the rule: saves opening every file
        return newest
    for path in video_files(out):
        for video in read_videos(out, path, ()):
            if video.attempt > 1:  # first attempts need no entry
                newest[video.video_id] = max(video.attempt, newest.get(video.video_id, 0))
    return newest


def _batches(fs: Any, path: str, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    try:
        with fs.open_input_file(path) as source:
            yield from pq.ParquetFile(source).iter_batches(batch_size=_BATCH_ROWS, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error


def _row_group(store: Store, path: str, position: int, columns: list[str]) -> tuple[pa.Table, int]:
    begins = 0
    with store.fs.open_input_file(path) as source:
        file = pq.ParquetFile(source)
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if position < begins + count:
                return file.read_row_group(group, columns=columns), begins
            begins += count
    raise UsageError(f"{path} changed while it was read.")


def _rows(table: pa.RecordBatch | pa.Table, into: type[_Row], path: str) -> Iterator[_Row]:
    try:
        for position in range(table.num_rows):
            yield one_row(table.slice(position, 1), into)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path} holds a row that is not of this version: {error}") from error


def each_image(out: str, video_id: str, columns: list[str] | None = None) -> Iterator[Any]:
    """The video's pictures, a few held at a time; with `columns` their ids."""
    store = Store(out)
    path = image_path(store.root, video_id)
    if store.fs.get_file_info(path).type == pafs.FileType.NotFound:
        return
    for batch in _batches(store.fs, path, columns):
        yield from batch["image_id"].to_pylist() if columns else _rows(batch, Image, path)
