"""Questions and answers beside a dataset: one format, read for training and for evaluation."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import UsageError
from pipelines.instructed import Instructed
from tests.pipelines.datasets import turn, write_turns


def test_a_videos_turns_are_found_over_files_and_row_groups(tmp_path):
    turns = [turn(f"v{v}", f"v{v}:{c}", n, f"{v}{c}{n}?", "Yes.", family=f)
             for v in range(3) for c in range(2) for f in ("a", "b") for n in range(2)]  # fmt: skip
    write_turns(tmp_path, turns[::-2], "one", rows_in_a_group=3)
    write_turns(tmp_path, turns[-2::-2], "two")
    instructed = Instructed(str(tmp_path))
    for v in (2, 0, 1):
        assert instructed.of(f"v{v}") == [t for t in turns if t.video_id == f"v{v}"]
    asked = instructed.conversations("v1")
    assert list(asked) == ["v1:0", "v1:1"]
    assert [[t.turn for t in turns] for turns in asked["v1:0"]] == [[0, 1], [0, 1]]
    assert instructed.of("v9") == []


def test_there_may_be_no_questions(tmp_path):
    assert Instructed(str(tmp_path)).conversations("v0") == {}


def test_one_turn_stands_once(tmp_path):
    write_turns(tmp_path, [turn("v", "v:0", 0, "Is it?", "Yes."), turn("v", "v:0", 0, "Is it not?", "No.")])
    with pytest.raises(UsageError, match="same turn"):
        Instructed(str(tmp_path)).of("v")


def test_other_columns_are_said(tmp_path):
    (tmp_path / "instruct").mkdir()
    pq.write_table(pa.table({"clip_id": ["c"]}), tmp_path / "instruct" / "part.parquet")
    with pytest.raises(UsageError, match="cannot be read"):
        Instructed(str(tmp_path))
    pq.write_table(pa.table({"video_id": ["v"], "turns": ["x"]}), tmp_path / "instruct" / "part.parquet")
    with pytest.raises(UsageError, match="clip_id"):
        Instructed(str(tmp_path)).of("v")


@pytest.mark.parametrize(
    ("answer", "options", "sentence"),
    [(" ", (), "lacks"), ("c", ("a", "b"), "not exactly one"), ("a", ("a", "a"), "not exactly one"),
     ("a", ("a",), "2 to 10")],
)
def test_an_answer_is_there_and_among_its_options(answer, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        turn("v", "v:0", 0, "Which?", answer, options)


def test_what_is_learned_is_what_evaluation_asks():
    asked, answered = turn("v", "v:0", 0, "Which?", "b", ("a", "b")).words()
    assert (asked, answered) == ("Which?\n\nA. a\nB. b\n\nAnswer with the letter of the right option.", "B. b")
    assert turn("v", "v:0", 0, "Open?", "b").words() == ("Open?", "b")
