"""Cut clips from the user's own raw videos with the published intervals.

One job per distinct clip, not per row; a clip is there whole or not at all; what is there stays, unless it was cut from
another interval. Every clip of the file has a row in `OUT/slices.parquet`: ok, or failed with the reason.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import pyarrow.parquet as pq

from pipelines.arrow import arrow_table
from pipelines.errors import UsageError
from serve.evaluation.benchmarks.files import Row, find, need, numbered
from serve.evaluation.cutter import TOLERANCE_S, Cut, CutFault, cut, duration_s, origin, recorded_origin
from serve.evaluation.folder import locked

VIDEO_ENDINGS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".flv", ".ts", ".mpg", ".mpeg")


class SliceReason(StrEnum):
    """Why there is no clip."""

    SOURCE_MISSING = "source_missing"
    SOURCE_AMBIGUOUS = "source_ambiguous"
    PAST_THE_END = "past_the_end"
    UNREADABLE = "unreadable"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One distinct clip that rows ask for."""

    name: str
    """Its file's name in the output folder."""
    video_id: str
    start_s: float
    end_s: float
    rows: int
    """How many rows are about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One row of `slices.parquet`."""

    name: str
    video_id: str
    start_s: float
    end_s: float
    rows: int
    source: str | None
    status: str
    """`ok` or `failed`."""
    reason: SliceReason | None = None
    detail: str | None = None
    duration_s: float | None = None
    size_bytes: int | None = None
    is_new: bool = False
    """Cut by the last run; otherwise it was there."""


def clips(data: Path) -> list[Clip]:
    """The distinct clips of a benchmark's file: `video_id`, `timestamp` [start, end] or `start_s` and `end_s`, and the
    clip's file name `video` where the benchmark gives one.

    Raises:
        UsageError: a row has no interval, or one name stands for two intervals.
    """
    found: dict[str, Clip] = {}
    count: Counter[str] = Counter()
    for path, number, row in numbered(
        find(data, ("surgeryvideoqa*.jsonl", "*.jsonl", "data/*.parquet", "*.parquet", "*.csv", "*.json"))
    ):
        clip = _clip(row, path, number)
        known = found.setdefault(clip.name, clip)
        if known != clip:
            raise UsageError(f"Row {number + 1} of {path}: '{clip.name}' is another interval than in an earlier row.")
        count[clip.name] += 1
    if not found:
        raise UsageError(f"{data} has no rows.")
    return [dataclasses.replace(clip, rows=count[clip.name]) for clip in found.values()]


def _clip(row: Row, path: Path, number: int) -> Clip:
    video_id = need(row, "video_id", path, number)
    start_s, end_s = _interval(row, path, number)
    name = str(row.get("video") or f"{video_id}_{round(start_s * 1000):09d}-{round(end_s * 1000):09d}.mp4").strip()
    for word in (name, video_id):
        if PurePosixPath(word).name != word or "\\" in word or word in (".", ".."):
            raise UsageError(f"Row {number + 1} of {path}: '{word}' is no plain file name.")
    if not name.lower().endswith(".mp4"):
        name += ".mp4"
    return Clip(name=name, video_id=video_id, start_s=start_s, end_s=end_s, rows=0)


def _interval(row: Row, path: Path, number: int) -> tuple[float, float]:
    given: Any = row.get("timestamp")
    try:
        if isinstance(given, str):
            given = json.loads(given)
        start_s, end_s = (float(row[k]) for k in ("start_s", "end_s")) if given is None else map(float, given)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"Row {number + 1} of {path} has neither 'timestamp' [start, end] nor 'start_s' and 'end_s'."
        ) from error
    if not 0 <= start_s < end_s < 1e7:
        raise UsageError(f"Row {number + 1} of {path}: from {start_s:g} to {end_s:g} s is no interval.")
    return start_s, end_s


def sources(folder: Path) -> dict[str, list[Path]]:
    """The raw videos by the name without ending, as deep as they lie.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in VIDEO_ENDINGS and path.is_file():
            found.setdefault(path.stem, []).append(path)
    return found


def slice_all(
    data: Path,
    videos: Path,
    out: Path,
    how: Cut,
    *,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Slice]:
    """Cut what is not there yet; returns a row for every clip, in the file's order.

    Raises:
        UsageError: the file or a folder is wrong, or the clips that are there were cut in another way.
    """
    wanted, raw = clips(data), sources(videos)
    with locked(out):
        _same_way(out, how)
        for left in out.glob(".*.part.mp4"):  # of a run that was killed
            left.unlink(missing_ok=True)
        done = 0
        rows: list[Slice] = []
        with ThreadPoolExecutor(workers) as pool:  # each waits for one ffmpeg
            for row in pool.map(lambda clip: _slice(clip, raw, out, how), wanted):
                rows.append(row)
                done += 1
                progress(done, len(wanted))
        _write(rows, out)
    return rows


def _same_way(out: Path, how: Cut) -> None:
    said, path = msgspec.json.encode(how), out / "cut.json"
    if path.exists() and path.read_bytes() != said:
        raise UsageError(f"The clips in {out} were cut otherwise ({path.read_text()}); choose another --out.")
    path.write_bytes(said)


def _slice(clip: Clip, raw: dict[str, list[Path]], out: Path, how: Cut) -> Slice:
    found, target = raw.get(clip.video_id, []), out / clip.name
    source = found[0] if found else None
    base = {"name": clip.name, "video_id": clip.video_id, "start_s": clip.start_s, "end_s": clip.end_s, "rows": clip.rows}
    try:
        is_new = not _is_there(target, clip)
        if is_new:
            if source is None:
                raise CutFault(SliceReason.SOURCE_MISSING, f"no {clip.video_id} among the raw videos")
            if len(found) > 1:
                raise CutFault(SliceReason.SOURCE_AMBIGUOUS, ", ".join(str(p) for p in found[:3]))
            cut(source, clip.start_s, clip.end_s, target, how)
        length_s = duration_s(target)
    except CutFault as fault:
        reason, detail = SliceReason(fault.reason), fault.detail
        return Slice(**base, source=_text(source), status="failed", reason=reason, detail=detail)  # type: ignore[arg-type]
    size = target.stat().st_size
    return Slice(
        **base, source=_text(source), status="ok", duration_s=length_s, size_bytes=size, is_new=is_new  # type: ignore[arg-type]
    )  # fmt: skip


def _is_there(target: Path, clip: Clip) -> bool:
    """Whether the clip is there; a file of that name that is broken, too short or of another interval is cut again.

    What says it is of another interval is removed: it must not pass for this one where this one cannot be cut.
    """
    if not target.exists():
        return False
    try:
        recorded, over_s = recorded_origin(target), duration_s(target) - (clip.end_s - clip.start_s)
    except CutFault:
        return False
    if recorded is None:  # cut before clips said so, or by other means: its length must do
        return abs(over_s) <= TOLERANCE_S
    if recorded != origin(clip.video_id, clip.start_s, clip.end_s):
        target.unlink()
        return False
    return over_s >= -TOLERANCE_S


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _write(rows: Sequence[Slice], out: Path) -> None:
    temporary = out / ".slices.parquet.tmp"
    pq.write_table(arrow_table(rows, Slice), temporary)
    temporary.replace(out / "slices.parquet")
