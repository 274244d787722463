"""A whole stage on one worker in this process: no Ray, seconds. What Ray adds is in test_vlm.py."""

import dataclasses
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForImageTextToText

from pipelines.errors import EnvironmentFault, UsageError
from tests.train import tiny
from tests.train.alone import Alone
from train import checkpoint, log, sources
from train.account import Account
from train.config import LoraSettings, Rates, RunSettings, Stage
from train.loop import train
from train.model import means
from train.sampler import Pack, Position, Ref


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    base = tmp_path_factory.mktemp("data")
    return sources.parse([f"talks={tiny.curated(base / 'out', 3, 3)}", f"chat={tiny.llava(base / 'llava', 6)}"])


def weights(out, *parts):
    model = AutoModelForImageTextToText.from_pretrained(out.joinpath(*(parts or ("model",))))
    return dict(model.state_dict())


@pytest.fixture(scope="module")
def whole(folder, data, tmp_path_factory):
    """A run that nothing interrupts: two epochs."""
    out = tmp_path_factory.mktemp("whole")
    stage = Stage(rates=tiny.RATES, batch_packs=1, epochs=2)
    (job,) = tiny.jobs(out, data, tiny.config(folder, stage=stage))
    worker = Alone(out / "kept")
    assert train(job, worker)
    return out, job, worker


def test_loss_falls_and_every_sample_is_seen_once_an_epoch(whole):
    out, job, worker = whole
    rows = log.read(str(out)).to_pylist()
    assert [r["step"] for r in rows] == list(range(1, job.total_steps + 1))
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.1
    for epoch in range(2):
        seen = Counter(s for r in rows if r["epoch"] == epoch for s in r["samples"])
        assert len(seen) == 9 + 6
        assert set(seen.values()) == {1}
    assert any("SDPA" in line and "float32" in line for line in worker.lines)
    assert "tokens/s" in worker.lines[-1]
    assert list((out / "tensorboard" / "all").iterdir())


def test_the_model_is_a_plain_folder_that_learned(whole, folder):
    out, _, _ = whole
    before = dict(AutoModelForImageTextToText.from_pretrained(folder).state_dict())
    after = weights(out)
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"model.visual.merger.mlp.0.weight", "model.language_model.layers.0.mlp.up_proj.weight"} <= moved
    assert not any("embed_tokens" in n or "lm_head" in n for n in moved)  # published: frozen
    assert (out / "model" / "chat_template.jinja").exists()


@pytest.mark.parametrize("how", ["leave", "die"])
def test_interrupted_it_goes_on_as_if_nothing_had_been(whole, data, folder, tmp_path, how):
    _, job, _ = whole
    job = tiny.jobs(tmp_path, data, tiny.config(folder, stage=job.config.stages["all"]))[0]
    if how == "leave":
        assert not train(job, Alone(tmp_path / "kept", leave_at=3))
    else:  # in the fourth step, two behind the last checkpoint
        with pytest.raises(KeyboardInterrupt):
            train(job, Alone(tmp_path / "kept", die_at=4))
    assert not checkpoint.published(str(tmp_path), "model")
    worker = Alone(tmp_path / "kept")
    assert train(job, worker)
    assert f"from step {3 if how == 'leave' else 2} of" in worker.lines[0]
    expected, found = log.read(str(whole[0])).to_pylist(), log.read(str(tmp_path)).to_pylist()
    assert [r["samples"] for r in found] == [r["samples"] for r in expected]
    assert found[-1]["digest"] == expected[-1]["digest"]
    torch.testing.assert_close([r["loss"] for r in found], [r["loss"] for r in expected], rtol=1e-5, atol=1e-6)
    after, uninterrupted = weights(tmp_path), weights(whole[0])
    for name, value in uninterrupted.items():
        torch.testing.assert_close(after[name], value, rtol=1e-5, atol=1e-6, msg=name)


def test_a_machine_that_may_go_gets_one_checkpoint_and_the_stage_goes_on_to_its_end(data, folder, tmp_path):
    stage = Stage(rates=tiny.RATES, batch_packs=1, max_steps=4)
    (job,) = tiny.jobs(tmp_path, data, tiny.config(folder, stage=stage, checkpoint_every_steps=100))
    worker = Alone(tmp_path / "kept", save_at=2)
    assert train(job, worker)
    assert worker.kept_at == [2]
    assert [r["step"] for r in log.read(str(tmp_path)).to_pylist()] == [1, 2, 3, 4]
    assert checkpoint.published(str(tmp_path), "model")


ONE, OTHER = (Pack((Ref(0, row), Ref(1, row)), Position(0, 0, row + 1)) for row in range(2))


