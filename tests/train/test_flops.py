"""Counted beside PyTorch's own counter, which sees every multiplication."""

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.train.packs import packs
from train.config import LoraSettings, Rates
from train.flops import Flops, peak_flops
from train.model import load, packed_loss
from train.parts import freeze, with_adapters


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return packs(tmp_path_factory.mktemp("packs"))


ALL = Rates(vision=1, projector=1, language=1, embeddings=1)
PROJECTOR, EYELESS = Rates(projector=1), Rates(projector=1, language=1)


@pytest.mark.parametrize(
    ("rates", "rank"), [(ALL, 0), (PROJECTOR, 0), (EYELESS, 0), (Rates(vision=1, projector=1, language=1), 4)]
)
@pytest.mark.parametrize("kind", ["text", "image", "video"])
def test_it_is_what_pytorch_counts(made, rates, rank, kind):
    batch = made.collate([next(d for d in made.documents if d.kind == kind)])
    lora = LoraSettings(rank=rank, dropout=0.0) if rank else LoraSettings()
    model = with_adapters(load(made.folder), lora)
    freeze(model, rates, lora)
    with FlopCounterMode(display=False) as counter:
        packed_loss(model)(batch).backward()
    counts = counter.get_flop_counts()["Global"]
    pixels_gradient = counts.get(torch.ops.aten.convolution_backward, 0)  # nobody asks for it; the rule counts it
    attention = 0.05  # PyTorch does not count it on CPUs, and documents are short here
    assert Flops(model)(batch) == pytest.approx(sum(counts.values()) + pixels_gradient, rel=attention)


def test_attention_is_counted_by_document_and_frame(made):
    """What remains of a batch when everything that is linear in its tokens is taken away."""
    flops = Flops(load(made.folder))
    batch = made.collate([next(d for d in made.documents if d.kind == "text")])
    twice = dataclasses.replace(batch, ends=2 * batch.ends)
    layers, width = 2, 32
    assert flops(twice) - flops(batch) == 6 * layers * width * 3 * batch.tokens**2


def test_a_pack_is_the_sum_of_its_documents(made):
    flops = Flops(load(made.folder))
    alone = sum(flops(made.collate([d])) for d in made.documents)
    assert flops(made.collate(made.documents)) == pytest.approx(alone)


def test_cards_are_known_by_their_names():
    assert peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_flops("NVIDIA A100-SXM4-80GB") == 312e12
    assert peak_flops("NVIDIA H100 PCIe") == 756e12
    assert peak_flops("CPU") is None
