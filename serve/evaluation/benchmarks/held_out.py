"""Questions about the held-out videos of one of our own datasets, or of an export of it.

Each clip with a picture is asked for its modality, its body region and its description, with four options in seeded order;
rows that `instruct` wrote into `DIR/instruct` are asked as they stand, each turn alone. The labels are the dataset's own:
`labelled_by` says who decided them, and the table shows each kind of question apart.
"""

import functools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines import dataset
from pipelines.errors import UsageError
from pipelines.instructed import Instructed
from pipelines.schema import Clip, ModelText, Status
from pipelines.split import is_held_out
from pipelines.stages.rules import MODALITIES, REGIONS, alike
from serve.evaluation.answer import Fault, Reason
from serve.evaluation.benchmarks.files import Row, need, parquet_pictures, rows
from serve.evaluation.config import Settings
from serve.evaluation.question import Kind, Media, Medium, Question

OPTIONS = 4
DESCRIPTION_CHARS = 220


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A clip with its picture and what the dataset says of it: label and who decided it."""

    clip_id: str
    video_id: str
    media: Media
    modality: tuple[str, str] | None
    region: tuple[str, str] | None
    description: tuple[str, str] | None


def held_out(data: Path, settings: Settings) -> Iterator[Question]:
    """The questions, by video and time.

    Raises:
        UsageError: `data` is neither dataset nor export, or holds nothing to ask.
    """
    every = list(_of_dataset(data) if (data / "manifest.parquet").exists() else _of_export(data))
    chosen = [s for s in every if is_held_out(s.video_id, settings.held_out_share)]
    if not chosen:
        videos = len({s.video_id for s in every})
        raise UsageError(
            f"Of the {videos} videos of {data} with pictures none is held out at a share of {settings.held_out_share:g}; "
            "--set held_out_share=1 asks about all."
        )
    descriptions = {s.clip_id: s.description[0] for s in chosen if s.description}
    owners = {s.clip_id: s.video_id for s in chosen}
    for shown in chosen:
        yield from _labels(shown, settings.seed)
        yield from _description(shown, descriptions, owners, settings.seed)
    yield from _instructed(data, {s.clip_id: s for s in chosen})


def _labels(shown: Shown, seed: int) -> Iterator[Question]:
    for kind, text, label, known in (
        ("modality", "Which modality does this picture show?", shown.modality, MODALITIES),
        ("region", "Which region of the body does this picture show?", shown.region, REGIONS),
    ):
        if label is None or label[0] == "Other":  # "Other" names nothing that could be seen
            continue
        near = alike(label[0])
        wrong = [k for k in known if k not in near and k.casefold() not in ("other", label[0].casefold())]
        yield _four(shown, kind, text, label, wrong, seed)


def _description(shown: Shown, texts: dict[str, str], owners: dict[str, str], seed: int) -> Iterator[Question]:
    if shown.description is None:
        return
    others = {t for clip, t in texts.items() if owners[clip] != shown.video_id} - {shown.description[0]}
    if len(others) >= OPTIONS - 1:
        text = "Which of these did the lecturer say about this picture?"
        yield _four(shown, "description", text, shown.description, sorted(others), seed)


def _four(shown: Shown, kind: str, text: str, label: tuple[str, str], wrong: Sequence[str], seed: int) -> Question:
    question_id = f"{shown.clip_id}/{kind}"
    order = random.Random(f"{seed}:{question_id}")  # noqa: S311 no secret
    options = [label[0]]
    for other in order.sample(list(wrong), len(wrong)):  # were two alike among them, neither would be right
        if len(options) < OPTIONS and not any(other in alike(o) for o in options):
            options.append(other)
    order.shuffle(options)
    return Question(
        question_id=question_id,
        source_id=shown.video_id,
        text=text,
        kind=Kind.OPTIONS,
        answer=label[0],
        options=tuple(options),
        media=(shown.media,),
        group=kind,
        labelled_by=label[1],
    )


def _of_dataset(data: Path) -> Iterator[Shown]:
    out = str(data)
    for video in dataset.rows_in_order(out, Status.OK, ("status", "clips")):
        for clip in sorted(video.clips, key=lambda c: (c.start_s, c.end_s, c.clip_id)):
            if clip.image_id is not None:
                read = functools.partial(_picture, out, video.video_id, clip.image_id)
                yield _shown(video.video_id, clip, Media(media_id=clip.image_id, medium=Medium.IMAGE, read=read))


def _shown(video_id: str, clip: Clip, media: Media) -> Shown:
    return Shown(
        clip_id=clip.clip_id,
        video_id=video_id,
        media=media,
        modality=(clip.modality.value, clip.modality.decided_by) if clip.modality else None,
        region=(clip.region.value, clip.region.decided_by) if clip.region else None,
        description=_said(clip.medical_text) or _said(clip.caption),
    )


def _said(text: ModelText | None) -> tuple[str, str] | None:
    return (_cut(text.text), f"{text.source}, {text.model}") if text and text.text else None


def _cut(text: str) -> str:
    """At most `DESCRIPTION_CHARS`, whole words."""
    words = " ".join(text.split())
    return words if len(words) <= DESCRIPTION_CHARS else words[:DESCRIPTION_CHARS].rsplit(" ", 1)[0] + " ..."


@functools.lru_cache(maxsize=4)
def _pictures(out: str, video_id: str) -> dict[str, bytes]:
    return {k: i.data for k, i in dataset.images(out, video_id).items()}


def _picture(out: str, video_id: str, image_id: str) -> bytes:
    data = _pictures(out, video_id).get(image_id)
    if data is None:
        raise Fault(Reason.MEDIA_MISSING, f"{out} holds no picture {image_id}; `preceptor audit` says more")
    return data


def _of_export(data: Path) -> Iterator[Shown]:
    paths = sorted(data.glob("data/train-*.parquet"))
    if not paths:
        raise UsageError(
            f"{data} is neither a dataset (it has no manifest.parquet) nor an export (no data/train-*.parquet)."
        )
    for path in paths:
        table = rows(path, without=("image",))
        media = parquet_pictures(path, wanted=[i for i, row in enumerate(table) if row.get("image_id")])
        for number, row in enumerate(table):
            if row.get("image_id"):
                models = row.get("models") or {}
                yield Shown(
                    clip_id=need(row, "clip_id", path, number),
                    video_id=need(row, "video_id", path, number),
                    media=media[number],
                    modality=_pair(row.get("modality"), models.get("modality_decided_by")),
                    region=_pair(row.get("region"), models.get("region_decided_by")),
                    description=next(filter(None, (_text(row, models, name) for name in ("medical_text", "caption"))), None),
                )


def _text(row: Row, models: Row, name: str) -> tuple[str, str] | None:
    by = (row.get(f"{name}_source"), models.get(f"{name}_model"))  # former exports know no source
    return _pair(row.get(name), ", ".join(filter(None, by)))


def _pair(text: object, by: object) -> tuple[str, str] | None:
    return (_cut(str(text)), str(by or "")) if text else None


def _instructed(data: Path, clips: dict[str, Shown]) -> Iterator[Question]:
    """The turns of `DIR/instruct` about these clips; those of clips that are not held out are for training."""
    instructed = Instructed(str(data))
    for video_id in dict.fromkeys(s.video_id for s in clips.values()):
        for turn in instructed.of(video_id):
            shown = clips.get(turn.clip_id)
            if shown is None:  # a clip without a picture
                continue
            word = turn.answer.casefold().strip(" .")
            is_word = word in ("yes", "no") and not turn.options
            yield Question(
                question_id=turn.question_id,
                source_id=video_id,
                text=turn.question,
                kind=Kind.WORD if is_word else Kind.OPTIONS if turn.options else Kind.OPEN,
                answer=word if is_word else turn.answer,
                options=("yes", "no") if is_word else turn.options,
                media=(shown.media,),
                group=turn.family,
                labelled_by=", ".join(p for p in (turn.source, turn.model) if p),
            )
