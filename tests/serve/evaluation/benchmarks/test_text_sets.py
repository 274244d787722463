"""MedQA and PubMedQA as published."""

import pytest

from pipelines.errors import UsageError
from serve.evaluation.question import Kind
from tests.serve.evaluation.benchmarks.published import load, put


def test_med_qa_with_four_and_with_five_options(tmp_path):
    row = {"question": "Which?", "answer": "Nitrofurantoin", "answer_idx": "D", "meta_info": "step2&3",
           "options": {"A": "Ampicillin", "B": "Ceftriaxone", "C": "Doxycycline", "D": "Nitrofurantoin"}}  # fmt: skip
    (question,) = load("MedQA", put(tmp_path / "phrases_no_exclude_test.jsonl", [row]))
    assert (question.kind, question.options[3], question.answer) == (Kind.OPTIONS, "Nitrofurantoin", "Nitrofurantoin")
    assert question.media == ()
    five = row | {"options": row["options"] | {"E": "None"}}
    assert len(load("MedQA", put(tmp_path / "US" / "test.jsonl", [five]))[0].options) == 5
    for wrong in ({"answer_idx": "E"}, {"answer": "Ampicillin"}):
        with pytest.raises(UsageError, match="Row 1"):
            load("MedQA", put(tmp_path / "test.jsonl", [row | wrong]))


def test_pub_med_qa_with_its_contexts_and_maybe(tmp_path):
    article = {"QUESTION": "Is it?", "CONTEXTS": ["Aim.", "Result."], "final_decision": "maybe", "LONG_ANSWER": "It may."}
    (question,) = load("PubMedQA", put(tmp_path / "ori_pqal.json", {"123": article}))
    assert (question.question_id, question.context, question.answer) == ("123", "Aim.\nResult.", "maybe")
    assert question.options == ("yes", "no", "maybe")
    put(tmp_path / "test_set.json", {"123": {k: v for k, v in article.items() if k != "final_decision"}})
    with pytest.raises(UsageError, match="no decision"):
        load("PubMedQA", tmp_path)
    put(tmp_path / "test_ground_truth.json", {"123": "no"})
    assert load("PubMedQA", tmp_path)[0].answer == "no"
    put(tmp_path / "test_set.json", {"123": article})
    with pytest.raises(UsageError, match="the decisions"):
        load("PubMedQA", tmp_path)


def test_pub_med_qa_as_published_is_asked_about_its_test_set(tmp_path):
    article = {"QUESTION": "Is it?", "CONTEXTS": ["Aim."], "final_decision": "no"}
    put(tmp_path / "ori_pqal.json", {str(i): article for i in range(4)})
    put(tmp_path / "test_ground_truth.json", {"1": "no", "3": "no"})
    assert [q.question_id for q in load("PubMedQA", tmp_path)] == ["1", "3"]
    put(tmp_path / "test_ground_truth.json", {"1": "yes"})
    with pytest.raises(UsageError, match="the decisions"):
        load("PubMedQA", tmp_path)
    put(tmp_path / "test_ground_truth.json", {"9": "yes"})
    with pytest.raises(UsageError, match="no article 9"):
        load("PubMedQA", tmp_path)
