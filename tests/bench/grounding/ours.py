"""This project's own grounding of one film, through the code that `curate` runs: the one place that names it."""

import dataclasses
import functools
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.grounding.found import Found, Interval, Link, Point, Pointing
from tests.bench.grounding.metrics import overlap_s
from tests.lectures.grounding.truth import Spoken, Truth, Word


def grounded(path: Path, truth: Truth) -> Found:
    """One full pass over the film; the pictures are those that a reader of the dataset gets, after JPEG.

    Words and sentences are the true ones: the transcript is measured by itself.
    """
    return _found(path, static=_is_static(truth.domain), spoken=truth.spoken, words=truth.words)


def traced(path: Path, *, static: bool, min_stable_s: float) -> Found:
    """The same of a recording without speech, with rests of at least `min_stable_s`."""
    return _found(path, static=static, spoken=(), words=(), min_stable_s=min_stable_s)


def _is_static(domain: str) -> bool:
    from pipelines.schema import Domain

    return Domain(domain).is_static


def _found(
    path: Path, *, static: bool, spoken: Sequence[Spoken], words: Sequence[Word], min_stable_s: float | None = None
) -> Found:
    from pipelines import media, recipes
    from pipelines.stages.look import look
    from pipelines.stages.probe import probe
    from tests.bench.grounding.frames import pictures

    settings = recipes.starter().look
    if min_stable_s is not None:
        settings = dataclasses.replace(settings, min_stable_s=min_stable_s)
    kept: dict[str, bytes] = {}

    def keep(still: Any) -> str:
        jpeg = media.to_jpeg(still.rgb, settings.image_quality)
        image_id = hashlib.sha256(jpeg).hexdigest()
        kept.setdefault(image_id, jpeg)
        return image_id

    with media.open_media(str(path)) as container:
        until_s = probe(container).duration_s
    net = _cursor_net()
    started = time.perf_counter()
    result = look(pictures(path), static=static, settings=settings, keep=keep, net=net, until_s=until_s)
    seconds = {"look": time.perf_counter() - started}
    used = list(dict.fromkeys(i.image_id for i in result.intervals))
    intervals = tuple(
        Interval(start_s=i.start_s, end_s=i.end_s, image=used.index(i.image_id)) for i in result.intervals
    )
    trace = tuple(Point(time_s=p.time_s, x=p.x, y=p.y) for i in result.intervals for p in i.trace)
    _vocabulary()  # loading it is no film's cost
    started = time.perf_counter()
    clip = _told(result.intervals, words, until_s)
    seconds["words"] = time.perf_counter() - started
    whole = repr((result.scene_cuts_s, [dataclasses.astuple(i) for i in result.intervals], clip))
    return Found(
        cuts_s=result.scene_cuts_s,
        intervals=intervals,
        images=tuple(media.from_jpeg(kept[i]) for i in used),
        trace=trace,
        episodes=tuple(
            Pointing(start_s=e.start_s, end_s=e.end_s, box=(e.box.x0, e.box.y0, e.box.x1, e.box.y1)) for e in clip.episodes
        ),
        links=_links(clip.links, spoken, intervals),
        seconds=seconds,
        digest=hashlib.sha256(whole.encode()).hexdigest(),
    )


def _told(intervals: Sequence[Any], words: Sequence[Word], end_s: float) -> Any:
    """The whole film as one clip with all its pictures, its episodes and links made as the write stage makes them."""
    from pipelines import recipes, schema
    from pipelines.stages.grounded import grounded as with_words

    config = recipes.starter()
    pictures = tuple(
        schema.ShownPicture(start_s=i.start_s, end_s=i.end_s, image_id=i.image_id, width=i.width, height=i.height,
                            method=i.method)
        for i in intervals
    )  # fmt: skip
    said = [schema.Word(start_s=w.start_s, end_s=w.end_s, text=w.text, probability=1.0, sentence=0) for w in words]
    clip = schema.Clip(clip_id="film", start_s=0.0, end_s=end_s, domain=schema.Domain.ILLUSTRATION, segmenter="whole",
                       raw_text="", pictures=pictures)  # fmt: skip
    return with_words(clip, said, intervals, is_medical=_is_medical, settings=config.pointing)


@functools.cache
def _cursor_net() -> Any:
    """Loaded once a process, which is no film's cost."""
    import numpy as np

    from actors.cursor_net import CursorNet

    net = CursorNet()
    net.near([np.zeros((96, 96), np.uint8)], 48, 48, 1)
    return net


@functools.cache
def _vocabulary() -> Any:
    from pipelines import recipes, vocabulary

    return vocabulary.load(recipes.starter().text.vocabulary)


def _is_medical(text: str) -> bool:
    from pipelines.stages import rules

    return rules.speaks_medically(text, _vocabulary())


def _links(links: Sequence[Any], spoken: Sequence[Spoken], intervals: Sequence[Interval]) -> tuple[Link, ...]:
    """By the true sentence that each overlaps longest in time; the main one of a sentence first."""
    found = []
    for link in sorted(links, key=lambda one: not one.main):
        shared = [overlap_s((link.start_s, link.end_s), (s.start_s, s.end_s)) for s in spoken]
        if max(shared, default=0.0) > 0:
            index = shared.index(max(shared))
            found.append(Link(sentence=index, image=intervals[link.picture].image, episode=link.episode, kind=link.kind))
    return tuple(found)


@functools.cache
def _transcriber() -> Any:
    """Loaded once a process, on one thread."""
    from actors.transcriber import Transcriber
    from pipelines import recipes

    return Transcriber(recipes.starter(), threads=1)


def heard(path: Path, truth: Truth) -> list[Word]:
    """The film's words by the starter transcriber, those that its guard dropped left out."""
    from pipelines.job import Job
    from pipelines.schema import Probe, Span, Video

    probe = Probe(container="mp4", duration_s=truth.duration_s)
    speech = tuple(Span(start_s=s.start_s, end_s=s.end_s) for s in truth.spoken)
    video = Video(video_id=path.stem, uri=str(path), probe=probe, speech=speech)
    return [Word(text=w.text, start_s=w.start_s, end_s=w.end_s)
            for w in _transcriber()(Job(video=video)).video.words if w.dropped is None]  # fmt: skip
