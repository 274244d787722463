import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest

from pipelines.errors import EnvironmentFault, UsageError
from serve.evaluation.client import JUDGE_KEY_VARIABLE
from serve.evaluation.config import Condition, Settings
from serve.evaluation.results import read_run
from serve.evaluation.run import Evaluation, evaluate
from serve.evaluation.table import table
from tests.conftest import ROOT
from tests.serve.evaluation.chat import Trouble, error, serving, shown, words

SIGNS = ("chest", "knee", "skull", "liver")


def write_questions(folder: Path, number: int) -> Path:
    """VQA-RAD's form: yes or no about pictures whose grey level is their number; every third is open."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for i in range(number):
        name = f"p{i // 2}.png"
        PIL.Image.fromarray(np.full((8, 8), 40 * (i // 2) % 256, np.uint8)).save(folder / "images" / name)
        answer = SIGNS[i % 4] if i % 3 == 2 else ("Yes", "No")[i % 2]
        kind = "OPEN" if i % 3 == 2 else "CLOSED"
        rows.append({"qid": i, "image_name": name, "question": f"Question {i}?", "answer": answer, "answer_type": kind,
                     "phrase_type": "test_freeform"})  # fmt: skip
    (folder / "VQA_RAD Dataset Public.json").write_text(json.dumps(rows))
    return folder


def number_in(request) -> int:
    return int(words(request).split("Question ")[1].split("?")[0])


def right(request) -> str:
    i = number_in(request)
    return SIGNS[i % 4] if i % 3 == 2 else ("Yes.", "No.")[i % 2]


def wanted(server, data: Path, out: Path, **other) -> Evaluation:
    changes = {"max_retries": 1, "resamples": 200} | other.pop("settings", {})
    settings = Settings(**changes)
    return Evaluation(url=server.url, model="m", benchmark="VQA-RAD", data=data, out=out, settings=settings, **other)


def rows_of(out: Path) -> list[dict]:
    return pq.read_table(out / "shown" / "results.parquet").to_pylist()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_questions(tmp_path / "vqa-rad", 12)


def test_one_row_per_question_in_order_with_everything_in_it(data, tmp_path):
    with serving(right) as server:
        evaluate(wanted(server, data, tmp_path / "out"))
    rows = rows_of(tmp_path / "out")
    assert [r["question_id"] for r in rows] == [str(i) for i in range(12)]
    assert all(r["status"] == "ok" and r["score"] == 1.0 and r["score_of"] == 1.0 for r in rows)
    first = rows[0]
    assert first["prompt"] == "Question 0?\n\nAnswer with yes or no only."
    assert (first["reply"], first["chosen"], first["expected"], first["options"]) == ("Yes.", "yes", "yes", ["yes", "no"])
    assert (first["media"], first["source_id"], first["group"]) == (["p0.png"], "p0.png", "closed")
    assert first["latency_s"] > 0
    assert (first["retries"], first["attempt"], first["model"]) == (0, 1, "m")
    assert {p["name"] for p in rows[2]["parts"]} == {"exact", "f1", "precision", "recall"}
    assert all(len(shown(r)) == 1 and shown(r)[0].startswith("data:image/png;base64,") for r in server.seen)
    assert server.seen[0]["temperature"] == 0.0
    assert server.seen[0]["seed"] == 0


def test_a_fault_is_a_row_with_its_reason_and_its_neighbours_are_answered(data, tmp_path):
    (data / "images" / "p1.png").unlink()  # questions 2 and 3
    (data / "images" / "p2.png").write_bytes(b"no picture")  # 4 and 5
    trouble = {6: error(400), 7: error(500), 8: Trouble(body=b"{"), 9: "It might be.", 10: "", 11: "wrong"}
    with serving(lambda r: trouble.get(number_in(r)) if number_in(r) in trouble else right(r)) as server:
        evaluate(wanted(server, data, tmp_path / "out"))
    rows = rows_of(tmp_path / "out")
    got = [(r["status"], r["reason"], r["score"]) for r in rows]
    assert got == [
        ("ok", None, 1.0), ("ok", None, 1.0),
        ("failed", "media_missing", None), ("failed", "media_missing", None),
        ("failed", "media_unreadable", None), ("failed", "media_unreadable", None),
        ("failed", "refused", None), ("failed", "server_error", None), ("failed", "malformed", None),
        ("unparsed", "no_choice", None), ("unparsed", "empty", None), ("ok", None, 0.0),
    ]  # fmt: skip
    assert all(r["detail"] for r in rows[2:9])


def test_the_same_command_asks_again_what_failed_and_nothing_else(data, tmp_path):
    with serving(lambda r: error(500) if number_in(r) in (3, 7) else right(r)) as server:
        evaluate(wanted(server, data, tmp_path / "out"))
    before = rows_of(tmp_path / "out")
    with serving(right) as server:
        evaluate(wanted(server, data, tmp_path / "out"))
        assert sorted(map(number_in, server.seen)) == [3, 7]
        evaluate(wanted(server, data, tmp_path / "out"))
        assert len(server.seen) == 2
    after = rows_of(tmp_path / "out")
    assert [r["attempt"] for r in after] == [2 if i in (3, 7) else 1 for i in range(12)]
    assert [r for i, r in enumerate(after) if i not in (3, 7)] == [r for i, r in enumerate(before) if i not in (3, 7)]
    assert all(r["score"] == 1.0 for r in after)


def test_a_limit_is_raised_later(data, tmp_path):
    with serving(right) as server:
        evaluate(wanted(server, data, tmp_path / "out", limit=5))
        assert (len(rows_of(tmp_path / "out")), len(server.seen)) == (5, 5)
        evaluate(wanted(server, data, tmp_path / "out", limit=8))
        assert (len(rows_of(tmp_path / "out")), len(server.seen)) == (8, 8)
    assert read_run(tmp_path / "out").questions == 12


def test_the_questions_at_a_time_are_bounded(data, tmp_path):
    with serving(lambda r: Trouble(content=right(r), stall_s=0.03)) as server:
        evaluate(wanted(server, data, tmp_path / "out", concurrency=3))
    assert server.most_at_once == 3


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (error(401), UsageError, "PRECEPTOR_API_KEY"),
        (error(404), UsageError, "has no 'm'"),
        (error(500), EnvironmentFault, "4 questions in a row have failed, the last: server_error"),
        (Trouble(body=b"{"), EnvironmentFault, "malformed"),
    ],
)
def test_what_every_question_meets_stops_the_run(data, tmp_path, answer, kind, sentence):
    settings = {"max_retries": 0, "stop_after": 4}
    with serving(lambda r: answer) as server, pytest.raises(kind, match=sentence):
        evaluate(wanted(server, data, tmp_path / "out", concurrency=1, settings=settings))
    assert len(server.seen) <= 4
    with serving(right) as server:
        evaluate(wanted(server, data, tmp_path / "out"))
    assert [r["score"] for r in rows_of(tmp_path / "out")] == [1.0] * 12


def test_a_server_that_goes_away_stops_the_run_and_what_is_answered_stays(data, tmp_path):
    count = 0

    def some(request):
        nonlocal count
        count += 1
        if count == 5:
            server.socket.close()  # nobody listens any more
        return Trouble(content=right(request), headers={"Connection": "close"})

    with serving(some) as server, pytest.raises(EnvironmentFault, match="cannot be reached"):
        evaluate(wanted(server, data, tmp_path / "out", concurrency=1))
    assert len(rows_of(tmp_path / "out")) == 5
    with serving(right) as server:
        evaluate(wanted(server, data, tmp_path / "out"))
        assert len(server.seen) == 7


def test_another_configuration_in_the_same_folder_is_named(data, tmp_path):
    with serving(right) as server:
        evaluate(wanted(server, data, tmp_path / "out"))
        with pytest.raises(UsageError, match="max_tokens: 64 there, 9 here"):
            evaluate(wanted(server, data, tmp_path / "out", settings={"max_tokens": 9}))
        evaluate(wanted(server, data, tmp_path / "out", concurrency=1, settings={"timeout_s": 9.0}))
        assert len(server.seen) == 12
        file = data / "VQA_RAD Dataset Public.json"
        file.write_text(file.read_text().replace("Yes", "No"))
        with pytest.raises(UsageError, match="questions"):
            evaluate(wanted(server, data, tmp_path / "out"))


def test_two_runs_at_once_are_refused(data, tmp_path):
    from serve.evaluation.folder import locked

    with serving(right) as server, locked(tmp_path / "out" / "shown"), pytest.raises(UsageError, match="Another run"):
        evaluate(wanted(server, data, tmp_path / "out"))


def test_blind_shows_nothing_and_shuffled_shows_anothers(data, tmp_path):
    with serving(right) as server:
        evaluate(wanted(server, data, tmp_path / "out"))
        own = {number_in(r): shown(r) for r in server.seen}
        server.seen.clear()
        evaluate(wanted(server, data, tmp_path / "out", condition=Condition.BLIND))
        assert [shown(r) for r in server.seen] == [[]] * 12
        server.seen.clear()
        evaluate(wanted(server, data, tmp_path / "out", condition=Condition.SHUFFLED))
        assert len(server.seen) == 12
        assert all(len(shown(r)) == 1 and shown(r) != own[number_in(r)] for r in server.seen)
    blind = pq.read_table(tmp_path / "out" / "blind" / "results.parquet").to_pylist()
    assert [r["media"] for r in blind] == [[]] * 12
    shuffled = pq.read_table(tmp_path / "out" / "shuffled" / "results.parquet").to_pylist()
    assert all(r["media"] != [r["source_id"]] for r in shuffled)


def judge(request):
    assert request["response_format"]["json_schema"]["strict"]
    return json.dumps({"correct": int("skull" in words(request).split("Answer to mark:")[1])})


def test_only_open_answers_go_to_the_judge_with_its_own_key(data, tmp_path, monkeypatch):
    monkeypatch.setenv(JUDGE_KEY_VARIABLE, "judge-key")
    with serving(right) as server, serving(judge) as judging:
        judged = {"judge_url": judging.url, "judge_model": "j"}
        evaluate(wanted(server, data, tmp_path / "out", **judged))
    rows = rows_of(tmp_path / "out")
    assert len(judging.seen) == 4
    assert set(judging.keys) == {"Bearer judge-key"}
    assert set(server.keys) == {"Bearer none"}
    for row in rows:
        if row["kind"] == "open":
            assert row["score"] == float(row["expected"] == "skull")
            assert row["judge"] == "j/binary-1"
            assert row["judge_replies"] == [json.dumps({"correct": int(row["score"])})]
        else:
            assert (row["judge"], row["score"]) == (None, 1.0)


def test_a_failing_judge_costs_no_second_question_to_the_model(data, tmp_path):
    with serving(right) as server, serving(lambda r: "I would say 1") as judging:
        judged = {"judge_url": judging.url, "judge_model": "j"}
        evaluate(wanted(server, data, tmp_path / "out", **judged))
        failed = [r for r in rows_of(tmp_path / "out") if r["status"] == "failed"]
        assert len(failed) == 4
        assert {r["reason"] for r in failed} == {"judge_malformed"}
        assert all(r["reply"] and r["score"] is None for r in failed)
        assert len(judging.seen) == 12  # three bounded tries each
        asked = len(server.seen)
        judging.answer = judge
        evaluate(wanted(server, data, tmp_path / "out", **judged))
        assert len(server.seen) == asked
    assert all(r["status"] == "ok" for r in rows_of(tmp_path / "out"))


def test_sigkill_and_go_on_every_question_once(tmp_path):
    data = write_questions(tmp_path / "vqa-rad", 30)
    out = tmp_path / "out"
    with serving(lambda r: Trouble(content=right(r), stall_s=0.02)) as server, serving(judge) as judging:
        command = [
            sys.executable, "-m", "cluster.cli", "evaluate", "--url", server.url, "--model", "m", "--benchmark", "vqa-rad",
            "--data", str(data), "--out", str(out), "--concurrency", "4", "--judge-url", judging.url, "--judge-model", "j",
        ]  # fmt: skip
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **quiet)
        while len(server.seen) < 12:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.stderr.close()
        assert not (out / "shown" / "results.parquet").exists()
        evaluate(wanted(server, data, out, judge_url=judging.url, judge_model="j"))
        times = Counter(map(number_in, server.seen))
    assert set(times) == set(range(30))
    assert sum(times.values()) <= 30 + 4  # only what was under way is asked again
    rows = rows_of(out)
    assert [r["expected"] for r in rows] == [SIGNS[i % 4] if i % 3 == 2 else ("yes", "no")[i % 2] for i in range(30)]
    assert len({r["question_id"] for r in rows}) == 30
    assert all(r["status"] == "ok" for r in rows)


def test_the_event_loop_is_not_held_up_by_reading(data, tmp_path):
    """Requests overlap although every picture is read and checked."""
    with serving(lambda r: Trouble(content=right(r), stall_s=0.05)) as server:
        evaluate(wanted(server, data, tmp_path / "out", concurrency=12))
    assert server.most_at_once > 3


def test_beside_a_marked_reference_an_empty_answer_is_marked_too(tmp_path):
    name = "72cHFeWTTbM_roi_41.jpg"
    told = {"questions": {"image": name, "text": "Question {}?", "category": "conv"}, "answers": {"text": "Glands."},
            "captions": {"text": "Low power."}}  # fmt: skip
    for kind, row in told.items():
        rows = [{"question_id": i} | {k: v.format(i) for k, v in row.items()} for i in range(2)]
        (tmp_path / f"quilt_gpt_{kind}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / name)
    seen = []

    def mark(request):
        seen.append(words(request).split("[Assistant 2]")[1].split("[End")[0].strip())
        return json.dumps({"reference": 8, "model": 8 if seen[-1] else 1})

    replies = {0: "<think>Could be colon.</think>Glands.", 1: "<think>It goes on"}
    with serving(lambda r: replies[number_in(r)]) as server, serving(mark) as judging:
        asked = wanted(server, tmp_path, tmp_path / "out", judge_url=judging.url, judge_model="j")
        out = evaluate(dataclasses.replace(asked, benchmark="Quilt"))
    assert sorted(seen) == ["", "Glands."]
    (line,) = [line for line in table([read_run(out)], Settings(resamples=200)).lines if line.group == "all"]
    assert line.score == pytest.approx(9 / 16)
