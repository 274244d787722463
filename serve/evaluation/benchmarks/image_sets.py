"""Benchmarks about pictures: VQA-RAD, PathVQA, SLAKE and Quilt-LLaVA's set, in their published formats."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.errors import UsageError
from serve.evaluation.benchmarks.files import PICTURES, Row, beside, find, identity, need, numbered, parquet_pictures, rows
from serve.evaluation.config import Settings
from serve.evaluation.question import Kind, Media, Medium, Question, file_media


def vqa_rad(data: Path, settings: Settings) -> Iterator[Question]:
    """`VQA_RAD Dataset Public.json` (its rows whose `phrase_type` begins with `test`) or Hugging Face's Parquet."""
    paths = find(data, ("VQA_RAD Dataset Public.json", "*.json", "data/test-*.parquet", "*.parquet"))
    for path, number, row, media in _pictured(paths, "image_name", ("VQA_RAD Image Folder", *PICTURES)):
        if "phrase_type" in row and not str(row["phrase_type"]).strip().startswith("test"):
            continue
        yield _question(path, number, row, media, identity(path, row, number, "qid"), row.get("answer_type"))


def path_vqa(data: Path, settings: Settings) -> Iterator[Question]:
    """`qas/test/test_qa.pkl` with pictures in `images/test` (`.jpg` left out in the rows), or Hugging Face's Parquet."""
    names = ("**/test_qa.pkl", "**/test_vqa.pkl", "data/test-*.parquet", "test*.json", "*.parquet")
    for path, number, row, media in _pictured(find(data, names), "image", ("images/test", "test", *PICTURES)):
        yield _question(path, number, row, media, f"{path.stem}:{number}", row.get("answer_type"))


def slake(data: Path, settings: Settings) -> Iterator[Question]:
    """`test.json` with pictures in `imgs`; questions of `language` (published results: English)."""
    for path, number, row, media in _pictured(find(data, ("test.json", "**/test.json")), "img_name", PICTURES):
        if settings.language in ("all", row.get("q_lang", "en")):
            yield _question(path, number, row, media, identity(path, row, number, "qid"), row.get("answer_type"))


def quilt(data: Path, settings: Settings) -> Iterator[Question]:
    """Quilt-LLaVA's judged set: `quilt_gpt_questions.jsonl`, `_answers.jsonl` (the reference) and `_captions.jsonl`."""
    (path,) = find(data, ("quilt_gpt_questions.jsonl", "**/quilt_gpt_questions.jsonl"))[:1]
    answers, captions = (_by_question(path, kind) for kind in ("answers", "captions"))
    for number, row in enumerate(rows(path)):
        key = need(row, "question_id", path, number)
        if key not in answers or key not in captions:
            raise UsageError(f"Question {key} of {path} has no reference answer or no caption.")
        name = need(row, "image", path, number)
        yield Question(
            question_id=key,
            source_id=name.partition("_roi_")[0],
            text=need(row, "text", path, number),
            kind=Kind.OPEN,
            answer=answers[key],
            media=(_file(path, name, PICTURES),),
            group=str(row.get("category") or ""),
            notes=captions[key],
        )


def _by_question(path: Path, kind: str) -> dict[str, str]:
    """Published, questions and captions lie in `playground/data/quilt_gpt`, the answers in `llava/eval/table`."""
    name = path.name.replace("questions", kind)
    published = [base / "llava" / "eval" / "table" / name for base in path.parents[:4]]
    other = next((p for p in (path.with_name(name), *published) if p.is_file()), None)
    if other is None:
        raise UsageError(f"There is no {path.with_name(name)}, which belongs to {path}.")
    return {need(r, "question_id", other, i): need(r, "text", other, i) for i, r in enumerate(rows(other))}


def _pictured(paths: Sequence[Path], name_key: str, folders: Sequence[str]) -> Iterator[tuple[Path, int, Row, Media]]:
    for path in paths:
        if path.suffix == ".parquet":
            found = rows(path, without=("image",))
            media = parquet_pictures(path)
            yield from ((path, number, row, media[number]) for number, row in enumerate(found))
        else:
            for _, number, row in numbered([path]):
                yield path, number, row, _file(path, need(row, name_key, path, number), folders)


def _file(path: Path, name: str, folders: Sequence[str]) -> Media:
    endings = ("",) if Path(name).suffix else (".jpg", ".png", "")
    found = (beside(path, name + ending, folders) for ending in endings)
    return file_media(next((f for f in found if f), None), Medium.IMAGE, name)


def _question(path: Path, number: int, row: Row, media: Media, question_id: str, answer_type: object) -> Question:
    """Yes and no are words to be chosen; every other answer is open, whatever the file calls it."""
    answer = need(row, "answer", path, number)
    is_word = answer.casefold().strip(" .") in ("yes", "no")
    return Question(
        question_id=question_id,
        source_id=media.media_id,
        text=need(row, "question", path, number),
        kind=Kind.WORD if is_word else Kind.OPEN,
        answer=answer.casefold().strip(" .") if is_word else answer,
        options=("yes", "no") if is_word else (),
        media=(media,),
        group=str(answer_type or ("closed" if is_word else "open")).strip().lower(),
    )
