"""Packed or alone, the same loss; trained or generated, the same positions."""

import pytest
import torch
from transformers import AutoModelForImageTextToText

from pipelines.errors import RowError
from tests.train import tiny
from tests.train.packs import packs
from train.batch import prefetched
from train.chat import load_processor
from train.model import load, packed_loss


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return packs(tmp_path_factory.mktemp("packs"))


@pytest.fixture(scope="module")
def folder(made):
    return made.folder


@pytest.fixture(scope="module")
def model(folder):
    return load(folder).eval()


@pytest.fixture(scope="module")
def documents(made):
    return made.documents


@pytest.fixture(scope="module")
def collate(made):
    return made.collate


def test_packed_and_alone_give_the_same_loss(model, documents, collate):
    assert {d.kind for d in documents} == {"text", "image", "video"}
    loss = packed_loss(model)
    with torch.no_grad():
        packed = loss(collate(documents))
        alone = sum(loss(collate([d])) for d in documents)
        turned = loss(collate(documents[::-1]))
    torch.testing.assert_close(packed, alone, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(turned, alone, rtol=1e-5, atol=1e-4)


def test_packed_and_alone_give_the_same_gradients(model, documents, collate):
    loss = packed_loss(model)

    def gradients(batches):
        model.zero_grad()
        for batch in batches:
            loss(batch).backward()
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    packed, alone = gradients([collate(documents)]), gradients([collate([d]) for d in documents])
    for name, gradient in packed.items():
        torch.testing.assert_close(gradient, alone[name], rtol=1e-3, atol=1e-4, msg=name)


def test_the_loss_is_that_of_transformers_on_assistant_tokens(model, documents, collate, folder):
    """Counted by hand: labels over the whole sequence, the model's own forward, its own positions."""
    document = next(d for d in documents if d.kind == "image")
    batch = collate([document])
    ids, labels = batch.input_ids, torch.full_like(batch.input_ids, -100)
    text = load_processor(folder, tiny.VISION).tokenizer.decode(ids[0])
    answer = text.split("<|im_start|>assistant\n")[1]
    labels[0, batch.keep + 1] = batch.wanted
    learned = load_processor(folder, tiny.VISION).tokenizer.decode(labels[labels >= 0])
    assert learned == answer.removesuffix("\n")
    with torch.no_grad():
        types = (ids == model.config.image_token_id).int()
        expected = model(input_ids=ids, mm_token_type_ids=types, labels=labels, **batch.vision).loss * len(batch.wanted)
        torch.testing.assert_close(packed_loss(model)(batch), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", ["text", "image", "video"])
def test_positions_are_those_of_generation(folder, documents, collate, kind):
    """Caught from inside `generate`, which prepares its own."""
    model = AutoModelForImageTextToText.from_pretrained(folder)
    document = next(d for d in documents if d.kind == kind)
    batch = collate([document])
    used = {}

    def catch(_, arguments, keywords):
        used.setdefault("positions", keywords["position_ids"])

    model.model.language_model.register_forward_pre_hook(catch, with_kwargs=True)
    ids = batch.input_ids
    types = (ids == model.config.image_token_id).int() + 2 * (ids == model.config.video_token_id).int()
    model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), mm_token_type_ids=types,
                   max_new_tokens=1, **batch.vision)  # fmt: skip
    generated = used["positions"]
    assert torch.equal(generated[-3:], batch.position_ids[1:])
    if kind != "text":
        assert not torch.equal(batch.position_ids[1], batch.position_ids[2])


def test_packed_positions_are_those_of_each_document(documents, collate):
    packed = collate(documents).position_ids
    apart = torch.cat([collate([d]).position_ids for d in documents], dim=-1)
    assert torch.equal(packed, apart)
    assert (packed[0, 0] == 0).sum() == len(documents)


def test_a_picture_that_changed_stops_it_by_name(documents, collate, tmp_path):
    import dataclasses

    document = next(d for d in documents if d.kind == "image" and d.media[0].image_id)
    other = dataclasses.replace(document.media[0], row=1 - (document.media[0].row or 0))
    with pytest.raises(RowError, match=document.sample_id):
        collate([dataclasses.replace(document, media=(other,))])


def test_prefetching_keeps_order_and_errors():
    assert list(prefetched(range(20), lambda x: x * x, 3, 4)) == [x * x for x in range(20)]
    with pytest.raises(ZeroDivisionError):
        list(prefetched([1, 0, 1], lambda x: 1 // x, 2, 2))
