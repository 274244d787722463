import json

import msgspec
import pyarrow.parquet as pq
import pytest

from pipelines.errors import UsageError
from serve.evaluation.answer import Answer, Part, Reason, Status
from serve.evaluation.compare import compare
from serve.evaluation.config import Condition, Settings
from serve.evaluation.display import print_comparison, print_table
from serve.evaluation.results import Run
from serve.evaluation.table import Table, table, write

SETTINGS = Settings(resamples=500)
IDENTITY = {"benchmark": "B", "questions": "d1", "model": "m", "open_score": "exact", "judge": "none", "seed": "0"}


def answer(number, score, *, group="closed", source=None, status=Status.OK, reason=None, **more):
    told = {"score": score, "score_of": None if score is None else 1.0} | more
    return Answer(
        question_id=str(number), source_id=source or f"v{number}", group=group, kind=more.pop("kind", "word"), prompt="?",
        options=more.pop("options", ("yes", "no")), expected=more.pop("expected", "yes"), media=("p",), labelled_by="",
        status=status, reason=reason, **{k: v for k, v in told.items() if k not in ("kind", "expected", "options")},
    )  # fmt: skip


def run(answers, condition=Condition.SHOWN, folder="out", **identity):
    return Run(folder=folder, identity=IDENTITY | {"condition": str(condition)} | identity, questions=len(answers),
               answers=tuple(answers))  # fmt: skip


FAILED = {"status": Status.FAILED, "reason": Reason.TIMEOUT}
UNPARSED = {"status": Status.UNPARSED, "reason": Reason.NO_CHOICE}


def test_a_failure_is_in_no_score_and_an_unparsed_reply_is_not_right():
    answers = [answer(0, 1.0), answer(1, 1.0), answer(2, 0.0), answer(3, None, **FAILED), answer(4, None, **UNPARSED)]
    (line,) = table([run(answers)], SETTINGS).lines
    assert (line.questions, line.ok, line.failed, line.unparsed, line.sources) == (5, 3, 1, 1, 4)
    assert line.score == pytest.approx(2 / 4)
    assert line.parsed_score == pytest.approx(2 / 3)
    assert line.low < line.score < line.high


def test_only_failures_give_no_score_and_not_zero():
    (line,) = table([run([answer(i, None, **FAILED) for i in range(3)])], SETTINGS).lines
    assert (line.score, line.low, line.high, line.parsed_score, line.failed) == (None, None, None, None, 3)


def test_groups_latency_overlap_and_replies_cut_off():
    parts = (Part(name="f1", value=0.5), Part(name="recall", value=1.0))
    answers = [
        answer(0, 1.0, latency_s=1.0), answer(1, 0.0, latency_s=3.0, finish_reason="length"),
        answer(2, 0.0, group="open", kind="open", parts=parts, latency_s=2.0),
    ]  # fmt: skip
    lines = {line.group: line for line in table([run(answers)], SETTINGS).lines}
    assert set(lines) == {"all", "closed", "open"}
    assert (lines["all"].latency_p50_s, lines["all"].cut_off) == (2.0, 1)
    assert (lines["open"].f1, lines["open"].recall, lines["closed"].f1) == (0.5, 1.0, None)


def test_the_commonest_answer_is_a_floor_where_there_is_something_to_choose():
    answers = [answer(i, 1.0, expected="yes" if i < 7 else "no") for i in range(10)]
    assert table([run(answers)], SETTINGS).lines[0].commonest == pytest.approx(0.7)
    assert table([run([*answers, answer(10, 1.0, kind="open")])], SETTINGS).lines[0].commonest is None


def test_answers_that_are_equally_common_share_the_guess():
    answers = [answer(i, 1.0, expected=("yes", "no")[i % 2]) for i in range(10)]
    assert table([run(answers)], SETTINGS).lines[0].commonest == pytest.approx(0.5)


