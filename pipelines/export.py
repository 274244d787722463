"""Clips joined with their pictures, as Parquet that Hugging Face `datasets` loads, with a dataset card.

The same rows give the same bytes: sorted by video and time, no clock and no order of files in it.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import dataset
from pipelines.arrow import arrow_schema, arrow_table
from pipelines.card import card
from pipelines.errors import UsageError
from pipelines.media import public_uri
from pipelines.retries import was_screened
from pipelines.schema import (
    Box,
    Clip,
    Domain,
    Episode,
    Image,
    Link,
    ModelText,
    ShownPicture,
    Status,
    Trace,
    Video,
)

SHARD_BYTES = 500_000_000
ROW_GROUP_BYTES = 32_000_000
ROW_GROUP_ROWS = 256
_READ = ("status", "extra", "fingerprint", "classifier", "transcriber", "clips")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The layout of the `Image` feature: encoded bytes and a file name."""

    bytes: bytes
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Which model, prompt or rule made what; None where the field does not exist."""

    classifier: str | None
    transcriber: str | None
    segmenter: str
    image_method: str | None
    caption_model: str | None
    caption_prompt: str | None
    medical_text_model: str | None
    medical_text_prompt: str | None
    roi_text_model: str | None
    roi_text_prompt: str | None
    relevant_decided_by: str | None
    modality_decided_by: str | None
    region_decided_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One exported clip."""

    clip_id: str
    """`video_id` and the times in milliseconds."""
    video_id: str
    uri: str
    """Where the video was read from, without keys."""
    image: Picture | None
    """The representative picture, without the cursor; None where the clip has none."""
    image_id: str | None
    """SHA-256 of the picture's bytes."""
    image_width: int | None
    image_height: int | None
    start_s: float
    """Seconds of the video's clock."""
    end_s: float
    domain: Domain
    modality: str | None
    region: str | None
    caption: str | None
    caption_source: str | None
    """`model`, or `transcript` where the model's text did not pass the faithfulness checks."""
    caption_support: float | None
    """Share of the model text's content words that the transcript contains."""
    medical_text: str | None
    medical_text_source: str | None
    """As `caption_source`: `transcript` where it is the transcript's own sentences."""
    medical_text_support: float | None
    roi_text: str | None
    roi_text_source: str | None
    roi_text_support: float | None
    relevant: str | None
    """`relevant` or `irrelevant`, by the published definition; clips that are not are kept out of training."""
    raw_text: str
    """The transcript as heard."""
    corrected_text: str | None
    """The transcript with verified corrections of medical terms."""
    trace: Trace
    """The cursor's path: seconds of the video's clock, pixels of the picture, confidence, moving or resting."""
    box: Box | None
    """Bounding box of the trace, pixels of the picture."""
    pictures: tuple[ShownPicture, ...]
    """All pictures on show in the clip, in time order; their bytes are in the dataset, only the representative's here."""
    episodes: tuple[Episode, ...]
    """Acts of pointing, each on one of `pictures`."""
    links: tuple[Link, ...]
    """Sentences tied to `pictures` and `episodes`, by index from 0."""
    models: Provenance
    extra: str
    """The manifest's further columns, JSON."""
    fingerprint: str
    """Of the configuration that made the row."""


COLUMNS = arrow_schema(Example)


def example(video: Video, clip: Clip, picture: Image | None) -> Example:
    """The row of one clip."""

    told: dict[str, ModelText | None] = {name: getattr(clip, name) for name in ("caption", "medical_text", "roi_text")}
    texts = {name: text if text and text.text is not None else None for name, text in told.items()}

    def of(part: str, suffix: str = "") -> dict[str, Any]:
        """That part of each text, by the name of its column."""
        return {f"{name}{suffix}": getattr(text, part) if text else None for name, text in texts.items()}

    return Example(
        clip_id=clip.clip_id,
        video_id=video.video_id,
        uri=public_uri(video.uri),
        image=Picture(bytes=picture.data, path=f"{picture.image_id}.{picture.format}") if picture else None,
        image_id=clip.image_id,
        image_width=clip.image_width,
        image_height=clip.image_height,
        start_s=clip.start_s,
        end_s=clip.end_s,
        domain=clip.domain,
        modality=clip.modality.value if clip.modality else None,
        region=clip.region.value if clip.region else None,
        **of("text"),
        **of("source", "_source"),
        **of("support", "_support"),
        relevant=clip.relevant.value if clip.relevant else None,
        raw_text=clip.raw_text,
        corrected_text=clip.corrected_text,
        trace=clip.trace,
        box=clip.box,
        pictures=clip.pictures,
        episodes=clip.episodes,
        links=clip.links,
        models=Provenance(
            classifier=video.classifier,
            transcriber=video.transcriber,
            segmenter=clip.segmenter,
            image_method=clip.image_method,
            relevant_decided_by=clip.relevant.decided_by if clip.relevant else None,
            modality_decided_by=clip.modality.decided_by if clip.modality else None,
            region_decided_by=clip.region.decided_by if clip.region else None,
            **of("model", "_model"),
            **of("prompt", "_prompt"),
        ),
        extra=video.extra,
        fingerprint=video.fingerprint,
    )


