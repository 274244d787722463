"""`preceptor train frames` on two workers of Ray Train: a whole model, from labels to `curate`'s classes; the head."""

import contextlib
import json

import numpy as np
import pytest
import torch

from actors.frame_classifier import DOMAINS, Backbone, FrameClassifier
from cluster.connect import cluster
from pipelines.config import ClassifierSettings
from pipelines.errors import UsageError
from tests.train import tiny_frames
from train import log
from train.config import Pace
from train.frame_tuning import run
from train.frames import features_over

pytestmark = [pytest.mark.cluster, pytest.mark.long]  # what it teaches is in test_frame_lesson.py, Ray's part in test_vlm.py


@pytest.fixture(scope="module")
def ray_here():
    with cluster():
        yield


@pytest.fixture(scope="module")
def tuned(ray_here, tmp_path_factory):
    """Two workers; one red picture is labelled as if it were blue."""
    base, said = tmp_path_factory.mktemp("tuned"), []
    root = tiny_frames.folder(base / "pictures")
    tiny_frames.save(root / tiny_frames.BLUE / "mislabelled.png", tiny_frames.drawing(300, red=True))
    pace = Pace(epochs=16, batch_packs=2, warmup=0.1)
    config = tiny_frames.config(tiny_frames.vit(base / "start"), pace=pace, checkpoint_every_steps=20)

    def again(config=config):
        return run([root], str(base / "out"), config, workers=(2, 2), connect=contextlib.nullcontext, say=said.append)

    return base / "out", again(), said, again, config


def test_it_learns_on_two_workers_and_says_what_it_is_worth(tuned):
    out, report, said, _, _ = tuned
    assert report == json.loads((out / "report.json").read_text())
    assert report["classes"] == [tiny_frames.RED, tiny_frames.BLUE]
    assert report["held out"]["pictures"] == report["pictures"]["held out"] >= 2
    assert report["held out"]["classes"][tiny_frames.RED]["recall"] == 1.0
    assert any("2 workers on CPU: vit" in line for line in said)
    steps = log.read(str(out)).to_pylist()
    assert {s["workers"] for s in steps} == {2}
    assert [s["step"] for s in steps] == list(range(1, report["steps"] + 1))


def test_curate_takes_the_model_as_it_is(tuned):
    out, *_ = tuned
    classifier = FrameClassifier(ClassifierSettings(kind="transformers", model=str(out / "model")), device="cpu", threads=1)
    found = classifier([tiny_frames.drawing(seed, red=seed < 204) for seed in range(200, 208)])
    assert [DOMAINS[i] for i in found.argmax(1)] == [tiny_frames.RED] * 4 + [tiny_frames.BLUE] * 4


def test_the_wrong_label_is_shown(tuned):
    out, *_ = tuned
    page = (out / "disagreements.html").read_text()
    assert page.index("mislabelled.png") < page.index("</figure>")


def test_a_finished_run_does_nothing_and_another_is_refused(tuned):
    import dataclasses

    out, report, _, again, config = tuned
    before = (out / "model" / "model.safetensors").stat().st_mtime_ns
    assert again() == report
    assert (out / "model" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="seed: 42 there, 7 here"):
        again(dataclasses.replace(config, seed=7))


def test_the_heads_features_do_not_depend_on_who_computes_them(ray_here):
    frames = [tiny_frames.drawing(seed, red=seed % 2 == 0) for seed in range(70)]
    with features_over((2, 2)) as features:
        shared = features(frames)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as training does without workers: another number adds up in another order
    try:
        alone = Backbone("cpu").features(frames)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(shared, alone)
