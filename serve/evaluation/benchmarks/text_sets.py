"""Benchmarks without pictures: MedQA and PubMedQA, in their published formats."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.errors import UsageError
from serve.evaluation.benchmarks.files import find, json_of, need, numbered
from serve.evaluation.config import Settings
from serve.evaluation.question import Kind, Question


def med_qa(data: Path, settings: Settings) -> Iterator[Question]:
    """`phrases_no_exclude_test.jsonl` (four options) or `US/test.jsonl` (five)."""
    names = ("phrases_no_exclude_test.jsonl", "**/phrases_no_exclude_test.jsonl", "**/US/test.jsonl", "test.jsonl")
    for path, number, row in numbered(find(data, names)[:1]):
        options, letter = row.get("options"), need(row, "answer_idx", path, number)
        if not isinstance(options, dict) or letter not in options:
            raise UsageError(f"Row {number + 1} of {path}: the right option '{letter}' is not among the options.")
        ordered = tuple(str(options[k]).strip() for k in sorted(options))
        right = str(options[letter]).strip()
        answer = str(row.get("answer", right)).strip()
        if answer != right:
            raise UsageError(f"Row {number + 1} of {path}: option {letter} is '{right}', but the answer is '{answer}'.")
        yield Question(
            question_id=f"{path.stem}:{number}",
            source_id=f"{path.stem}:{number}",
            text=need(row, "question", path, number),
            kind=Kind.OPTIONS,
            answer=right,
            options=ordered,
            group=str(row.get("meta_info") or ""),
        )


def pub_med_qa(data: Path, settings: Settings) -> Iterator[Question]:
    """`test_set.json`, `ori_pqal.json` or a sample of it: by PubMed id, `QUESTION`, `CONTEXTS`, `final_decision`.

    A test set without decisions takes them from its `..._ground_truth.json`. Where `ori_pqal.json` lies beside
    `test_ground_truth.json`, as published, only the 500 articles of the latter are asked about: the published test set.
    """
    (path,) = find(data, ("test_set.json", "ori_pqal.json", "sample*[0-9].json", "**/ori_pqal.json"))[:1]
    table = _table(path)
    is_whole = path.stem == "ori_pqal"
    stem = "test" if is_whole else path.stem.removesuffix("_set")
    truth_path = path.with_name(f"{stem}_ground_truth.json")
    truth = _table(truth_path) if truth_path.is_file() else {}
    if is_whole and truth:
        if missing := [key for key in truth if key not in table]:
            raise UsageError(f"{path} has no article {missing[0]}, which {truth_path} asks about.")
        table = {key: row for key, row in table.items() if key in truth}
    for number, (key, row) in enumerate(table.items()):
        if not isinstance(row, dict):
            raise UsageError(f"Row {number + 1} of {path} is no article.")
        said = {str(v).strip().lower() for v in (row.get("final_decision"), truth.get(key)) if v}
        if len(said) != 1 or not said <= {"yes", "no", "maybe"}:
            raise UsageError(
                f"Article {key} of {path} has {'no decision' if not said else 'the decisions ' + str(sorted(said))}."
            )
        contexts = row.get("CONTEXTS") or []
        yield Question(
            question_id=key,
            source_id=key,
            text=need(row, "QUESTION", path, number),
            kind=Kind.WORD,
            answer=said.pop(),
            options=("yes", "no", "maybe"),
            context="\n".join(str(c) for c in contexts),
        )


def _table(path: Path) -> dict[str, Any]:
    try:
        found = json_of(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} is no table of articles by PubMed id.")
    return found
