"""Files of any benchmark: ids, signs, names, and what is not of the form."""

import json

import pytest

from pipelines.errors import UsageError
from serve.evaluation.benchmarks import catalog
from tests.serve.evaluation.benchmarks.published import SURGERY, load, parquet, picture, put


def test_files_without_ids_of_their_own_do_not_collide(tmp_path):
    for shard in range(2):
        rows = [{"image": {"bytes": picture(shard), "path": None}, "question": "Q?", "answer": "yes"}]
        parquet(tmp_path / "data" / f"test-{shard}.parquet", rows)
    assert [q.question_id for q in load("VQA-RAD", tmp_path)] == ["test-0:0", "test-1:0"]


def test_a_line_of_jsonl_may_hold_any_sign(tmp_path):
    row = json.dumps(SURGERY | {"question": "What\u2028was\u0085removed?"}, ensure_ascii=False)
    put(tmp_path / "a.jsonl", f"{row}\n".encode())
    assert load("SurgeryVideoQA", tmp_path)[0].text == "What\u2028was\u0085removed?"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.jsonl", b"", "no question"),
        ("a.jsonl", b'{"id": 1', "cannot be read"),
        ("a.jsonl", b"[1, 2]\n", "no list of rows"),
        ("a.json", b'{"a": 1}', "no list of rows"),
        ("a.parquet", b"PAR1", "cannot be read"),
        ("a.txt", b"x", "none of"),
        ("a.jsonl", b"\xff\xfe\x00", "cannot be read"),
        ("a.jsonl", json.dumps(SURGERY | {"answer": " "}).encode(), "has no 'answer'"),
        ("a.jsonl", json.dumps({k: v for k, v in SURGERY.items() if k != "video"}).encode(), "has no 'video'"),
        ("a.jsonl", (json.dumps(SURGERY) + "\n" + json.dumps(SURGERY)).encode(), "Two questions"),
    ],
)
def test_files_that_are_not_of_the_form_are_refused_with_a_sentence(tmp_path, name, content, sentence):
    with pytest.raises(UsageError, match=sentence):
        load("SurgeryVideoQA", put(tmp_path / name, content))


def test_names_are_found_however_they_are_written_and_others_are_refused(tmp_path):
    for name in catalog.NAMES:
        assert catalog.find(name.upper().replace("-", "_"), tmp_path)[0].name == name
        with pytest.raises(UsageError, match="--data"):
            catalog.find(name, None)
    with pytest.raises(UsageError, match="There is no benchmark"):
        catalog.find("MedMCQA", tmp_path)
    with pytest.raises(UsageError, match="There is no"):
        load("MedQA", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds none of"):
        load("MedQA", tmp_path)
