"""What a checkpoint holds, and the plain Hugging Face folder that a stage ends with.

A checkpoint is a folder of torch.distributed.checkpoint: weights that learn and the optimiser's state, each worker's share
by itself, which any other number of workers can read; and `state.json`, the place in the epoch.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.fs as pafs

from pipelines.store import Store
from train.config import Stage
from train.model import load
from train.parts import with_adapters
from train.sampler import Position

STATE = "state.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a stage stands."""

    step: int = 0
    position: Position = Position()
    samples: int = 0
    tokens: int = 0
    digest: str = ""
    """SHA-256 chain over every sample of every step so far: equal digests, equal order."""


def _options(**more: bool) -> Any:
    from torch.distributed.checkpoint.state_dict import StateDictOptions

    return StateDictOptions(ignore_frozen_params=True, **more)


def _learning(module: Any, weights: dict[str, Any]) -> dict[str, Any]:
    """Those that learn: a frozen weight that is tied under a second name would slip through.

    Buffers that a model keeps (a batch normalisation's running statistics) learn without a gradient.
    """
    names = {n.removeprefix("module.") for n, p in module.named_parameters() if p.requires_grad}
    names |= {n.removeprefix("module.") for n, _ in module.named_buffers()}
    return {name: value for name, value in weights.items() if name in names}


def save(folder: Path, module: Any, optimizer: Any, state: State, rank: int) -> None:
    """Every worker writes its share into its own `folder`."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict

    weights, moments = get_state_dict(module, optimizer, options=_options())
    dcp.save({"model": _learning(module, weights), "optimizer": moments}, checkpoint_id=str(folder))
    if rank == 0:
        (folder / STATE).write_bytes(msgspec.json.encode(state))


def restore(folder: Path, module: Any, optimizer: Any) -> State:
    """Read a checkpoint of any number of workers into this worker's share."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

    weights, moments = get_state_dict(module, optimizer, options=_options())
    held = {"model": _learning(module, weights), "optimizer": moments}
    dcp.load(held, checkpoint_id=str(folder))
    set_state_dict(
        module, optimizer, model_state_dict=held["model"], optim_state_dict=held["optimizer"],
        options=_options(strict=False),
    )  # fmt: skip
    return msgspec.json.decode((folder / STATE).read_bytes(), type=State)


def learned(module: Any) -> dict[str, Any]:
    """All weights that learn, whole, on worker 0; called by every worker."""
    from torch.distributed.checkpoint.state_dict import get_model_state_dict

    whole = get_model_state_dict(module, options=_options(full_state_dict=True, cpu_offload=True))
    return {name.removeprefix("model."): value for name, value in _learning(module, whole).items()}


def export(start: str, stage: Stage, weights: dict[str, Any], processor: Any, folder: Path) -> None:
    """A plain Hugging Face folder: the stage's first weights with what was learned, adapters merged.

    The adapters by themselves are kept in `adapter/` where nothing else was learned: a server can load them by name.
    """
    from transformers import AutoConfig

    stored = AutoConfig.from_pretrained(start).dtype
    model = with_adapters(load(start), stage.lora)
    known = set(model.state_dict())
    strange = [name for name in weights if name not in known]
    if strange or not weights:
        raise ValueError(f"weights that the model does not have: {strange[:3]}")
    model.load_state_dict(weights, strict=False)
    if stage.lora.rank:
        if all("lora_" in name for name in weights):
            model.save_pretrained(folder / "adapter")
        model = model.merge_and_unload()
    model.to(stored).save_pretrained(folder)
    processor.save_pretrained(folder)


def publish(folder: Path, out: str, *parts: str) -> None:
    """Copy a finished folder to its place in the output; it counts once it is marked as done."""
    store = Store(out)
    target = store.path(*parts)
    if isinstance(store.fs, pafs.LocalFileSystem):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        near = f"{target}.tmp"
        shutil.rmtree(near, ignore_errors=True)
        shutil.copytree(folder, near)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(near, target)
    else:
        pafs.copy_files(str(folder), target, destination_filesystem=store.fs)
    store.write(b"", "done", parts[-1])


def published(out: str, *parts: str) -> bool:
    """Whether that folder is there, whole."""
    return Store(out).exists("done", parts[-1])
