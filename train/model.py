"""The model as it trains: loaded, frozen in parts, its loss summed over a packed sequence, spread over the workers."""

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.errors import UsageError
from pipelines.store import Store
from train.attention import FLASH, use_flash
from train.batch import Batch
from train.config import RunSettings, Stage
from train.parts import freeze, with_adapters
from train.starter_vlm import starter_vlm

FLASH_CAPABILITY = (8, 0)
"""Compute capability that FlashAttention-2 asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What this machine computes with."""

    device: str
    gpu: bool
    precision: str
    attention: str
    liger: bool
    compiled: bool
    parallel: str
    gradient_checkpointing: bool

    def line(self, workers: int) -> str:
        """For the log."""
        attention = {"sdpa": "SDPA", FLASH: "FlashAttention-2"}[self.attention]
        return (
            f"{workers} worker{'s' * (workers != 1)} on {self.device}: {self.precision}, {attention}, "
            f"{'FSDP2, ' if self.parallel == 'fsdp' else 'DDP, ' if workers > 1 else ''}"
            f"Liger kernels {'on' if self.liger else 'off'}, {'compiled, ' if self.compiled else ''}"
            f"gradient checkpointing {'on' if self.gradient_checkpointing else 'off'}"
        )


def means(run: RunSettings, device: Any) -> Means:
    """`auto` settled for the worker's device: a machine's GPU may not be the worker's.

    Raises:
        UsageError: what is asked for is not here.
    """
    import torch

    gpu = device.type == "cuda"
    bf16 = gpu and torch.cuda.is_bf16_supported()
    precision = run.precision if run.precision != "auto" else "bf16" if bf16 else "float32"
    can_flash = gpu and precision == "bf16" and torch.cuda.get_device_capability() >= FLASH_CAPABILITY
    if run.attention == "flash" and not can_flash:
        raise UsageError("run.attention=flash needs bf16 on a GPU of NVIDIA's Ampere generation or later.")
    attention = FLASH if can_flash and run.attention != "sdpa" else "sdpa"
    liger = run.liger and gpu and importlib.util.find_spec("liger_kernel") is not None
    name = torch.cuda.get_device_name(device) if gpu else "CPU"
    return Means(device=name, gpu=gpu, precision=precision, attention=attention, liger=liger, parallel=run.parallel,
                 compiled=run.compile, gradient_checkpointing=run.gradient_checkpointing)  # fmt: skip


def from_anywhere(model: str) -> str:
    """The model as workers find it: Ray Train gives each a directory of its own, so that a folder needs its whole path."""
    return os.path.abspath(model) if model != "starter" and os.path.isdir(model) else model


def local_model(model: str) -> str:
    """A folder of this machine, or a hub name: `starter` is built into the cache, an `s3://` folder is copied here."""
    if model == "starter":
        return str(starter_vlm())
    return str(Store(model).local_copy()) if "://" in model else model


def load(folder: str, attention: str = "sdpa") -> Any:
    """The whole model in float32, on the CPU.

    Raises:
        UsageError: it is none of the Qwen2-VL family.
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    kind = AutoConfig.from_pretrained(folder).model_type
    if kind != "qwen2_vl":
        raise UsageError(f"{folder} is a {kind}; `train vlm` trains Qwen2-VL.")
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    if attention == FLASH:
        use_flash(model)
    return model


def prepared(folder: str, stage: Stage, found: Means, seed: int) -> Any:
    """The stage's model: loaded, with adapters if it has any (the same on every worker), frozen in parts."""
    import torch

    if found.liger:
        from liger_kernel.transformers import apply_liger_kernel_to_qwen2_vl

        # the loss is left alone: logits are made only where something is learned
        apply_liger_kernel_to_qwen2_vl(cross_entropy=False, fused_linear_cross_entropy=False)
    model = load(folder, found.attention)
    if found.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = with_adapters(model, stage.lora)
    freeze(model, stage.rates, stage.lora)
    if found.compiled:
        for layer in layers(model):
            layer.compile(dynamic=True)  # no pack is as long as the last
    return model


