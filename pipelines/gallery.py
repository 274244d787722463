"""What the report shows of one clip: its pictures with the cursor's path and the pointing, its time line, its sentences.

All is bounded: pictures are made small, paths are thinned, and of many pictures, episodes or sentences some are shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.drawing import (
    MAX_EDGE_PX,
    MAX_TRACE_POINTS,
    Segment,
    runs,
    small_picture,
    time_colour,
    trace_segments,
)
from pipelines.schema import Clip, Image, Link, TextKind, Trace, TracePoint
from pipelines.truth import Run, Truth

THUMB_EDGE_PX = 200
MAX_THUMB_POINTS = 60
MAX_OTHERS = 6
MAX_EPISODES = MAX_SENTENCES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A clip for the gallery and where it comes from; `traces` are those of its `pictures`, as far as they are known."""

    video_id: str
    uri: str
    size: tuple[int, int] | None
    """Of the upright video, pixels."""
    clip: Clip
    traces: tuple[Trace, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A stretch of the time line; `x` and `width` in per cent of the clip."""

    x: float
    width: float
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEpisode:
    """A box in the colour of its time, pixels of its picture. `index` is that among the clip's episodes."""

    index: int
    x: float
    y: float
    width: float
    height: float
    colour: str
    bar: Bar


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One picture of the clip with all that happened on it. `picture` is a data URI, or None and `note` says why."""

    number: int
    """Among the clip's pictures by first appearance, from 1."""
    picture: str | None
    note: str
    width: int
    height: int
    bars: tuple[Bar, ...]
    segments: tuple[Segment, ...]
    shadow: str
    """The same path as one SVG path."""
    episodes: tuple[ShownEpisode, ...]
    truth: tuple[str, ...]
    """The cursor's true path as SVG polylines; empty where it is not known."""
    trace: tuple[Run, ...]
    """Time and place for the player."""
    true_trace: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A sentence with its links: `pictures` (their numbers) that it speaks of, `beside` those that it merely overlaps."""

    text: str
    kind: TextKind
    bar: Bar
    pictures: tuple[int, ...]
    beside: tuple[int, ...]
    episodes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownClip:
    """A clip of the gallery."""

    video_id: str
    clip: Clip
    main: View
    others: tuple[View, ...]
    others_left_out: int
    bands: tuple[tuple[int, Bar], ...]
    """The number of each picture of the time line and when it was on show."""
    episodes: tuple[ShownEpisode, ...]
    episodes_left_out: int
    said: tuple[Said, ...]
    said_left_out: int
    truth: str | None
    """Name of the file with the cursor's true path."""

    @property
    def player(self) -> dict[str, Any]:
        """What the page's script moves: numbers only."""
        return {
            "start": self.clip.start_s,
            "end": self.clip.end_s,
            "views": [
                {"trace": v.trace, "truth": v.true_trace, "spans": _spans(v.bars)}
                for v in (self.main, *self.others)
            ],
            "episodes": {e.index: _spans([e.bar])[0] for e in self.episodes},
            "said": _spans(s.bar for s in self.said),
        }


def shown_clip(chosen: Chosen, pictures: Mapping[str, Image], truth: Truth | None) -> ShownClip:
    """The clip as the gallery shows it, with small pictures.

    Args:
        chosen: the clip.
        pictures: the video's stored pictures by id.
        truth: the cursor's true path over the video.
    """
    clip = chosen.clip
    ids = list(dict.fromkeys(p.image_id for p in clip.pictures))
    numbers = {image_id: number for number, image_id in enumerate(ids, 1)}
    episodes = _episodes(clip)
    others = [image_id for image_id in ids if image_id != clip.image_id]
    longest = sorted(
        others, key=lambda i: -sum(_bar(clip, p.start_s, p.end_s).width for p in clip.pictures if p.image_id == i)
    )
    kept = set(longest[:MAX_OTHERS])

    def view(image_id: str | None, edge: int, points: int) -> View:
        return _view(chosen, image_id, numbers.get(image_id or "", 1), pictures, truth, episodes, edge, points)

    main = view(clip.image_id, MAX_EDGE_PX, MAX_TRACE_POINTS)
    views = [view(i, THUMB_EDGE_PX, MAX_THUMB_POINTS) for i in others if i in kept]
    said = _said(clip, [numbers[p.image_id] for p in clip.pictures])
    return ShownClip(
        video_id=chosen.video_id,
        clip=clip,
        main=main,
        others=tuple(views),
        others_left_out=len(others) - len(views),
        bands=tuple((numbers[p.image_id], _bar(clip, p.start_s, p.end_s)) for p in clip.pictures),
        episodes=tuple(e for _, e in episodes),
        episodes_left_out=len(clip.episodes) - len(episodes),
        said=tuple(said[:MAX_SENTENCES]),
        said_left_out=max(0, len(said) - MAX_SENTENCES),
        truth=truth.name if truth and any(v.truth for v in (main, *views)) else None,
    )


def _view(
    chosen: Chosen,
    image_id: str | None,
    number: int,
    pictures: Mapping[str, Image],
    truth: Truth | None,
    episodes: Sequence[tuple[int, ShownEpisode]],
    edge: int,
    points: int,
) -> View:
    clip = chosen.clip
    showings = [i for i, p in enumerate(clip.pictures) if p.image_id == image_id]
    spans = [(clip.pictures[i].start_s, clip.pictures[i].end_s) for i in showings]
    trace: list[TracePoint] = []
    if image_id == clip.image_id:
        trace += clip.trace
        if not spans and clip.image_start_s is not None and clip.image_end_s is not None:
            spans = [(clip.image_start_s, clip.image_end_s)]
    for i in showings:
        again = image_id == clip.image_id and clip.pictures[i].start_s == clip.image_start_s
        if i < len(chosen.traces) and not again:
            trace += chosen.traces[i].between(clip.start_s, clip.end_s)
    trace.sort(key=lambda p: p.time_s)
    thinned = runs(trace, points)
    segments = trace_segments(thinned, (clip.start_s, clip.end_s))
    stored = pictures.get(image_id) if image_id is not None else None
    picture = small_picture(stored.data, edge) if stored else None
    note = "the picture is not stored, or its file is damaged" if stored is None else "the picture cannot be decoded"
    size = (stored.width, stored.height) if stored else (clip.image_width or 1, clip.image_height or 1)
    shown = [(max(a, clip.start_s), min(b, clip.end_s)) for a, b in spans]
    true_runs = truth.paths(shown, size, chosen.size, points) if truth else ()
    return View(
        number=number,
        picture=picture,
        note="this clip has no picture" if image_id is None else note,
        width=size[0],
        height=size[1],
        bars=tuple(_bar(clip, a, b) for a, b in spans),
        segments=segments,
        shadow="".join(f"M{s.x0} {s.y0}L{s.x1} {s.y1}" for s in segments),
        episodes=tuple(e for i, e in episodes if i in showings),
        truth=tuple(" ".join(f"{x},{y}" for _, x, y in run) for run in true_runs),
        trace=tuple(tuple((round(p.time_s, 2), round(p.x, 1), round(p.y, 1)) for p in run) for run in thinned),
        true_trace=true_runs,
    )


def _episodes(clip: Clip) -> list[tuple[int, ShownEpisode]]:
    """The first episodes, each with the index of its picture; those without one are left out."""
    shown: list[tuple[int, ShownEpisode]] = []
    for index, e in enumerate(clip.episodes):
        if 0 <= e.picture < len(clip.pictures) and len(shown) < MAX_EPISODES:
            box = e.box
            made = ShownEpisode(
                index=index,
                x=round(box.x0, 1),
                y=round(box.y0, 1),
                width=round(max(0.0, box.x1 - box.x0), 1),
                height=round(max(0.0, box.y1 - box.y0), 1),
                colour=time_colour((e.start_s + e.end_s) / 2, clip.start_s, clip.end_s),
                bar=_bar(clip, e.start_s, e.end_s),
            )
            shown.append((e.picture, made))
    return shown


def _said(clip: Clip, numbers: Sequence[int]) -> list[Said]:
    """The sentences in time order, each once."""
    sentences: dict[tuple[float, float, str], list[Link]] = {}
    for link in clip.links:
        if 0 <= link.picture < len(numbers):
            sentences.setdefault((link.start_s, link.end_s, link.text), []).append(link)
    said = []
    for (start_s, end_s, text), links in sorted(sentences.items()):
        main = [link for link in links if link.main] or links[:1]
        pictures = dict.fromkeys(numbers[link.picture] for link in main)
        pointed = {link.episode for link in links if link.episode is not None and 0 <= link.episode < len(clip.episodes)}
        made = Said(
            text=text,
            kind=main[0].kind,
            bar=_bar(clip, start_s, end_s),
            pictures=tuple(pictures),
            beside=tuple(dict.fromkeys(n for link in links if (n := numbers[link.picture]) not in pictures)),
            episodes=tuple(sorted(pointed)),
        )
        said.append(made)
    return said


def _bar(clip: Clip, start_s: float, end_s: float) -> Bar:
    whole_s = max(clip.end_s - clip.start_s, 1e-9)
    left, right = (100 * min(1.0, max(0.0, (t - clip.start_s) / whole_s)) for t in (start_s, end_s))
    return Bar(x=round(left, 2), width=round(max(0.0, right - left), 2), start_s=start_s, end_s=end_s)


def _spans(bars: Iterable[Bar]) -> list[tuple[float, float]]:
    return [(round(b.start_s, 2), round(b.end_s, 2)) for b in bars]
