"""Where samples come from: curated datasets, and conversation files in LLaVA's format. One video, or one item, at a time.

A curated dataset gives a caption conversation for each relevant clip: about its picture, and about its film where the
source video can be read. Questions and answers stand in `DATA/instruct/*.parquet`, if there are any
(`pipelines.instruct_schema`); they are asked of the picture and, unless they are of the picture only, of the film. Videos
that are held out are left out whole.
"""

import io
import json
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ijson
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from pipelines import dataset
from pipelines.errors import RowError, UsageError
from pipelines.image_file import filesystem, image_path, image_uri
from pipelines.instruct_schema import QuestionAnswer
from pipelines.instructed import Instructed
from pipelines.media import is_remote
from pipelines.schema import Clip, Status, Video
from pipelines.split import is_held_out
from pipelines.store import Store
from train.media import film_length_and_size, picture_size
from train.samples import CAPTION_PROMPTS, Found, LeftOut, Media, Sample, Turn, conversation

_COLUMNS = ("status", "probe", "clips")
_LATE_S = 2.0
"""A stretch may end so long after its film: lengths are rounded up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One `--data`: a name to weigh it by, and where it lies."""

    name: str
    uri: str


def parse(words: list[str]) -> tuple[Source, ...]:
    """`--data PATH` or `--data NAME=PATH`.

    Raises:
        UsageError: a name is used twice.
    """
    found: dict[str, Source] = {}
    for word in words:
        match = re.fullmatch(r"([A-Za-z_]\w*)=(.+)", word)
        stem = word.rstrip("/").rsplit("/", 1)[-1].split(".")[0]
        name, uri = match.groups() if match else (re.sub(r"\W", "_", stem) or "data", word)
        name = name if name.isidentifier() else f"_{name}"
        if name in found:
            raise UsageError(f"Two --data are called '{name}'; name them: --data NAME=PATH.")
        found[name] = Source(name=name, uri=uri if "://" in uri else os.path.abspath(uri))
    return tuple(found.values())


def samples(source: Source, held_out_share: float) -> Found:
    """Every sample of the source, in a fixed order, and what is left out.

    Raises:
        UsageError: it is neither a dataset nor a conversation file.
    """
    if source.uri.endswith((".json", ".jsonl")):
        return conversations(source.uri)
    if Store(source.uri).exists("manifest.parquet"):
        return curated(source.uri, held_out_share)
    raise UsageError(f"{source.uri} is neither a curated dataset (it has no manifest.parquet) nor a .json or .jsonl file.")


def curated(out: str, held_out_share: float) -> Found:
    """The conversations of a curated dataset; of a video that is held out, only that it is."""
    out = Store(out).out
    instructed = Instructed(out)
    for video in dataset.rows_in_order(out, Status.OK, _COLUMNS):
        if is_held_out(video.video_id, held_out_share):
            yield LeftOut(sample_id=video.video_id, reason="held_out", detail=f"share {held_out_share:g}, for evaluation")
            continue
        rows = _picture_rows(out, video.video_id) if video.clips else {}
        asked = instructed.conversations(video.video_id)
        for clip in sorted(video.clips, key=lambda c: (c.start_s, c.end_s, c.clip_id)):
            yield from _of_clip(out, video, clip, rows, asked.get(clip.clip_id, []))


def _of_clip(out: str, video: Video, clip: Clip, rows: dict[str, int], asked: list[list[QuestionAnswer]]) -> Found:
    if clip.relevant is not None and clip.relevant.value == "irrelevant":
        yield LeftOut(sample_id=clip.clip_id, reason="irrelevant", detail=f"decided by {clip.relevant.decided_by}")
        return
    shown = [m for m in (_picture(out, video, clip, rows), _film(video, clip)) if isinstance(m, Media)]
    yield from (m for m in (_picture(out, video, clip, rows), _film(video, clip)) if isinstance(m, LeftOut))
    caption = clip.caption.text if clip.caption else None
    if not caption:
        why = clip.caption.failure if clip.caption else None
        yield LeftOut(sample_id=clip.clip_id, reason="no_caption", detail=why or "")
    for media in shown:
        prompts = CAPTION_PROMPTS[media.kind]
        if caption:
            prompt = prompts[zlib.crc32(clip.clip_id.encode()) % len(prompts)]
            yield conversation(f"{clip.clip_id}/{media.kind}/caption", media, ((prompt, caption),), "caption")
        for number, turns in enumerate(_apart(asked)):
            if turns[0].picture_only and media.kind != "image":
                continue
            pairs = tuple(t.words() for t in turns)
            yield conversation(f"{clip.clip_id}/{media.kind}/qa{number}", media, pairs, "question")


def _apart(asked: list[list[QuestionAnswer]]) -> list[list[QuestionAnswer]]:
    """Template turns one by one, as they are asked in evaluation: of several about one picture the first answers rule out
    options of the others."""
    return [part for turns in asked for part in ([[t] for t in turns] if turns[0].source == "template" else [turns])]


