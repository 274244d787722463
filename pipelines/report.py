"""One self-contained page that shows what a run did: counts, reasons, times, and clips with their traces.

Ids, addresses, transcripts and the decoder's words come from strangers: every one is escaped, and the page's own policy
forbids any request and any script but its own player, which it names by hash. Without scripts nothing is missing but motion.
"""

import base64
import dataclasses
import hashlib
import itertools
import json
import os
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import jinja2
import markupsafe

from pipelines import dataset
from pipelines.audit import text_quality
from pipelines.dataset import Funnel
from pipelines.errors import UsageError
from pipelines.gallery import Chosen, ShownClip, shown_clip
from pipelines.progress import span
from pipelines.schema import SCHEMA_VERSION, Clip, Image, Reason, Status, Trace, Video
from pipelines.store import Store
from pipelines.truth import Truth, read_truth

MAX_VIDEOS = 500
MAX_EXAMPLES = 3

_COLUMNS = ("uri", "status", "stage", "reason", "detail", "probe", "domain", "stable", "clips", "stage_times", "classifier",
            "transcriber")  # fmt: skip
_Item = TypeVar("_Item")


class _First(Generic[_Item]):
    """The first `limit` items by key of any number that come by."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held = limit, list[tuple[tuple[Any, ...], _Item]]()
        self.seen = 0

    def add(self, key: tuple[Any, ...], item: _Item) -> None:
        self.seen += 1
        self._held.append((key, item))
        if len(self._held) > 2 * self._limit + 16:
            self._shorten()

    def items(self) -> list[_Item]:
        self._shorten()
        return [item for _, item in self._held]

    def _shorten(self) -> None:
        self._held.sort(key=lambda held: held[0])
        del self._held[self._limit :]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonGroup:
    """All videos that ended for one reason at one stage, and a few of them."""

    status: Status
    stage: str
    reason: str
    videos: int
    share: float
    """Of all inputs."""
    examples: tuple[Video, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageShare:
    """The time of one stage over all rows, seconds of wall clock."""

    stage: str
    videos: int
    total_s: float
    median_s: float
    share: float


@dataclass(slots=True)
class _Gathered:
    """What one pass over the rows keeps: bounded, but for one number per row and stage."""

    max_clips: int
    videos: _First[tuple[Video, int]] = field(default_factory=lambda: _First(MAX_VIDEOS))
    examples: dict[tuple[str | None, Reason | None], _First[Video]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    clips: _First[Chosen] = field(init=False)

    def __post_init__(self) -> None:
        self.clips = _First(self.max_clips)

    def passing(self, videos: Iterable[Video]) -> Iterator[Video]:
        """Keep what the page needs of each row, and hand the ok ones on."""
        for video in videos:
            self._keep(video)
            if video.status is Status.OK:
                yield video

    def _keep(self, video: Video) -> None:
        row = dataclasses.replace(video, clips=(), stage_times=(), stable=())
        worst_first = [Status.FAILED, Status.REJECTED, Status.OK].index(video.status)
        self.videos.add((worst_first, video.video_id), (row, len(video.clips)))
        if video.status is not Status.OK:
            self.examples.setdefault((video.stage, video.reason), _First(MAX_EXAMPLES)).add((video.video_id,), row)
        for time in video.stage_times:
            self.seconds[time.stage].append(time.seconds)
        if video.status is Status.OK:
            by_use = sorted(video.clips, key=lambda c: (c.image_id is None, c.start_s))
            for number, clip in enumerate(by_use):  # every video's first clip before any second one
                self.clips.add((clip.image_id is None, number, video.video_id), _chosen(video, clip))


def _chosen(video: Video, clip: Clip) -> Chosen:
    traces = {(i.start_s, i.image_id): i.trace for i in video.stable} if clip.pictures else {}
    size = (video.probe.width, video.probe.height) if video.probe and video.probe.width and video.probe.height else None
    return Chosen(
        video_id=video.video_id,
        uri=video.uri,
        size=size,
        clip=clip,
        traces=tuple(traces.get((p.start_s, p.image_id), Trace()) for p in clip.pictures),
    )


def write_report(out: str, path: str | Path | None = None, *, max_clips: int = 60) -> None:
    """Write the report of the dataset at `out` to the file or address `path`, as one page without any outside resource.

    Without a path it is `report.html` of the dataset, wherever that lies.

    Raises:
        UsageError: there is no dataset, or `path` is a folder.
    """
    if path is not None:
        _check_target(path)
    made_by, funnel = dataset.settings(out), dataset.funnel(out)
    gathered = _Gathered(max_clips)
    texts = text_quality(gathered.passing(dataset.rows(out, _COLUMNS)))
    templates = environment()
    player = templates.get_template("player.js").render()
    page = templates.get_template("report.html.j2").render(
        made_by=made_by,
        run=_run_facts(out),
        funnel=funnel,
        reasons=_reasons(funnel, gathered),
        stages=_stages(gathered.seconds),
        texts=texts,
        videos=gathered.videos.items(),
        videos_left_out=gathered.videos.seen - len(gathered.videos.items()),
        clips=shown_clips(out, gathered.clips.items()),
        clips_left_out=gathered.clips.seen - len(gathered.clips.items()),
        schema_version=SCHEMA_VERSION,
        player=markupsafe.Markup(player),  # noqa: S704  # our own file
        player_hash=base64.b64encode(hashlib.sha256(player.encode()).digest()).decode(),
    )
    folder, name = (out, "report.html") if path is None else os.path.split(path)
    Store(folder or ".").write(page.encode(), name)


def _check_target(path: str | Path) -> None:
    if not os.path.basename(path) or os.path.isdir(path):
        raise UsageError(f"{path} is a folder; name the page's file.")


def environment() -> jinja2.Environment:
    """The templates, escaping everything."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("pipelines", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(clock=clock, span=span, percent=lambda share: f"{100 * share:.1f} %")
    return made


