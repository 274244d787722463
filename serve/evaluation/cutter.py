"""One clip out of one video by ffmpeg: frame-exact, muted, written under another name and renamed when it is whole."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import RowError, UsageError
from pipelines.media import FORMATS, open_media

TOLERANCE_S = 1.0
"""A clip may be so much shorter than its interval: published intervals are whole seconds, the last frame lies before."""
_OURS = "preceptor slice "
"""Files from elsewhere may hold any comment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How clips are encoded. Clips that lie in one folder were cut in one way."""

    frame_rate: float = 0.0
    """Frames a second; 0: the source's."""
    max_edge_px: int = 0
    """Longer edge; 0: the source's."""
    quality: int = 18
    """x264's constant rate factor."""

    def __post_init__(self) -> None:
        if self.frame_rate < 0 or self.max_edge_px < 0 or not 0 <= self.quality <= 51:
            raise UsageError("--fps and --max-edge must not be negative, --quality lies between 0 and 51.")


class CutFault(Exception):
    """There is no clip, and why."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def cut(source: Path, start_s: float, end_s: float, target: Path, how: Cut) -> None:
    """Write the interval to `target`, whole or not at all; the file says itself what it was cut from (`origin`).

    Raises:
        CutFault: the source cannot be read, ends before the interval does, or takes too long.
    """
    import ffmpeg
    import imageio_ffmpeg

    there_s = duration_s(source)
    if end_s > there_s + TOLERANCE_S:
        raise CutFault("past_the_end", f"the interval ends at {end_s:g} s, the video at {there_s:.1f} s")
    part = target.with_name(f".{target.stem}.{os.getpid()}.part.mp4")
    # ffmpeg opens only formats that follow no reference to another file
    film = ffmpeg.input(
        f"file:{source.resolve()}", ss=start_s, t=end_s - start_s, protocol_whitelist="file", format_whitelist=FORMATS
    ).video
    if how.frame_rate:
        film = film.filter("fps", how.frame_rate)
    edge = how.max_edge_px
    if edge:
        film = film.filter("scale", f"if(gte(iw,ih),min({edge},iw),-2)", f"if(gte(iw,ih),-2,min({edge},ih))")
    film = film.filter("scale", "trunc(iw/2)*2", "trunc(ih/2)*2")  # yuv420p wants even sides
    output = ffmpeg.output(
        film, f"file:{part.resolve()}", vcodec="libx264", crf=how.quality, pix_fmt="yuv420p", preset="veryfast",
        movflags="+faststart", f="mp4", threads=1, map_metadata=-1,
        metadata=f"comment={origin(source.stem, start_s, end_s)}",
    )  # fmt: skip
    command = ffmpeg.compile(output.overwrite_output(), cmd=[imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error"])
    try:
        _run(command, deadline_s=60 + 20 * (end_s - start_s) + 0.2 * start_s)
        length_s = duration_s(part)
        if length_s < end_s - start_s - TOLERANCE_S:
            raise CutFault("past_the_end", f"only {length_s:.1f} of {end_s - start_s:g} s could be cut")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def origin(video_id: str, start_s: float, end_s: float) -> str:
    """The record of a clip, in its own file's metadata: so it is there as soon as the clip is, and goes where it goes."""
    return _OURS + json.dumps({"video_id": video_id, "start_s": start_s, "end_s": end_s})


def recorded_origin(path: Path) -> str | None:
    """What the clip says it was cut from; None where it has no such record.

    Raises:
        CutFault: it cannot be opened.
    """
    with _opened(path) as container:
        comment = str(container.metadata.get("comment", ""))
        return comment if comment.startswith(_OURS) else None


def _run(command: list[str], deadline_s: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=deadline_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise CutFault("deadline", f"ffmpeg took more than {deadline_s:.0f} s") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise CutFault("unreadable", (said[-1] if said else f"ffmpeg ended with {done.returncode}")[:200])


def duration_s(path: Path) -> float:
    """How long the video is, seconds.

    Raises:
        CutFault: it cannot be opened, or holds no video.
    """
    with _opened(path) as container:
        return _length(container, path)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with open_media(str(path)) as container:
            yield container
    except RowError as error:
        raise CutFault("unreadable", f"{path.name}: {error.detail}") from error


def _length(container: Any, path: Path) -> float:
    import av

    if not container.streams.video:
        raise CutFault("unreadable", f"{path.name} holds no video")
    stream = container.streams.video[0]
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return float(container.duration / av.time_base)
    raise CutFault("unreadable", f"{path.name} does not say how long it is")
