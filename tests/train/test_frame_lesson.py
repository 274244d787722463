"""A whole classifier's fine-tuning on one worker in this process: it learns, is balanced, and goes on when interrupted."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageClassification

from pipelines.config import ClassifierSettings
from pipelines.errors import EnvironmentFault, UsageError
from pipelines.store import Store
from tests.train import tiny_frames
from tests.train.alone import Alone
from train import frame_labels, log
from train.config import Pace
from train.frame_config import RECIPES, FrameData
from train.frame_lesson import cropped, settle, shown_to_model, train, varied
from train.frame_model import load
from train.frame_tuning import plan


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return tiny_frames.folder(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_frames.vit(tmp_path_factory.mktemp("vit"))


def job(out, pictures, config):
    store = Store(str(out))
    contents = frame_labels.build(store, *frame_labels.read([pictures]), config.data.held_out_share)
    return plan(store.out, config, contents, frame_labels.load(store.out))


def weights(out):
    return dict(AutoModelForImageClassification.from_pretrained(out / "model").state_dict())


@pytest.mark.parametrize("kind", [pytest.param("vit", marks=pytest.mark.long), "siglip", "resnet"])
def test_each_kind_learns_the_colour_and_goes_on_as_if_nothing_had_been(pictures, tmp_path, kind):
    from actors.frame_classifier import DOMAINS, FrameClassifier

    start = getattr(tiny_frames, kind)(tmp_path / "start")
    config = tiny_frames.config(start, pace=Pace(epochs=16, batch_packs=2, warmup=0.1))
    whole = job(tmp_path / "whole", pictures, config)
    worker = Alone(tmp_path / "whole" / "kept")
    assert train(whole, worker)
    assert kind in worker.lines[0]
    assert "pictures/s" not in worker.lines[-1] and "tokens/s" not in worker.lines[-1]  # noqa: PT018
    rows = log.read(str(tmp_path / "whole")).to_pylist()
    assert sum(r["loss"] for r in rows[-3:]) < 0.5 * sum(r["loss"] for r in rows[:3]), [r["loss"] for r in rows]

    broken = job(tmp_path / "broken", pictures, config)
    with pytest.raises(KeyboardInterrupt):
        train(broken, Alone(tmp_path / "broken" / "kept", die_at=6))  # one step behind the last checkpoint
    resumed = Alone(tmp_path / "broken" / "kept")
    assert train(broken, resumed)
    assert "from step 4 of" in resumed.lines[0]
    assert log.read(str(tmp_path / "broken")).column("digest").to_pylist() == [r["digest"] for r in rows]
    expected = weights(tmp_path / "whole")
    for name, value in weights(tmp_path / "broken").items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5, msg=name)

    settings = ClassifierSettings(kind="transformers", model=str(tmp_path / "whole" / "model"))
    classifier = FrameClassifier(settings, device="cpu", threads=1)
    found = classifier([tiny_frames.drawing(seed, red=seed < 204) for seed in range(200, 208)]).argmax(1)
    assert [DOMAINS[i] for i in found] == [tiny_frames.RED] * 4 + [tiny_frames.BLUE] * 4


def test_classes_are_balanced_by_sampling_or_by_loss(model, tmp_path):
    root = tiny_frames.folder(tmp_path / "pictures", 4)
    for seed in range(10, 18):
        tiny_frames.save(root / tiny_frames.BLUE / f"{seed}.png", tiny_frames.drawing(100 + seed, red=False))
    seen = {}
    for balance in ("sampling", "loss", "none"):
        data = FrameData(pack_pictures=3, balance=balance, held_out_share=0.25)
        made = job(tmp_path / balance, root, tiny_frames.config(model, pace=Pace(epochs=1, batch_packs=2), data=data))
        assert made.labels == (tiny_frames.RED, tiny_frames.BLUE)
        packs = list(made.plan.packs(lambda ref: 1))
        seen[balance] = Counter(ref.stream for pack in packs for ref in pack.refs)
        assert max(len(pack.refs) for pack in packs) == 3
        if balance == "loss":
            ratio = made.class_weights[0] / made.class_weights[1]
            assert ratio == pytest.approx(9 / 3)
        else:
            assert made.class_weights == (1.0, 1.0)
    assert seen["sampling"] == {0: 6, 1: 6}
    assert seen["loss"] == seen["none"] == {0: 3, 1: 9}


def test_what_an_answer_does_not_need_asks_for_no_gradient(model):
    found = load(model, ("ct", "nonmedical"), 0)
    found.vit.embeddings.mask_token = torch.nn.Parameter(torch.zeros(1, 1, 32))
    assert settle(found, torch.zeros(1, 3, 32, 32)) > 1e5
    idle = [name for name, p in found.named_parameters() if not p.requires_grad]
    assert idle == ["vit.embeddings.mask_token"]


def test_a_new_head_is_the_same_on_every_worker_and_names_the_classes(model):
    first, second = (load(model, ("ct", "mri", "nonmedical"), 3) for _ in range(2))
    assert torch.equal(first.classifier.weight, second.classifier.weight)
    assert first.config.id2label == {0: "ct", 1: "mri", 2: "nonmedical"}
    assert not torch.equal(first.classifier.weight, load(model, ("ct", "mri", "nonmedical"), 4).classifier.weight)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_an_old_head_keeps_its_classes_under_their_names_and_another_is_new(tmp_path, kind):
    """Of two or more classes by the same number, a head that was loaded as it is would begin with names exchanged."""
    start = getattr(tiny_frames, kind)(tmp_path / "start")
    first = load(start, ("ct", "mri", "nonmedical"), 1).eval()
    first.save_pretrained(tmp_path / "first")
    pixels = torch.rand(2, 3, 32, 32)
    said = first(pixels).logits
    again = load(str(tmp_path / "first"), ("nonmedical", "ct", "mri"), 2).eval()
    assert again.config.id2label == {0: "nonmedical", 1: "ct", 2: "mri"}
    assert torch.allclose(again(pixels).logits, said[:, [2, 0, 1]], atol=1e-6)
    others = [load(str(tmp_path / "first"), ("a", "b", "c"), 3).eval() for _ in range(2)]
    assert not torch.allclose(others[0](pixels).logits, said, atol=1e-3)
    assert torch.equal(others[0](pixels).logits, others[1](pixels).logits)


def test_a_model_that_is_none_is_named(tmp_path):
    with pytest.raises(UsageError, match="no image classifier"):
        load(str(tmp_path), ("ct", "nonmedical"), 0)
    with pytest.raises(EnvironmentFault, match="nobody/nothing"):
        load("nobody/nothing", ("ct", "nonmedical"), 0)


def test_pictures_are_made_as_small_as_curate_shows_them():
    tall = np.zeros((1000, 500, 3), np.uint8)
    assert shown_to_model(tall, 256).shape == (256, 128, 3)
    assert shown_to_model(tall[:100, :100], 256).shape == (100, 100, 3)


def test_variation_belongs_to_the_seed_and_stays_in_bounds():
    picture = tiny_frames.drawing(0, red=True)
    data = FrameData(crop_least=0.5, flip=True, screens=0.5)
    made = [varied(picture, data, np.random.default_rng(s)) for s in range(20)]
    again = [varied(picture, data, np.random.default_rng(s)) for s in range(20)]
    for a, b in zip(made, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len({m.tobytes() for m in made}) == 20
    crops = [cropped(picture, 0.5, np.random.default_rng(s)) for s in range(200)]
    areas = [c.size / picture.size for c in crops]
    assert 0.35 < min(areas) < 0.55  # a strongly changed ratio meets the border
    assert max(areas) > 0.9
    plain = varied(picture, FrameData(), np.random.default_rng(0))
    np.testing.assert_array_equal(plain, picture)


def test_recipes_are_the_published_ones():
    vit, resnet = RECIPES["vit"](), RECIPES["resnet"]()
    assert (vit.pace.epochs, vit.pace.batch_packs * vit.data.pack_pictures, vit.optimizer.rate) == (100, 128, 1e-3)
    assert (vit.pace.schedule, vit.data.crop_least, vit.data.flip) == ("cosine", 0.98, True)
    assert (resnet.pace.epochs, resnet.pace.batch_packs * resnet.data.pack_pictures) == (10, 1024)
    assert (resnet.optimizer.kind, resnet.optimizer.rate, resnet.pace.weight_decay) == ("sgd", 1e-2, 1e-4)
    with pytest.raises(UsageError, match=r"run\.parallel"):
        dataclasses.replace(vit, run=dataclasses.replace(vit.run, parallel="fsdp"))