def clock(seconds: float) -> str:
    """`1:02:03.4` or `2:03.4`."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def _run_facts(out: str) -> dict[str, str]:
    store = Store(out)
    if not store.exists("run.json"):
        return {}
    facts = json.loads(store.read("run.json"))
    said: dict[str, str] = {}
    if isinstance(when := facts.get("started_at"), int | float):
        said["last run started"] = datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M UTC")
    for key, label in (("seconds", "last run took"), ("startup_s", "of it start-up")):
        if isinstance(seconds := facts.get(key), int | float):
            said[label] = span(seconds)
    return said


def _reasons(funnel: Funnel, gathered: _Gathered) -> list[ReasonGroup]:
    return [
        ReasonGroup(
            status=o.status,
            stage=o.stage or "",
            reason=o.reason or "",
            videos=o.videos,
            share=o.videos / max(1, funnel.inputs),
            examples=tuple(gathered.examples[o.stage, o.reason].items()),
        )
        for o in sorted(funnel.outcomes, key=lambda o: -o.videos)
        if o.status is not Status.OK
    ]


def _stages(seconds: dict[str, list[float]]) -> list[StageShare]:
    whole_s = sum(map(sum, seconds.values()))
    return [
        StageShare(
            stage=stage,
            videos=len(each),
            total_s=sum(each),
            median_s=statistics.median(each),
            share=sum(each) / whole_s if whole_s else 0.0,
        )
        for stage, each in seconds.items()
    ]


def _readable(out: str, video_id: str) -> dict[str, Image]:
    """The video's pictures; none where their file is damaged: the audit names it, the page says so where they would be."""
    try:
        return dataset.images(out, video_id)
    except UsageError:
        return {}


def shown_clips(out: str, chosen: Iterable[Chosen]) -> list[ShownClip]:
    """The clips by video and time; each video's pictures, and what is known of its cursor, are read once."""
    shown: list[ShownClip] = []
    in_order = sorted(chosen, key=lambda c: (c.video_id, c.clip.start_s, c.clip.clip_id))
    for video_id, clips in itertools.groupby(in_order, key=lambda c: c.video_id):
        pictures: dict[str, Image] | None = None
        truth: Truth | None = None
        for one in clips:
            if pictures is None and one.clip.image_id is not None:
                pictures, truth = _readable(out, video_id), read_truth(one.uri)
            shown.append(shown_clip(one, pictures or {}, truth))
    return shown
