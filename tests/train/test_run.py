"""What a training does around its steps, without Ray: its index, what its folder was made of, and what is left to do."""

import contextlib
import dataclasses
import shutil
from pathlib import Path

import pytest

from pipelines.errors import UsageError
from pipelines.settings import all_settings, with_settings
from pipelines.split import is_held_out
from pipelines.store import Store
from serve.evaluation.benchmarks import catalog
from serve.evaluation.config import Settings
from tests.pipelines import datasets
from tests.train import tiny, tiny_frames
from train import frame_tuning, index, run, sources, vlm_recipes
from train.config import DataSettings, RunSettings, Stage, TrainConfig
from train.frame_labels import Labelled
from train.starter_vlm import starter_vlm

VIDEOS = {f"v{i}" for i in range(12)}


@pytest.fixture
def data(tmp_path):
    return f"talks={tiny.curated(tmp_path / 'dataset', len(VIDEOS), 1)}"


@pytest.fixture
def begun(monkeypatch):
    """The stages that would have been trained, instead of training them."""
    names = []
    monkeypatch.setattr(run, "_stage", lambda job, workers, say: names.append(job.stage))
    return names


def config(share: float = 0.2) -> TrainConfig:
    plain = tiny.config("starter")
    return dataclasses.replace(plain, data=dataclasses.replace(plain.data, held_out_share=share))


def never():
    raise AssertionError("there is nothing to compute")


def go(data, out, given=None, connect=contextlib.nullcontext):
    """What is said."""
    said = []
    run.run([data], str(out), given or config(), connect=connect, say=said.append)
    return said


def learned(out):
    """The videos of every sample of the index."""
    streams = index.build(Store(str(out)), [], None).streams
    reader = index.Reader(index.local_folder(str(out)), streams)
    documents = [reader.document(number, row) for number, s in enumerate(streams) for row in range(s.samples)]
    return {d.sample_id.split(":")[0] for d in documents}


