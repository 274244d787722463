"""Small synthetic datasets, laid out as `curate` leaves them."""

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.arrow import arrow_table
from pipelines.config import Config
from pipelines.image_file import image_path
from pipelines.instruct_schema import QuestionAnswer
from pipelines.schema import (
    Box,
    Choice,
    Clip,
    Correction,
    CursorState,
    Domain,
    Episode,
    FrameClass,
    Image,
    Link,
    ModelText,
    Probe,
    Reason,
    ShownPicture,
    Span,
    StableInterval,
    StageTime,
    Status,
    TextKind,
    Trace,
    TracePoint,
    Video,
    Word,
)
from pipelines.settings import to_json
from pipelines.store import MANIFEST_SCHEMA

FINGERPRINT = "0123456789abcdef"


def picture(video_id: str, seed: int, size: tuple[int, int] = (160, 120)) -> Image:
    """A JPEG whose content depends on `seed`."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width]
    disc = np.hypot(columns - width * (0.3 + 0.05 * (seed % 8)), rows - height / 2) < height * 0.35
    grey = np.where(disc, 90 + 17 * (seed % 9), 20) + columns * 60 // width
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)).save(buffer, "JPEG", quality=90)
    data = buffer.getvalue()
    image_id = hashlib.sha256(data).hexdigest()
    return Image(
        image_id=image_id,
        video_id=video_id,
        start_s=0.0,
        end_s=20.0,
        width=width,
        height=height,
        format="jpeg",
        data=data,
    )


def shown_picture(image: Image, start_s: float, length_s: float = 20.0) -> ShownPicture:
    """The picture on show."""
    return ShownPicture(
        start_s=start_s,
        end_s=start_s + length_s,
        image_id=image.image_id,
        width=image.width,
        height=image.height,
        method="median",
    )


def episode(start_s: float, picture: int = 0, box: tuple[float, float, float, float] = (90.0, 30.0, 119.0, 60.0)) -> Episode:
    """A pointing of 1.5 s."""
    x0, y0, x1, y1 = box
    where = Box(x0=x0, y0=y0, x1=x1, y1=y1)
    return Episode(start_s=start_s, end_s=start_s + 1.5, picture=picture, box=where, points=4, confidence=0.9)


def link(
    start_s: float,
    text: str,
    kind: TextKind = TextKind.ROI,
    episode: int | None = 0,
    picture: int = 0,
    main: bool = True,
) -> Link:
    """A sentence of 3 s tied to a picture."""
    return Link(
        kind=kind,
        text=text,
        start_s=start_s,
        end_s=start_s + 3,
        picture=picture,
        episode=episode,
        time_share=1.0,
        keyword_share=0.25,
        main=main,
    )


def clip(video_id: str, start_s: float, image: Image | None, text: str = "The liver shows a lesion.") -> Clip:
    """A clip of 20 s with everything in it."""
    points = tuple(
        TracePoint(
            time_s=start_s + i * 0.5,
            x=30.0 + 8 * i,
            y=60 + 30 * float(np.sin(i / 2)),
            confidence=0.9,
            state=CursorState.MOVING if i < 8 else CursorState.RESTING,
        )
        for i in range(12)
    )
    shown = image is not None
    return Clip(
        clip_id=f"{video_id}:{round(start_s * 1000):09d}-{round((start_s + 20) * 1000):09d}",
        start_s=start_s,
        end_s=start_s + 20,
        domain=Domain.CT,
        segmenter="probability_runs",
        raw_text=text,
        image_id=image.image_id if image else None,
        image_width=image.width if image else None,
        image_height=image.height if image else None,
        image_start_s=start_s if shown else None,
        image_end_s=start_s + 20 if shown else None,
        image_method="median" if shown else None,
        trace=Trace(points if shown else ()),
        box=Box(x0=30.0, y0=30.0, x1=119.0, y1=91.0) if shown else None,
        pictures=(shown_picture(image, start_s),) if image else (),
        episodes=(episode(start_s + 4),) if shown else (),
        links=(link(start_s + 3.5, text), link(start_s + 8, text, TextKind.MEDICAL, None)) if shown else (),
        corrected_text=text.replace("lesion", "haemangioma"),
        corrections=(
            Correction(wrong="lesion", right="haemangioma", kind="conditioned", verified=True),
            Correction(wrong="shows", right="shoes", kind="unconditioned", verified=False),
        ),
        caption=ModelText(
            text=text, source="transcript", model="smollm2", prompt="caption-1", support=0.5, failure="support"
        ),
        medical_text=ModelText(text="A haemangioma.", source="model", model="smollm2", prompt="medical-1", support=1.0),
        roi_text=ModelText(text=None, source="model", model="smollm2", prompt="roi-1", failure="length"),
        relevant=Choice(value="yes", decided_by="rules"),
        modality=Choice(value="ct", decided_by="frame classes"),
        region=Choice(value="abdomen", decided_by="rules"),
    )


def ok(video_id: str, pictures: Sequence[Image], clips: Sequence[Clip] | None = None, attempt: int = 1) -> Video:
    """An accepted video with a clip for each picture."""
    made = [clip(video_id, 20.0 * i, p) for i, p in enumerate(pictures)] if clips is None else list(clips)
    return Video(
        video_id=video_id,
        uri=f"/videos/{video_id}.mp4",
        attempt=attempt,
        extra='{"title": "Liver"}',
        content_id="100-abc",
        fingerprint=FINGERPRINT,
        probe=Probe(container="mp4", duration_s=600.0, video_codec="h264", audio_codec="aac", width=640, height=480),
        speech=(Span(start_s=0.0, end_s=500.0),),
        speech_share=0.8,
        classifier="efficientnet-lite0",
        screen_frames=(FrameClass(time_s=0.0, until_s=5.0, domain=Domain.CT, probability=0.9, medical_probability=0.95),),
        domain=Domain.CT,
        domain_share=0.9,
        narrative_share=0.8,
        stable=tuple(
            StableInterval(
                start_s=20.0 * i,
                end_s=20.0 * i + 20,
                image_id=p.image_id,
                method="median",
                width=p.width,
                height=p.height,
            )
            for i, p in enumerate(pictures)
        ),
        transcriber="whisper-tiny.en",
        language="en",
        words=(Word(start_s=0.0, end_s=0.4, text="The", probability=0.9, sentence=0),),
        clips=tuple(made),
        stage_times=(StageTime(stage="screen", seconds=1.5), StageTime(stage="look", seconds=12.0)),
        host="node-1",
        finished_at="2030-01-01T00:00:00+00:00",
    )


def ended(video_id: str, reason: Reason, stage: str, detail: str = "said by the decoder", attempt: int = 1) -> Video:
    """A rejected or failed video; faults of the screen leave no probe."""
    unopened = reason.status is Status.FAILED and stage == "screen"
    return Video(
        video_id=video_id,
        uri=f"/videos/{video_id}.mp4",
        attempt=attempt,
        fingerprint=FINGERPRINT,
        status=reason.status,
        stage=stage,
        reason=reason,
        detail=detail,
        probe=None if unopened else Probe(container="mp4", duration_s=300.0),
        stage_times=(StageTime(stage="screen", seconds=0.5),),
    )


def write_rows(out: Path, name: str, videos: Sequence[Video]) -> Path:
    """One file of `videos/`, with the id column that the writer puts first."""
    path = out / "videos" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = pa.array([v.row_id for v in videos], pa.string())
    pq.write_table(arrow_table(videos, Video).add_column(0, "row_id", ids), path, row_group_size=2)
    return path


def write_images(out: Path, video_id: str, pictures: Sequence[Image]) -> Path:
    """A video's file of pictures."""
    path = Path(image_path(str(out), video_id))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(arrow_table(pictures, Image), path)
    return path