def settled(planned, taken, learned=12, notice=None):
    """A step that is to learn 12 tokens of the planned packs, and took these."""
    cpu = torch.device("cpu")
    account = Account(SimpleNamespace(stage="all"), 1, cpu, means(RunSettings(), cpu))
    account.begin(12)
    for pack in taken:
        account.took(1.0, pack, SimpleNamespace(tokens=20, targets=learned // len(taken)), 0.0)
    return account.settle(notice, planned)


@pytest.mark.parametrize(
    ("planned", "taken", "learned"),
    [
        ([ONE], [OTHER], 12),
        ([ONE], [ONE, ONE], 12),
        ([ONE], [ONE, OTHER], 12),
        ([ONE, OTHER], [ONE], 12),
        ([ONE], [ONE], 11),
    ],
    ids=["another", "twice", "one more", "one less", "fewer tokens"],
)
def test_a_step_that_did_not_take_its_samples_exactly_once_ends_the_run(planned, taken, learned):
    with pytest.raises(EnvironmentFault, match="A step of stage all did not take its samples exactly once"):
        settled(planned, taken, learned)


def test_a_step_that_took_its_samples_in_any_order_goes_on_and_passes_on_what_was_told():
    assert [settled([ONE, OTHER], [OTHER, ONE], notice=told) for told in (None, "save", "leave")] == [None, "save", "leave"]


@pytest.mark.long
def test_compiled_it_learns_the_same(whole, folder, data, tmp_path):
    """From pack to pack of another length; the compiler needs a while."""
    out, job, _ = whole
    config = dataclasses.replace(job.config, run=dataclasses.replace(job.run, compile=True))
    (compiled,) = tiny.jobs(tmp_path, data, config)
    worker = Alone(tmp_path / "kept")
    assert train(compiled, worker)
    assert "compiled" in worker.lines[0]
    losses = [[r["loss"] for r in log.read(str(o)).to_pylist()] for o in (out, tmp_path)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_lora_learns_adapters_only_and_merges(data, folder, tmp_path, monkeypatch):
    stage = Stage(rates=Rates(language=1e-2), lora=LoraSettings(rank=4, alpha=8, dropout=0.1), batch_packs=2, max_steps=3)
    (job,) = tiny.jobs(tmp_path, data, tiny.config(folder, stage=stage))
    kept = {}
    real = checkpoint.learned

    def spying(module):
        kept["gradients"] = [n for n, p in module.named_parameters() if p.requires_grad]
        kept["frozen"] = {n: p.detach().clone() for n, p in module.named_parameters() if not p.requires_grad}
        return real(module)

    monkeypatch.setattr(checkpoint, "learned", spying)
    assert train(job, Alone(tmp_path / "kept"))
    assert kept["gradients"]
    assert all("lora_" in name for name in kept["gradients"])
    before, after = dict(AutoModelForImageTextToText.from_pretrained(folder).state_dict()), weights(tmp_path)
    for name, value in kept["frozen"].items():  # the base weights, while the adapters learned beside them
        original = name.removeprefix("model.base_model.model.").replace(".base_layer", "")
        assert torch.equal(value, before[original]), name
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all("language_model.layers" in n and n.endswith("_proj.weight") for n in moved)
    from peft import PeftModel

    base = AutoModelForImageTextToText.from_pretrained(folder)
    beside = PeftModel.from_pretrained(base, tmp_path / "model" / "adapter").merge_and_unload().state_dict()
    for name in moved:
        torch.testing.assert_close(beside[name], after[name])


def test_dropout_falls_the_same_after_an_interruption(data, folder, tmp_path):
    stage = Stage(rates=Rates(language=1e-2), lora=LoraSettings(rank=4, alpha=8, dropout=0.5), batch_packs=1, max_steps=4)
    ends = []
    for name, leave_at in (("whole", None), ("interrupted", 2)):
        (job,) = tiny.jobs(tmp_path / name, data, tiny.config(folder, stage=stage))
        torch.manual_seed(len(ends))  # whatever randomness the process comes with
        if leave_at:
            assert not train(job, Alone(tmp_path / name / "kept", leave_at=leave_at))
        torch.manual_seed(99)
        assert train(job, Alone(tmp_path / name / "kept"))
        ends.append(weights(tmp_path / name))
    for name, value in ends[0].items():
        torch.testing.assert_close(ends[1][name], value, rtol=1e-5, atol=1e-6, msg=name)


def test_the_log_forgets_what_is_done_again(tmp_path):
    def step(number):
        return log.Step(stage="all", step=number, epoch=0, loss=1.0, learning_rate=1.0, grad_norm=1.0, tokens=1, targets=1,
                        samples=(f"a.text.caption:{number}",), digest="", seconds=1.0, workers=1,
                        memory_gb=1.0, packing=1.0)  # fmt: skip

    first = log.Log(str(tmp_path), "all", 0, 9)
    for number in (1, 2, 3, 4):  # the second commit's checkpoint was never known
        first.add(step(number))
        if number % 2 == 0:
            first.commit()
    again = log.Log(str(tmp_path), "all", 2, 9)
    assert log.read(str(tmp_path)).column("step").to_pylist() == [1, 2]
    again.add(step(3))
    again.commit()
    assert log.read(str(tmp_path)).column("step").to_pylist() == [1, 2, 3]


def test_stages_follow_one_another(data, folder, tmp_path):
    config = dataclasses.replace(
        tiny.config(folder),
        stages={
            "projector": Stage(kinds=("image",), rates=Rates(projector=1e-2), batch_packs=2, max_steps=2),
            "left": Stage(epochs=0),
            "text": Stage(kinds=("text",), rates=Rates(language=1e-2), batch_packs=1, max_steps=1),
        },
    )
    first, second = tiny.jobs(tmp_path, data, config)
    assert train(first, Alone(tmp_path / "kept1"))
    assert train(second, Alone(tmp_path / "kept2"))
    start = dict(AutoModelForImageTextToText.from_pretrained(folder).state_dict())
    middle, end = weights(tmp_path, "stages", "0_projector"), weights(tmp_path)
    assert {n for n in start if not torch.equal(start[n], middle[n])} == {n for n in start if "visual.merger" in n}
    later = {n for n in start if not torch.equal(middle[n], end[n])}
    assert later
    assert all("language_model" in n and "embed" not in n for n in later)
    rows = log.read(str(tmp_path)).to_pylist()
    assert all("image" in s for r in rows if r["stage"] == "projector" for s in r["samples"])
    assert all("text" in s for r in rows if r["stage"] == "text" for s in r["samples"])


def test_a_stage_without_samples_is_named(data, folder, tmp_path):
    stage = Stage(kinds=("video",), rates=tiny.RATES)
    with pytest.raises(UsageError, match="Stage all learns from video"):
        tiny.jobs(tmp_path, data, tiny.config(folder, stage=stage))