def test_an_answer_asked_for_once_is_not_the_commonest_of_its_own_question():
    answers = [answer(i, 1.0, options=(f"a{i}", f"b{i}"), expected=f"a{i}", kind="options") for i in range(10)]
    assert table([run(answers)], SETTINGS).lines[0].commonest == pytest.approx(0.5)
    sets = [("a", "b", f"c{i % 2}") for i in range(10)]
    one_video = [answer(i, 1.0, options=of, expected="a", source="v", kind="options") for i, of in enumerate(sets)]
    assert table([run(one_video)], SETTINGS).lines[0].commonest == pytest.approx(1 / 3)
    third = [answer(i, 1.0, options=("a", "b", f"c{i % 3}"), expected="ab"[i % 2], kind="options") for i in range(20)]
    assert table([run(third)], SETTINGS).lines[0].commonest == pytest.approx(0.5)  # even classes are no worse than chance
    told_elsewhere = [*one_video, answer(10, 1.0, options=("a", "b", "c0"), expected="a", kind="options")]
    assert table([run(told_elsewhere)], SETTINGS).lines[0].commonest == 1.0


def test_the_share_that_needs_no_looking():
    shown = [answer(i, float(i % 4 != 0)) for i in range(40)]  # 30 right
    blind = [answer(i, float(i % 4 == 1)) for i in range(40)]  # 10 right
    blind[3] = answer(3, None, **FAILED)
    (look,) = table([run(shown), run(blind, Condition.BLIND)], SETTINGS).looking
    assert (look.condition, look.questions) == (Condition.BLIND, 39)
    assert look.share == pytest.approx(10 / 29)
    assert look.low < look.share < look.high


def test_runs_that_differ_in_more_than_the_pictures_say_so():
    both = [run([answer(0, 1.0)]), run([answer(0, 1.0)], Condition.BLIND, seed="1")]
    (look,) = table(both, SETTINGS).looking
    assert (look.share, look.why_not) == (None, "the runs differ in seed")
    assert table(both[1:], SETTINGS).looking == ()


def test_where_the_score_is_a_share_of_the_references_it_is_a_ratio_of_sums():
    (line,) = table([run([answer(0, 6.0, score_of=8.0), answer(1, 4.0, score_of=10.0)])], SETTINGS).lines
    assert line.score == pytest.approx(10 / 18)


def test_the_table_is_printed_and_written(tmp_path, capsys):
    answers = [answer(i, float(i % 2), group="[red]odd") for i in range(4)] + [answer(9, None, group="b", **FAILED)]
    found = table([run(answers), run(answers, Condition.BLIND)], SETTINGS)
    write(found, tmp_path)
    print_table(found, tmp_path)
    said = capsys.readouterr().out
    assert "m on B: 5 questions" in said
    assert "[red]odd" in said
    assert "needs no looking (blind): 100.0% of the score, over 4 questions" in said
    assert "2 failed, in no score" in said
    assert msgspec.json.decode((tmp_path / "table.json").read_bytes(), type=Table) == found
    rows = pq.read_table(tmp_path / "table.parquet").to_pylist()
    assert [(r["condition"], r["group"], r["failed"]) for r in rows][:2] == [("shown", "all", 1), ("shown", "[red]odd", 0)]


def test_a_pair_is_compared_question_by_question(capsys):
    a = [answer(i, float(i < 10)) for i in range(30)] + [answer(30, None, **FAILED), answer(31, 1.0)]
    b = [answer(i, float(i < 20)) for i in range(30)] + [answer(30, 1.0), answer(31, None, **UNPARSED)]
    found = compare(run(a), run(b, model="n"), SETTINGS)
    assert (found.questions, found.left_out, found.first_better, found.second_better, found.equal) == (31, 1, 1, 10, 20)
    assert found.difference == pytest.approx(9 / 31)
    assert found.low < found.difference < found.high
    assert found.p_value < 0.05
    print_comparison(found)
    said = capsys.readouterr().out
    assert "B - A: +29.0 [" in said
    assert "left out: 1 questions" in said


def test_what_cannot_be_compared_is_not():
    for key in ("benchmark", "questions", "open_score", "judge"):
        with pytest.raises(UsageError, match="cannot be compared"):
            compare(run([answer(0, 1.0)]), run([answer(0, 1.0)], **{key: "other"}), SETTINGS)
    found = compare(run([answer(0, 1.0)]), run([answer(0, 1.0)], seed="3"), SETTINGS)
    assert found.notes == ("seed: 0 in A, 3 in B",)
    assert (found.difference, found.low, found.p_value) == (0.0, None, None)


def test_nothing_in_common_is_said(capsys):
    found = compare(run([answer(0, 1.0)]), run([answer(1, 1.0)]), SETTINGS)
    assert (found.questions, found.difference, found.left_out) == (0, None, 2)
    print_comparison(found)
    assert "no question has an answer in both" in capsys.readouterr().out
    json.dumps(msgspec.to_builtins(found))