def files(folder):
    return {p.relative_to(folder): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def differing(one, other):
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def test_a_run_leaves_held_out_videos_out_of_its_index_and_says_so(data, tmp_path, begun):
    said = go(data, tmp_path / "out")
    assert any(line.startswith("talks: left out 2 held_out") for line in said)
    assert learned(tmp_path / "out") == VIDEOS - {v for v in VIDEOS if is_held_out(v, 0.2)}
    assert begun == ["all"]
    go(data, tmp_path / "all", config(0.0))
    assert learned(tmp_path / "all") == VIDEOS


def test_by_default_every_video_is_either_learned_from_or_asked_about(data, tmp_path, begun):
    go(data, tmp_path / "out", dataclasses.replace(config(), data=DataSettings(max_tokens=256, window=8)))
    questions = catalog.questions(*catalog.find(str(tmp_path / "dataset"), None), Settings())
    asked = {q.source_id for q in questions}
    assert asked
    assert learned(tmp_path / "out") == VIDEOS - asked


@pytest.mark.parametrize("name", list(vlm_recipes.RECIPES))
def test_no_recipe_learns_from_what_is_asked_about_by_default(name):
    assert vlm_recipes.recipe(name).data.held_out_share == Settings().held_out_share > 0


def test_another_seed_in_the_same_folder_is_refused_and_named(data, tmp_path, begun):
    go(data, tmp_path / "out")
    before = files(tmp_path / "out")
    with pytest.raises(UsageError, match=r"another configuration \(seed: 42 there, 7 here\)"):
        go(data, tmp_path / "out", dataclasses.replace(config(), seed=7), never)
    assert files(tmp_path / "out") == before


def test_a_run_that_goes_on_keeps_its_index_whatever_became_of_the_sources(data, tmp_path, begun):
    said, before = go(data, tmp_path / "out"), files(tmp_path / "out" / "index")
    shutil.rmtree(tmp_path / "dataset")
    assert go(data, tmp_path / "out") == said
    assert files(tmp_path / "out" / "index") == before
    assert begun == ["all", "all"]


def test_a_wrong_request_leaves_nothing_that_a_right_one_must_agree_with(data, tmp_path, begun):
    wrong = dataclasses.replace(config(0.0), stages={"films": Stage(kinds=("video",), rates=tiny.RATES)})
    with pytest.raises(UsageError, match="Stage films learns from video"):
        go(data, tmp_path / "out", wrong, never)
    assert not (tmp_path / "out" / "config.json").exists()
    go(data, tmp_path / "out")
    assert learned(tmp_path / "out") == VIDEOS - {v for v in VIDEOS if is_held_out(v, 0.2)}


def test_a_stage_learns_from_its_tasks_only(data, tmp_path):
    (source,) = sources.parse([data])
    shown = datasets.clip("v0", 0.0, datasets.picture("v0", 0))
    datasets.write_turns(Path(source.uri), [datasets.turn("v0", shown.clip_id, 0, "Where?", "On the left.")])
    stages = {name: Stage(rates=tiny.RATES, tasks=(name,)) for name in ("caption", "question")}
    jobs = tiny.jobs(tmp_path / "out", [source], dataclasses.replace(tiny.config(str(starter_vlm())), stages=stages))
    assert [[(s.task, s.samples) for s in job.streams] for job in jobs] == [[("caption", 12)], [("question", 1)]]
    items = dataclasses.replace(config(), stages={"items": Stage(rates=tiny.RATES, tasks=("conversation",))})
    with pytest.raises(UsageError, match="samples of the tasks conversation, and there are none"):
        go(data, tmp_path / "other", items, never)


def test_a_finished_run_does_nothing(data, tmp_path, begun):
    go(data, tmp_path / "out")
    Store(str(tmp_path / "out")).write(b"", "done", "model")
    said = go(data, tmp_path / "out", connect=never)
    assert said[-1] == f"the model is in {tmp_path / 'out' / 'model'}"
    assert begun == ["all"]


def test_a_stage_that_is_done_is_not_done_again(data, tmp_path, begun):
    stage = Stage(rates=tiny.RATES, batch_packs=3)
    given = dataclasses.replace(config(), stages={"first": stage, "second": stage})
    go(data, tmp_path / "out", given)
    assert begun == ["first", "second"]
    Store(str(tmp_path / "out")).write(b"", "done", "0_first")
    go(data, tmp_path / "out", given)
    assert begun == ["first", "second", "second"]


def test_a_stage_that_was_told_to_leave_stops_the_run(data, tmp_path, monkeypatch):
    stage = Stage(rates=tiny.RATES, batch_packs=3)
    given = dataclasses.replace(config(), stages={"first": stage, "second": stage})
    asked = []
    monkeypatch.setattr(run, "fit", lambda work, job, workers, say: asked.append(job.stage))
    with pytest.raises(run.Stopped, match="stage first was told to leave and kept a checkpoint"):
        go(data, tmp_path / "out", given)
    assert asked == ["first"]


def test_two_trainings_do_not_write_into_one_folder(data, tmp_path):
    with Store(str(tmp_path / "out")).locked(), pytest.raises(UsageError, match="Another run"):
        go(data, tmp_path / "out", connect=never)


def test_two_trainings_of_a_frame_classifier_do_not_write_into_one_folder(tmp_path):
    pictures, given = tiny_frames.folder(tmp_path / "pictures"), tiny_frames.config("nowhere")
    with Store(str(tmp_path / "out")).locked(), pytest.raises(UsageError, match="Another run"):
        frame_tuning.run([pictures], str(tmp_path / "out"), given, connect=never)


def weights(folder: Path, content: str = "one") -> str:
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_text(content)
    return str(folder)


TALKS, CHAT = (sources.Source(name=name, uri=f"/data/{name}") for name in ("talks", "chat"))
RUN = {f"run.{field.name}" for field in dataclasses.fields(RunSettings)}


def decides(given: TrainConfig, *changes: str, named=(TALKS, CHAT)) -> dict[str, str]:
    return run.learned_settings(with_settings(run.with_sources(given, named), changes), named, given.model)


def test_what_decides_what_is_learned_is_everything_but_where_it_runs(tmp_path):
    given = tiny.config(weights(tmp_path / "model"))
    found, every = decides(given), all_settings(run.with_sources(given, (TALKS, CHAT)))
    assert every.keys() - found.keys() == {"recipe", "data.prefetch", "data.threads"} | RUN
    assert found.keys() - every.keys() == {"sources.talks", "sources.chat", "stages", "model.weights", "code.order"}
    assert all(found[key] == every[key] for key in found.keys() & every.keys())


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        ("seed=7", {"seed"}),
        ("data.held_out_share=0.3", {"data.held_out_share"}),
        ("vision.fps=2", {"vision.fps"}),
        ("stages.all.rates.language=0.5", {"stages.all.rates.language"}),
        ("stages.all.weights.talks=0.5", {"stages.all.weights.talks"}),
        ("run.parallel=fsdp", set()),
        ("run.checkpoint_every_steps=9", set()),
        ("data.prefetch=9", set()),
        ("data.threads=9", set()),
    ],
)
def test_a_setting_decides_what_is_learned_unless_it_says_where_it_runs(tmp_path, change, keys):
    given = tiny.config(weights(tmp_path / "model"))
    assert differing(decides(given), decides(given, change)) == keys