def layers(module: Any) -> list[Any]:
    """The decoder's and the eye's."""
    return [m for m in module.modules() if type(m).__name__ in ("Qwen2VLDecoderLayer", "Qwen2VLVisionBlock")]


def packed_loss(model: Any) -> Any:
    """A module that takes a `Batch` and gives the sum of its targets' cross-entropy.

    The eye looks exactly once, at all pictures and films together, or at a blank one whose weight is nothing: workers that
    share or exchange its weights must all ask for them, in the same order, whatever their sequences hold.
    """
    import torch

    class PackedLoss(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, batch: Batch) -> Any:
            logits = self.model(
                inputs_embeds=self._embedded(batch), position_ids=batch.position_ids, attention_mask=None, use_cache=False,
                logits_to_keep=batch.keep, cu_seq_lens_q=batch.ends, cu_seq_lens_k=batch.ends,
                max_length_q=batch.longest, max_length_k=batch.longest,
            ).logits[0]  # fmt: skip
            return torch.nn.functional.cross_entropy(logits.float(), batch.wanted, reduction="sum")

        def _embedded(self, batch: Batch) -> Any:
            words = self.model.get_input_embeddings()(batch.input_ids)
            eye = next(m for n, m in self.model.named_modules() if n.endswith("visual"))
            config, seen, device = self.model.config, batch.vision, batch.input_ids.device
            pixels = [seen[name] for name in ("pixel_values", "pixel_values_videos") if name in seen]
            grids = [seen[name] for name in ("image_grid_thw", "video_grid_thw") if name in seen]
            if not seen:
                patch = config.vision_config.in_channels * config.vision_config.temporal_patch_size
                pixels = [torch.zeros(4, patch * config.vision_config.patch_size**2, device=device)]
                grids = [torch.tensor([[1, 2, 2]], device=device)]
            features = eye(torch.cat(pixels).to(eye.dtype), grid_thw=torch.cat(grids)).pooler_output.to(words.dtype)
            if not seen:
                return words + 0.0 * features.sum()
            pictures, films = (batch.input_ids == token for token in (config.image_token_id, config.video_token_id))
            split = int(pictures.sum())
            if split + int(films.sum()) != len(features):
                raise ValueError(f"{len(features)} visual tokens for {split + int(films.sum())} places")
            words = words.masked_scatter(pictures[..., None], features[:split])
            return words.masked_scatter(films[..., None], features[split:])

    return PackedLoss()


def spread(module: Any, found: Means, device: Any) -> Any:
    """The module on every worker (DDP), or sharded over them (FSDP2)."""
    import torch
    import torch.distributed as dist

    if not dist.is_initialized() or (found.parallel == "ddp" and dist.get_world_size() == 1):
        return module.to(device)  # DDP would keep all gradients twice, to exchange them with nobody
    if found.parallel == "ddp":
        devices = [device] if device.type == "cuda" else None
        return torch.nn.parallel.DistributedDataParallel(module.to(device), device_ids=devices)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    low = torch.bfloat16 if found.precision == "bf16" else None
    policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32)
    for layer in layers(module):
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    eye = next(m for n, m in module.named_modules() if n.endswith("visual"))
    fully_shard(eye, mesh=mesh, mp_policy=policy)
    fully_shard(module, mesh=mesh, mp_policy=policy)
    return module


@contextlib.contextmanager
def accumulating(module: Any, last: bool) -> Iterator[None]:
    """Gradients are exchanged behind the last sequence of a step only."""
    if hasattr(module, "no_sync") and not last:  # DDP
        with module.no_sync():
            yield
        return
    if hasattr(module, "set_requires_gradient_sync"):  # FSDP2
        module.set_requires_gradient_sync(last)
    yield
