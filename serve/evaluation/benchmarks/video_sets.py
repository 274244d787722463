"""Benchmarks about films: SurgeryVideoQA, MIMICEchoQA and ViDRiP-LLaVA's test set, in their published formats."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import UsageError
from serve.evaluation.benchmarks.files import Row, beside, find, identity, need, numbered
from serve.evaluation.config import Settings
from serve.evaluation.question import Kind, Media, Medium, Question, file_media

_CLIP_FOLDERS = ("clips", "videos", "", "Test_Videos", "test_videos")
_WORDS = (("yes", "no"), ("yes", "no", "maybe"))


def surgery_video_qa(data: Path, settings: Settings) -> Iterator[Question]:
    """One question a row: `id, video_id, video, timestamp, question, answer`. The clips are what `preceptor slice` cuts."""
    for path, number, row in numbered(find(data, ("surgeryvideoqa*.jsonl", "*.jsonl", "data/test-*.parquet", "*.parquet"))):
        name = need(row, "video", path, number)
        yield Question(
            question_id=identity(path, row, number, "id"),
            source_id=need(row, "video_id", path, number),
            text=need(row, "question", path, number),
            kind=Kind.OPEN,
            answer=need(row, "answer", path, number),
            media=(_film(path, name),),
        )


def mimic_echo_qa(data: Path, settings: Settings) -> Iterator[Question]:
    """PhysioNet's `MIMICEchoQA.json`: four options a row. Its paths begin with another folder than the files lie in."""
    for path, number, row in numbered(find(data, ("MIMICEchoQA.json", "**/MIMICEchoQA.json", "data/test-*.parquet"))):
        name = _first_video(row, path, number)
        options = _options(row)
        right = _right_option(row, path, number)
        is_word = _is_words(options)
        yield Question(
            question_id=identity(path, row, number, "messages_id", "id"),
            source_id=_study(name),
            text=need(row, "question", path, number),
            kind=Kind.WORD if is_word else Kind.OPTIONS,
            answer=right.casefold() if is_word else right,
            options=tuple(w for w in _WORDS[-1] if w in [o.casefold() for o in options]) if is_word else options,
            media=(file_media(echo_file(path, name), Medium.VIDEO, name),),
            group=str(row.get("structure") or ""),
        )


def _options(row: Row) -> tuple[str, ...]:
    """The options in order. "None" is a grade like "Mild"; behind yes and no, or more than once, it fills the row."""
    values = [row.get(f"option_{letter}") for letter in "ABCD"]
    given = tuple(text for v in values if v is not None and (text := str(v).strip()) and text.casefold() != "nan")
    without = tuple(o for o in given if o.casefold() != "none")
    return given if len(given) - len(without) == 1 and not _is_words(without) else without


def _is_words(options: tuple[str, ...]) -> bool:
    return sorted(o.casefold() for o in options) in [sorted(w) for w in _WORDS]


def _first_video(row: Row, path: Path, number: int) -> str:
    videos = row.get("videos")
    if isinstance(videos, list) and videos:
        return str(videos[0]).replace("\\", "/")
    return need(row, "video", path, number)


def _right_option(row: Row, path: Path, number: int) -> str:
    """The right option's text: `correct_option` names its letter, and must agree with `answer` where there is one."""
    letter = need(row, "correct_option", path, number).strip("() .").upper().removeprefix("OPTION").strip(" _")
    right = str(row.get(f"option_{letter}", "")).strip()
    if right not in _options(row):
        raise UsageError(f"Row {number + 1} of {path}: the right option '{letter}' is not among the options.")
    answer = str(row.get("answer") or "").strip()
    if answer and answer.casefold() not in (right.casefold(), letter.casefold()):
        raise UsageError(f"Row {number + 1} of {path}: option {letter} is '{right}', but the answer is '{answer}'.")
    return right


def _study(name: str) -> str:
    """The patient's folder of `.../files/p13/p13265185/s97751020/97751020_0026.mp4`: one patient is one source."""
    parts = name.split("/")
    return parts[-3] if len(parts) >= 3 else name


def echo_file(path: Path, name: str) -> Path | None:
    """The film behind a published path: rows say `mimic-iv-echo/...`, the files lie under `MIMICEchoQA/...`."""
    _, _, rest = name.partition("/")
    for candidate in (name, rest, name.rsplit("/", 1)[-1]):
        found = candidate and beside(path, candidate, ("", "MIMICEchoQA", "videos", "clips"))
        if found:
            return found
    return None


def vidrip(data: Path, settings: Settings) -> Iterator[Question]:
    """ViDRiP's test set: `video_name, question, answer`, or LLaVA conversations with `video`; films in `Test_Videos`."""
    names = ("*[Tt]est*.json", "*[Tt]est*.jsonl", "data/test-*.parquet", "*.parquet", "*.json")
    for path, number, row in numbered(find(data, names)):
        name = str(row.get("video_name") or row.get("video") or "").strip()
        if not name:
            raise UsageError(f"Row {number + 1} of {path} has neither 'video_name' nor 'video'.")
        for turn, (question, answer) in enumerate(_turns(row, path, number)):
            yield Question(
                question_id=identity(path, row, number, "id") + (f":{turn}" if turn else ""),
                source_id=name,
                text=question,
                kind=Kind.OPEN,
                answer=answer,
                media=(_film(path, name),),
            )


def _turns(row: Row, path: Path, number: int) -> Iterator[tuple[str, str]]:
    talk = row.get("conversations")
    if not isinstance(talk, list):
        yield need(row, "question", path, number), need(row, "answer", path, number)
        return
    if len(talk) % 2 or any(t.get("from") != ("human", "gpt")[i % 2] for i, t in enumerate(talk)):
        raise UsageError(f"Row {number + 1} of {path}: its conversation does not take turns.")
    for asked, told in zip(talk[::2], talk[1::2], strict=True):
        text = str(asked.get("value", "")).replace("<image>", "").replace("<video>", "").strip()
        yield need({"question": text}, "question", path, number), need(told, "value", path, number)


def _film(path: Path, name: str) -> Media:
    """The clip called `name`, with or without its ending."""
    endings = ("",) if Path(name).suffix.lower() in (".mp4", ".mkv", ".webm", ".avi") else (".mp4", ".MP4", ".mkv", "")
    found = (beside(path, name + ending, _CLIP_FOLDERS) for ending in endings)
    return file_media(next((f for f in found if f), None), Medium.VIDEO, name)