def examples(out: str) -> Iterator[Example]:
    """Every clip of the dataset by video id and time, with its picture; one video's pictures in memory at a time.

    Raises:
        UsageError: a picture that a clip names is not stored.
    """
    for video in dataset.rows_in_order(out, Status.OK, _READ):
        pictures = dataset.images(out, video.video_id) if video.clips else {}
        for clip in sorted(video.clips, key=lambda c: (c.start_s, c.end_s, c.clip_id)):
            if clip.image_id is not None and clip.image_id not in pictures:
                raise UsageError(f"The picture of clip '{clip.clip_id}' is not stored; `preceptor audit` says more.")
            yield example(video, clip, pictures[clip.image_id] if clip.image_id is not None else None)


def export_hf(out: str, target: str | Path, *, shard_bytes: int = SHARD_BYTES) -> int:
    """Write the dataset's clips to the folder `target`, whole or not at all; returns their number.

    The folder loads with `datasets.load_dataset(target)`: one split `train`, shards of about `shard_bytes`.

    Raises:
        UsageError: `target` exists and is not empty, or `out` is no sound dataset, or one that was only screened.
    """
    if "://" in str(target):
        raise UsageError(f"An export is written to a local folder, not to {target}.")
    if was_screened(out):
        raise UsageError(f"{out} holds only the screen's verdicts; `preceptor curate` makes the clips.")
    target = Path(target).resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} exists and is not empty; choose another target.")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        (temporary / "data").mkdir(parents=True)
        shards = _Shards(temporary / "data", shard_bytes)
        for row in examples(out):
            shards.add(row)
        shards.finish()
        (temporary / "README.md").write_text(card(out), encoding="utf-8")
        temporary.replace(target)  # also over an empty folder
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return shards.clips


def hf_schema() -> pa.Schema:
    """The columns, with the metadata that makes `datasets` decode `image` as an `Image`."""
    import datasets

    features = datasets.Features.from_arrow_schema(COLUMNS)
    features["image"] = datasets.Image()
    wanted: pa.Schema = features.arrow_schema
    return wanted


class _Shards:
    """Parquet files of bounded size, written in row groups of bounded size."""

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self._folder, self._shard_bytes, self._schema = folder, shard_bytes, hf_schema()
        self._parts: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[Example] = []
        self._group = self._shard = self.clips = 0

    def add(self, row: Example) -> None:
        """One more clip."""
        size = _size(row)
        if self._shard and self._shard + size > self._shard_bytes:
            self.close_shard()
        elif self._group + size > ROW_GROUP_BYTES or len(self._rows) >= ROW_GROUP_ROWS:
            self._flush()
        self._rows.append(row)
        self._group, self._shard, self.clips = self._group + size, self._shard + size, self.clips + 1

    def close_shard(self) -> None:
        """What is held goes to the file, and the next clip to another."""
        self._flush()
        if self._writer is not None:
            self._writer.close()
        self._writer, self._shard = None, 0

    def finish(self) -> None:
        """Name the files by their number. No clips still make one file with the columns."""
        if not self._parts and not self._rows:
            self._open()
        self.close_shard()
        for number, part in enumerate(self._parts):
            part.rename(self._folder / f"train-{number:05d}-of-{len(self._parts):05d}.parquet")

    def _open(self) -> pq.ParquetWriter:
        self._parts.append(self._folder / f"part-{len(self._parts):05d}")
        self._writer = pq.ParquetWriter(self._parts[-1], self._schema, compression="zstd")
        return self._writer

    def _flush(self) -> None:
        if self._rows:
            (self._writer or self._open()).write_table(arrow_table(self._rows, Example, self._schema))
            self._rows, self._group = [], 0


def _size(row: Example) -> int:
    texts = (row.caption, row.medical_text, row.roi_text, row.raw_text, row.corrected_text, row.extra)
    said = sum(len(t or "") for t in texts) + sum(len(link.text) for link in row.links)
    nested = 32 * len(row.trace) + 128 * len(row.pictures) + 64 * (len(row.episodes) + len(row.links))
    return (len(row.image.bytes) if row.image else 0) + said + nested + 512
