"""`preceptor train vlm` through Ray Train: worker counts, FSDP2, kills, SIGTERM, and the real starter VLM."""

import contextlib
import os
import signal
import time
from collections import Counter

import psutil
import pytest
import torch
from transformers import AutoModelForImageTextToText

from cluster.connect import cluster
from tests import runs
from tests.train import tiny
from tests.train.alone import Alone
from train import log, sources
from train.config import Stage
from train.loop import train
from train.run import run

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    base = tmp_path_factory.mktemp("data")
    return [f"talks={tiny.curated(base / 'out', 4, 4)}", f"chat={tiny.llava(base / 'llava', 8)}"]


@pytest.fixture(scope="module")
def connect():
    with cluster():
        yield contextlib.nullcontext


def weights(out):
    return dict(AutoModelForImageTextToText.from_pretrained(out / "model").state_dict())


STAGE = Stage(rates=tiny.RATES, batch_packs=3, warmup=0.0)


@pytest.fixture(scope="module")
def one(folder, data, tmp_path_factory):
    """What one worker learns, without Ray."""
    out = tmp_path_factory.mktemp("one")
    (job,) = tiny.jobs(out, sources.parse(data), tiny.config(folder, stage=STAGE))
    assert train(job, Alone(out / "kept"))
    return out


@pytest.mark.parametrize("parallel", ["ddp", pytest.param("fsdp", marks=pytest.mark.long)])
def test_two_workers_learn_what_one_learns_and_say_it(one, folder, data, connect, tmp_path, parallel):
    said = []
    config = tiny.config(folder, stage=STAGE, parallel=parallel)
    run(data, str(tmp_path), config, workers=(2, 2), connect=connect, say=said.append)
    expected, found = log.read(str(one)).to_pylist(), log.read(str(tmp_path)).to_pylist()
    assert {r["workers"] for r in found} == {2}
    assert [r["digest"] for r in found] == [r["digest"] for r in expected]
    torch.testing.assert_close([r["loss"] for r in found], [r["loss"] for r in expected], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close([r["grad_norm"] for r in found], [r["grad_norm"] for r in expected], rtol=1e-3, atol=1e-4)
    alone = weights(one)
    for name, value in weights(tmp_path).items():
        torch.testing.assert_close(value, alone[name], rtol=1e-2, atol=2e-3, msg=name)
    assert any("talks: 16 image samples (caption)" in line for line in said)
    assert any("talks: left out 16 no_film" in line for line in said)
    assert any(f"2 workers on CPU: float32, SDPA, {'DDP' if parallel == 'ddp' else 'FSDP2'}" in line for line in said)
    assert sum(" tokens/s " in line for line in said) == len(found)
    assert (tmp_path / "config.json").exists()
    assert (tmp_path / "index" / "left_out.parquet").exists()


def command(folder, data, out, *more):
    return ["train", "vlm", *(w for d in data for w in ("--data", d)), "--out", str(out), "--model", folder,
            *(w for s in SETTINGS for w in ("--set", s)), *more]  # fmt: skip


SETTINGS = ("stages.all.batch_packs=1", "stages.all.epochs=12", "data.max_tokens=128", "run.checkpoint_every_steps=10",
            "vision.image_max_tokens=16", "data.window=8")  # fmt: skip


def wait_for_line(process, text, timeout_s=240):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        if text in line:
            return line
        assert process.poll() is None, process.stderr.read()
    raise AssertionError(f"'{text}' was not said")


def wait_for_checkpoint(out, timeout_s=120):
    """Until Ray's controller, which asks its workers once a second, knows of one."""
    snapshot = out / "checkpoints" / "0_all" / "checkpoint_manager_snapshot.json"
    deadline = time.monotonic() + timeout_s
    while not (snapshot.exists() and "checkpoint_20" in snapshot.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def worker_processes(process):
    family = psutil.Process(process.pid).children(recursive=True)
    return [p for p in family if "RayTrainWorker" in " ".join(p.cmdline())]


def resumed_at(line):
    return int(line.split("from step ")[1].split()[0])


@pytest.mark.long
def test_killed_worker_then_driver_then_told_to_leave_every_sample_is_seen_once(folder, data, tmp_path):
    """One run, interrupted three ways, on two workers and then on one."""
    process = runs.start(command(folder, data, tmp_path, "--workers", "2"))
    try:
        wait_for_line(process, "all 10/")
        wait_for_checkpoint(tmp_path)
        worker_processes(process)[0].kill()
        first = resumed_at(wait_for_line(process, "from step"))
        assert first >= 10
        wait_for_line(process, f"all {first + 12}/")
    finally:
        runs.end(process)  # SIGKILL to the driver and all of its processes
    process = runs.start(command(folder, data, tmp_path))
    try:
        second = resumed_at(wait_for_line(process, "from step"))
        assert second >= first
        wait_for_line(process, f"all {second + 2}/")
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=120) == 143
        assert "kept a checkpoint" in process.stderr.read()
    finally:
        runs.end(process)
    said = runs.run(command(folder, data, tmp_path))
    assert resumed_at(said) >= second + 2
    rows = log.read(str(tmp_path)).to_pylist()
    assert [r["step"] for r in rows] == list(range(1, len(rows) + 1))
    assert {r["workers"] for r in rows} == {1, 2}
    seen = Counter(s for r in rows for s in r["samples"])
    assert len(seen) == 16 + 8
    assert set(seen.values()) == {12}  # twelve epochs
    before = (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns
    runs.run(command(folder, data, tmp_path))  # and once more: nothing is left to do
    assert (tmp_path / "model" / "model.safetensors").stat().st_mtime_ns == before
    other = runs.start([*command(folder, data, tmp_path), "--set", "seed=7"])
    assert "seed: 42 there, 7 here" in other.communicate()[1]
    assert other.returncode == 2


@pytest.mark.long
def test_the_starter_vlm_learns(data, connect, tmp_path):
    """The real one, for a few steps on a handful of clips: the loss falls, and the folder answers."""
    import dataclasses

    from transformers import AutoProcessor

    from pipelines.settings import with_settings
    from train import vlm_recipes

    wanted = ["data.max_tokens=256", "stages.all.batch_packs=1", "stages.all.epochs=4", "stages.all.max_steps=8",
              "vision.image_max_tokens=16", "stages.all.warmup=0.1", "data.held_out_share=0"]  # fmt: skip
    config = with_settings(vlm_recipes.recipe("starter"), wanted)
    assert dataclasses.replace(config, model="starter") == config
    said = []
    run(data[:1], str(tmp_path), config, connect=connect, say=said.append)
    losses = [r["loss"] for r in log.read(str(tmp_path)).to_pylist()]
    assert len(losses) == 8
    assert sum(losses[-2:]) < 0.7 * sum(losses[:2]), losses
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    processor = AutoProcessor.from_pretrained(tmp_path / "model")
    asked = [{"role": "user", "content": "What is pneumonia?"}]
    inputs = processor.apply_chat_template(
        asked, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
    )
    words = model.generate(**inputs, max_new_tokens=8)[0, inputs["input_ids"].shape[1] :]
    assert processor.tokenizer.decode(words).strip()
