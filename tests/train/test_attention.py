"""FlashAttention's way through the model: the same loss as with SDPA's mask."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from tests.train.packs import packs
from train.attention import FLASH, flash
from train.model import load, packed_loss


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return packs(tmp_path_factory.mktemp("packs"))


def stretch_by_stretch(query, key, value, begins, begins_k, longest, longest_k, *, scale, window_size, enable_gqa):
    """What `varlen_attn` computes, which PyTorch has for GPUs only."""
    assert torch.equal(begins, begins_k)
    assert longest == longest_k == int(begins.diff().max())
    assert query.dtype == torch.bfloat16
    parts = [x.transpose(0, 1).float().split(begins.diff().tolist(), dim=1) for x in (query, key, value)]
    seen = [scaled_dot_product_attention(q, k, v, scale=scale, is_causal=window_size == (-1, 0), enable_gqa=enable_gqa)
            for q, k, v in zip(*parts, strict=True)]  # fmt: skip
    return torch.cat(seen, dim=1).transpose(0, 1).to(query.dtype)


def losses(made, device):
    batch = made.collate(made.documents).to(torch.device(device))
    found = {}
    for attention in ("sdpa", FLASH):
        model = load(made.folder, attention).to(device)
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
        with torch.autocast(device, torch.bfloat16):
            loss = packed_loss(model)(batch)
        loss.backward()
        found[attention] = (loss.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    return found


def same(found):
    (expected, gradients), (loss, others) = found["sdpa"], found[FLASH]
    torch.testing.assert_close(loss, expected, rtol=2e-3, atol=0)
    assert gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        # a key's bias moves all of a query's scores alike: its gradient is rounding
        if not name.endswith("k_proj.bias"):
            distance = (others[name] - gradient).norm() / gradient.norm()
            assert distance < 0.05, (name, distance)


def test_documents_and_pictures_are_kept_apart(made, monkeypatch):
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", stretch_by_stretch)
    same(losses(made, "cpu"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_kernel_itself_agrees_with_sdpa(made):
    same(losses(made, "cuda"))


def test_a_mask_is_refused():
    with pytest.raises(ValueError, match="no padding"):
        flash(None, None, None, None, torch.ones(1), scaling=1.0, cu_seq_lens_q=None, max_length_q=1)
