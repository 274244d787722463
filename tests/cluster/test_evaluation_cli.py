"""The verbs as a person types them, in this process: `main` with its exit statuses."""

import json

import pyarrow.parquet as pq
import pytest

from cluster import cli
from pipelines.split import HELD_OUT_SHARE, is_held_out
from tests.media import write_video
from tests.serve.evaluation.benchmarks.test_held_out import build
from tests.serve.evaluation.chat import error, serving
from tests.serve.evaluation.test_run import right, write_questions

NOBODY = "http://127.0.0.1:9/v1"


@pytest.fixture
def preceptor(monkeypatch, capsys):
    def run(*words):
        monkeypatch.setattr("sys.argv", ["preceptor", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


def test_evaluate_blind_and_compare(tmp_path, preceptor):
    data, out = write_questions(tmp_path / "vqa-rad", 12), tmp_path / "out"
    base = ("--model", "m", "--benchmark", "VQA-RAD", "--data", data, "--out", out, "--set", "resamples=200")
    with serving(right) as server:
        code, said, _ = preceptor("evaluate", "--url", server.url, *base, "--limit", "8")
        assert (code, "asked so far: 8 of 12" in said) == (0, True)
        code, said, _ = preceptor("evaluate", "--url", server.url, *base)
        assert code == 0
        assert len(server.seen) == 12
    with serving(lambda r: "Yes.") as server:
        code, said, _ = preceptor("evaluate", "--url", server.url, *base, "--blind")
    assert code == 0
    assert "needs no looking (blind): 33.3% of the score" in said
    assert {line["condition"] for line in json.loads((out / "table.json").read_text())["lines"]} == {"shown", "blind"}
    code, said, _ = preceptor("evaluate", "compare", out / "blind", out, "--out", tmp_path / "c.json")
    assert code == 0
    assert "B - A: +66.7 [" in said
    assert json.loads((tmp_path / "c.json").read_text())["second_better"] == 8


@pytest.mark.parametrize(("words", "share"), [((), HELD_OUT_SHARE), (("--set", "held_out_share=0.5"), 0.5)])
def test_a_dataset_is_asked_about_its_held_out_videos_and_no_others(tmp_path, preceptor, words, share):
    data = build(tmp_path / "dataset", videos=12)
    with serving(lambda r: "A") as server:
        code, _, _ = preceptor("evaluate", "--url", server.url, "--model", "m", "--benchmark", data,
                               "--out", tmp_path / "out", "--set", "resamples=200", *words)  # fmt: skip
    assert code == 0
    asked = pq.read_table(tmp_path / "out" / "shown" / "results.parquet")["source_id"].to_pylist()
    assert set(asked) == {f"v{i}" for i in range(12) if is_held_out(f"v{i}", share)}
    assert len(server.seen) == len(asked)


def test_failed_questions_are_said_and_give_status_1(tmp_path, preceptor):
    data = write_questions(tmp_path / "vqa-rad", 4)
    with serving(lambda r: error(400)) as server:
        code, said, _ = preceptor("evaluate", "--url", server.url, "--model", "m", "--benchmark", "VQA-RAD", "--data", data,
                                  "--out", tmp_path / "out")  # fmt: skip
    assert code == 1
    assert "4 failed, in no score" in said
    lines = json.loads((tmp_path / "out" / "table.json").read_text())["lines"]
    assert [line["score"] for line in lines] == [None] * len(lines)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "needs --url, --model and --benchmark"),
        (("--blind", "--shuffled"), "two runs"),
        (("--benchmark", "nothing"), "There is no benchmark"),
        (("--set", "max_tokens=x"), "max_tokens"),
        (("--set", "tokens=3"), "There is no setting 'tokens'"),
        (("--set", "video=gif"), "video"),
        (("--judge-url", "http://x"), "both --judge-url and --judge-model"),
        (("--set", "open_score=judge"), "needs --judge-url"),
        (("--url", "localhost"), "http://"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_status_2(tmp_path, preceptor, words, sentence):
    data = write_questions(tmp_path / "vqa-rad", 2)
    given = {"--url": NOBODY, "--model": "m", "--benchmark": "VQA-RAD", "--data": data, "--out": tmp_path / "o"}
    others = [w for key, value in given.items() if words and key not in words for w in (key, value)]
    code, _, said = preceptor("evaluate", *others, *words)
    assert (code, sentence in said, len(said.strip().splitlines())) == (2, True, 1)


def test_a_server_that_is_not_there_is_status_3(tmp_path, preceptor):
    data = write_questions(tmp_path / "vqa-rad", 2)
    code, _, said = preceptor("evaluate", "--url", NOBODY, "--model", "m", "--benchmark", "VQA-RAD", "--data", data,
                              "--out", tmp_path / "o", "--set", "max_retries=0")  # fmt: skip
    assert (code, "cannot be reached" in said) == (3, True)


def test_slice_counts_every_clip(tmp_path, preceptor):
    (tmp_path / "raw").mkdir()
    write_video(tmp_path / "raw" / "a.mp4", seconds=3.0, audio=False)
    rows = [{"video_id": v, "video": f"{v}_0_2.mp4", "timestamp": [0, 2]} for v in ("a", "a", "gone")]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    code, said, _ = preceptor("slice", tmp_path / "q.jsonl", "--videos", tmp_path / "raw", "--out", tmp_path / "clips")
    assert code == 1
    assert "2 clips = 1 cut now + 0 there before + 1 failed" in said
    assert "gone_0_2.mp4: source_missing" in said
