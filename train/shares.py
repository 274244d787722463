"""One computation shared out over Ray Train workers: each takes every n-th chunk, and worker 0 puts the rows together."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from train.config import RunSettings
from train.ray_run import RayWorker, Say, fit

CHUNK = 32
Rows = Callable[[list[Any]], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """`train.ray_run.Named`: what is computed, and on what."""

    out: str
    stage: str
    run: RunSettings
    make: Callable[[Any], Rows]
    """Given the worker's torch device: the function from items to as many rows."""
    chunks: tuple[Any, ...]
    """References to lists of items, in Ray's object store."""
    number: int = 0


def over_workers(
    make: Callable[[Any], Rows],
    items: Sequence[Any],
    *,
    out: str,
    stage: str,
    workers: tuple[int, int],
    run: RunSettings,
    say: Say = print,
) -> np.ndarray:
    """`make(device)(items)` for any number of items, as rows in their order; the caller is connected to Ray.

    Raises:
        EnvironmentFault: the workers were lost, or the computation failed.
    """
    import ray

    chunks = tuple(ray.put(chunk) for chunk in in_chunks(items))
    job = Shares(out=out, stage=stage, run=run, make=make, chunks=chunks)
    return np.asarray(fit(_compute, job, workers, say))


def in_chunks(items: Sequence[Any]) -> list[list[Any]]:
    """What a worker takes at a time."""
    return [list(items[i : i + CHUNK]) for i in range(0, len(items), CHUNK)]


def _compute(job: Shares, worker: RayWorker) -> np.ndarray | None:
    import ray
    import torch

    torch.set_num_threads(job.run.threads or 1)
    compute = job.make(worker.device())
    return shared(lambda chunk: compute(ray.get(chunk)), job.chunks, worker)


def shared(compute: Callable[[Any], np.ndarray], chunks: Sequence[Any], worker: RayWorker) -> np.ndarray | None:
    """The rows of all chunks, on worker 0; called by every worker of a run."""
    import torch.distributed as dist

    mine = {i: compute(chunks[i]) for i in range(worker.rank, len(chunks), worker.workers)}
    gathered: list[Any] = [mine]
    if dist.is_initialized() and worker.workers > 1:
        gathered = [None] * worker.workers
        dist.all_gather_object(gathered, mine)
    if worker.rank:
        return None
    whole = functools.reduce(lambda a, b: a | b, gathered)
    return np.asarray(np.concatenate([whole[i] for i in range(len(chunks))]))