def write_manifest(out: Path, videos: Sequence[Video]) -> None:
    """The manifest that asks for exactly these rows."""
    out.mkdir(parents=True, exist_ok=True)
    columns = MANIFEST_SCHEMA.names
    rows = [{c: getattr(v, c) for c in columns} for v in videos]
    pq.write_table(pa.Table.from_pylist(rows, MANIFEST_SCHEMA), out / "manifest.parquet")


def write_config(out: Path) -> None:
    """`config.json` as a run leaves it."""
    body = {
        "fingerprint": FINGERPRINT,
        "settings": {"clips.min_words": "10", "text.model": "'starter'"},
        "config": json.loads(to_json(Config(recipe="starter"))),
    }
    (out / "config.json").write_text(json.dumps(body))


def build(out: Path, files: Sequence[Sequence[Video]], pictures: Sequence[Image]) -> str:
    """A dataset of these rows, file by file, and these pictures; a manifest that asks for all of them."""
    write_manifest(out, [v for file in files for v in file])
    write_config(out)
    (out / "videos").mkdir(exist_ok=True)
    for number, file in enumerate(files):
        write_rows(out, f"run_{number:06d}-0", file)
    for video_id in {p.video_id for p in pictures}:
        write_images(out, video_id, [p for p in pictures if p.video_id == video_id])
    return str(out)


def sample() -> tuple[list[Video], list[Image]]:
    """Six videos: three ok (one of them after a failed attempt), two rejected, one failed; and their pictures."""
    liver = [picture("liver", 1), picture("liver", 2)]
    lung = [picture("lung", 3)]
    knee = [picture("knee", 4)]
    videos = [
        ok("lung", lung, [clip("lung", 40.0, None, "No picture here at all."), clip("lung", 0.0, lung[0])]),
        ended("knee", Reason.DEADLINE, "look"),
        ok("knee", knee, attempt=2),
        ended("cooking", Reason.NOT_MEDICAL, "classify", "no domain reaches its share"),
        ok("liver", liver),
        ended("silent", Reason.NO_SPEECH, "screen"),
        ended("broken", Reason.UNREADABLE, "screen", "moov atom not found"),
    ]
    return videos, [*liver, *lung, *knee]


def turn(video_id: str, clip_id: str, number: int, question: str, answer: str, options: tuple[str, ...] = (),
         family: str = "conversation") -> QuestionAnswer:  # fmt: skip
    return QuestionAnswer(
        video_id=video_id, clip_id=clip_id, turn=number, question=question, answer=answer, options=options, family=family,
        source="model", prompt="qa@1", model="m", question_id=f"{clip_id}/{family}/{number}",
    )  # fmt: skip


def write_turns(out: Path, turns: Sequence[QuestionAnswer], name: str = "part", rows_in_a_group: int = 100) -> None:
    (out / "instruct").mkdir(exist_ok=True)
    pq.write_table(arrow_table(turns, QuestionAnswer), out / "instruct" / f"{name}.parquet", row_group_size=rows_in_a_group)


def points(times: list[float]) -> Trace:
    """A cursor that goes down to the right by its own time."""
    return Trace(TracePoint(time_s=t, x=t, y=2 * t, confidence=1.0, state=CursorState.MOVING) for t in times)
