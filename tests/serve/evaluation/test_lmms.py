import importlib.util
import io
from pathlib import Path

import PIL.Image
import pyarrow.parquet as pq
import pytest
import yaml

from pipelines.errors import UsageError
from pipelines.image_file import image_path
from serve.evaluation.config import OpenScore, Settings
from serve.evaluation.lmms import export_lmms
from serve.evaluation.prompts import prompt
from serve.evaluation.scoring import score
from tests.serve.evaluation.benchmarks.test_held_out import build, load

EVERY = Settings(held_out_share=1.0)


def as_lmms_eval_loads(path: Path):
    """The YAML as lmms-eval 0.7 reads it: a function is imported from the file beside, by its path."""

    class Loader(yaml.FullLoader):
        pass

    def function(loader, node):
        module, _, name = loader.construct_scalar(node).rpartition(".")
        spec = importlib.util.spec_from_file_location(module, path.parent / f"{module}.py")
        found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
        return getattr(found, name)

    Loader.add_constructor("!function", function)
    return yaml.load(path.read_text(), Loader)


@pytest.fixture
def data(tmp_path):
    return build(tmp_path / "My dataset")


def test_the_task_asks_and_scores_as_preceptor_does(data, tmp_path):
    number, name = export_lmms(data, tmp_path / "task", None, EVERY)
    questions = load(data, held_out_share=1.0)
    assert (number, name) == (len(questions), "preceptor_my_dataset")
    task = as_lmms_eval_loads(tmp_path / "task" / f"{name}.yaml")
    assert (task["task"], task["output_type"], task["test_split"], task["dataset_path"]) == (
        name, "generate_until", "test", "parquet",
    )  # fmt: skip
    rows = pq.read_table(task["dataset_kwargs"]["data_files"]["test"]).to_pylist()
    assert len(rows) == number
    for row, question in zip(rows, questions, strict=True):
        doc = row | {"image": PIL.Image.open(io.BytesIO(row["image"]["bytes"]))}
        assert task["doc_to_text"](doc, task["lmms_eval_specific_kwargs"]["default"]) == prompt(question)
        (shown,) = task["doc_to_visual"](doc)
        assert (shown.mode, row["image"]["bytes"]) == ("RGB", question.media[0].read())
        for reply in (question.answer, "A", "B. ", "The answer is C", "A large mass", "", "I cannot tell"):
            ours = score(question, reply, OpenScore.EXACT)
            theirs = task["process_results"](doc, [reply])
            assert theirs == {
                "preceptor_accuracy": ours.score or 0.0,
                "unparsed": float(ours.score is None),
                f"accuracy_{question.group}": ours.score or 0.0,
            }
            assert set(theirs) <= {m["metric"] for m in task["metric_list"]}
    assert task["metric_list"][0]["aggregation"]([1.0, 0.0]) == 0.5
    assert b"Image" in pq.read_schema(task["dataset_kwargs"]["data_files"]["test"]).metadata[b"huggingface"]


def test_a_folder_with_something_in_it_is_left_alone(data, tmp_path):
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="not empty"):
        export_lmms(data, tmp_path / "task", None, EVERY)
    with pytest.raises(UsageError, match="letters, digits"):
        export_lmms(data, tmp_path / "other", "a b", EVERY)


def test_a_missing_picture_stops_it_and_leaves_nothing(data, tmp_path):
    Path(image_path(str(data), "v3")).unlink()
    before = set(tmp_path.iterdir())
    with pytest.raises(UsageError, match="cannot be exported"):
        export_lmms(data, tmp_path / "task", None, EVERY)
    assert set(tmp_path.iterdir()) == before