def _picture(out: str, video: Video, clip: Clip, rows: dict[str, int]) -> Media | LeftOut:
    sample_id = f"{clip.clip_id}/image"
    if clip.image_id is None or clip.image_width is None or clip.image_height is None:
        return LeftOut(sample_id=sample_id, reason="no_picture")
    if clip.image_id not in rows:
        raise UsageError(f"The picture of clip '{clip.clip_id}' is not stored; `preceptor audit` says more.")
    return Media(kind="image", uri=image_uri(out, video.video_id), image_id=clip.image_id, row=rows[clip.image_id],
                 width=clip.image_width, height=clip.image_height)  # fmt: skip


def _film(video: Video, clip: Clip) -> Media | LeftOut:
    sample_id, probe = f"{clip.clip_id}/video", video.probe
    if probe is None or not probe.width or not probe.height:
        return LeftOut(sample_id=sample_id, reason="no_film", detail="its size is not known")
    if not is_remote(video.uri) and not os.path.exists(video.uri):
        return LeftOut(sample_id=sample_id, reason="no_film", detail="the source video is not there")
    return Media(kind="video", uri=video.uri, start_s=clip.start_s, end_s=clip.end_s, width=probe.width,
                 height=probe.height)  # fmt: skip


def _picture_rows(out: str, video_id: str) -> dict[str, int]:
    fs, root = filesystem(out)
    path = image_path(root, video_id)
    if fs.get_file_info(path).type == pafs.FileType.NotFound:
        return {}
    with fs.open_input_file(path) as file:
        ids = pq.read_table(file, columns=["image_id"]).column("image_id").to_pylist()
    return {image_id: row for row, image_id in enumerate(ids)}


def conversations(uri: str) -> Found:
    """The conversations of a LLaVA-format file, .json (one list) or .jsonl; media paths are relative to its folder."""
    folder = uri.rsplit("/", 1)[0]
    for number, item in enumerate(_items(uri)):
        name = str(item.get("id", number)) if isinstance(item, dict) else str(number)
        sample_id = f"{name}#{number}"
        try:
            yield _llava(sample_id, item, folder)
        except (KeyError, TypeError, ValueError) as error:
            yield LeftOut(sample_id=sample_id, reason="malformed", detail=f"{type(error).__name__}: {error}"[:200])
        except RowError as error:
            yield LeftOut(sample_id=sample_id, reason=error.reason.value, detail=error.detail)


def _items(uri: str) -> Iterator[Any]:
    fs, path = filesystem(uri)
    if fs.get_file_info(path).type != pafs.FileType.File:
        raise UsageError(f"There is no file {uri}.")
    with fs.open_input_stream(path) as file:
        try:
            if uri.endswith(".jsonl"):
                yield from (json.loads(line) for line in io.BufferedReader(file) if line.strip())
            else:
                yield from ijson.items(file, "item")
        except (json.JSONDecodeError, ijson.JSONError) as error:
            raise UsageError(f"{uri} is not well-formed: {error}") from error


def _llava(sample_id: str, item: dict[str, Any], folder: str) -> Sample:
    waiting = {kind: [_named(kind, p, folder, item) for p in _list(item.get(kind))] for kind in ("image", "video")}
    given = [*waiting["image"], *waiting["video"]]
    kinds = [kind for kind, media in waiting.items() if media]
    turns, shown = [], []
    for message in item["conversations"]:
        role = {"human": "user", "gpt": "assistant", "system": "system"}[message["from"]]
        words, *rest = re.split(r"\s*<(image|video)>\s*", message["value"].strip())
        parts: list[str | None] = [words] if words else []
        for mark, words in zip(rest[::2], rest[1::2], strict=True):
            kind = kinds[0] if len(kinds) == 1 else mark  # LLaVA-Video marks films, too, by <image>
            if not waiting[kind]:
                raise ValueError(f"a place for a further {kind}")
            shown.append(waiting[kind].pop(0))
            parts += [None, words] if words else [None]
        turns.append(Turn(role=role, parts=tuple(parts)))
    if given and not shown:  # where a file marks no place, they come before the first question
        first = next(i for i, turn in enumerate(turns) if turn.role == "user")
        turns[first] = Turn(role="user", parts=(*([None] * len(given)), *turns[first].parts))
        shown = given
    if len(shown) != len(given):
        raise ValueError(f"{len(shown)} places for {len(given)} pictures or films")
    return Sample(sample_id=sample_id, turns=tuple(turns), media=tuple(shown))


def _list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _named(kind: str, name: str, folder: str, item: dict[str, Any]) -> Media:
    uri = name if is_remote(name) or os.path.isabs(name) else f"{folder}/{name}"
    if kind == "image":
        width, height = picture_size(uri)
        return Media(kind=kind, uri=uri, width=width, height=height)
    length, width, height = film_length_and_size(uri)
    start, end = (float(t) for t in item.get("timestamp") or (0.0, length))
    if not 0 <= start < end <= length + _LATE_S:
        raise ValueError(f"{start:g} to {end:g} s is no stretch of a film of {length:g} s")
    return Media(kind=kind, uri=uri, start_s=start, end_s=end, width=width, height=height)