def test_other_weights_sources_or_order_of_stages_learn_something_else(tmp_path):
    given = tiny.config(weights(tmp_path / "model"))
    before = decides(given)
    moved = dataclasses.replace(TALKS, uri="/elsewhere/talks")
    assert differing(before, decides(given, named=(moved, CHAT))) == {"sources.talks"}
    assert differing(before, decides(given, named=(TALKS,))) == {"sources.chat", "stages.all.weights.chat"}
    weights(tmp_path / "model", "two")
    assert differing(before, decides(given)) == {"model.weights"}
    stage = given.stages["all"]
    one, other = (decides(dataclasses.replace(given, stages=dict.fromkeys(order, stage))) for order in ("ab", "ba"))
    assert differing(one, other) == {"stages"}


def test_the_starter_is_known_by_what_made_it_and_not_by_where_it_lies():
    given = run.with_sources(tiny.config("starter"), [TALKS])
    one, moved, other = (run.learned_settings(given, [TALKS], f) for f in ("/cache/vlm-1", "/other/vlm-1", "/cache/vlm-2"))
    assert one == moved
    assert differing(one, other) == {"model.weights"}


LABELLED = [Labelled(path=f"/{n}.png", label="ct" if n % 2 else "mri", group=f"g{n}") for n in range(4)]


def test_what_decides_a_frame_classifier_is_everything_but_where_it_runs(tmp_path):
    given = tiny_frames.config(weights(tmp_path / "model"))
    found, every = frame_tuning.learned_settings(given, LABELLED), all_settings(given)
    assert every.keys() - found.keys() == {"recipe", "data.prefetch", "data.threads"} | RUN
    assert found.keys() - every.keys() == {"labels", "model.weights"}
    for change in ("seed=7", "data.held_out_share=0.3", "data.screens=0.5", "pace.epochs=2", "optimizer.kind=sgd"):
        changed = frame_tuning.learned_settings(with_settings(given, [change]), LABELLED)
        assert differing(found, changed) == {change.split("=")[0]}
    for change in ("run.threads=9", "data.prefetch=9", "data.threads=9"):
        assert frame_tuning.learned_settings(with_settings(given, [change]), LABELLED) == found


@pytest.mark.parametrize("change", [{"label": "xray"}, {"group": "g1"}, {"path": "/other.png"}])
def test_a_corrected_label_makes_another_frame_classifier(tmp_path, change):
    given = tiny_frames.config(weights(tmp_path / "model"))
    before = frame_tuning.learned_settings(given, LABELLED)
    corrected = [dataclasses.replace(LABELLED[0], **change), *LABELLED[1:]]
    assert differing(before, frame_tuning.learned_settings(given, corrected)) == {"labels"}
    assert frame_tuning.learned_settings(given, LABELLED[::-1]) == before
    weights(tmp_path / "model", "two")
    assert differing(before, frame_tuning.learned_settings(given, LABELLED)) == {"model.weights"}
