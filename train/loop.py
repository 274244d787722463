"""One stage of training on one worker: every worker runs this, and all of them know every pack of the epoch.

What is learned does not depend on the number of workers: the step's packs are shared out, each weighs by its learned
tokens, and randomness belongs to the pack. What each worker took is summed and checked against the plan in every step.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from pipelines.errors import EnvironmentFault
from train import checkpoint
from train.account import Account, Job, check
from train.batch import Batch, Collator, prefetched
from train.chat import load_processor, marks
from train.checkpoint import State
from train.index import Reader, local_folder
from train.log import Log, scratch
from train.model import (
    Means,
    accumulating,
    flops_per_token,
    local_model,
    means,
    packed_loss,
    prepared,
    spread,
)
from train.parts import groups, schedule
from train.sampler import Pack, share, steps


class Worker(Protocol):
    """What the loop needs of its surroundings (`train.run.RayWorker`; a test's own)."""

    rank: int
    workers: int
    workers_here: int
    """On this machine."""

    def device(self) -> Any:
        """The torch device."""

    def checkpoint(self) -> contextlib.AbstractContextManager[Path | None]:
        """The folder to resume from, if there is one."""

    def report(self, state: State, folder: Path) -> None:
        """Keep the checkpoint in `folder`; called by all workers."""

    def say(self, line: str) -> None:
        """To the console."""

    def notice(self) -> str | None:
        """`leave`: end soon, with a checkpoint; `save`: a machine may go, keep one now. Asked in each step."""


def train(job: Job, worker: Worker) -> bool:
    """Train to the stage's end and publish its model; False when told to leave before (a checkpoint is kept)."""
    import torch

    torch.set_num_threads(job.config.run.threads or max(1, (os.cpu_count() or 1) // worker.workers_here))
    stage, found, device = job.config.stages[job.stage], means(job.config.run), worker.device()
    reader = Reader(local_folder(job.out), job.streams)
    start = local_model(job.start)
    processor = load_processor(start, job.config.vision)
    model = prepared(start, stage, found, job.config.seed)
    collate = Collator(processor, marks(processor), job.config.vision, _rope_index(model))
    flops = flops_per_token(model)
    module = spread(packed_loss(model), found, device)
    optimizer = torch.optim.AdamW(groups(module, stage))
    with worker.checkpoint() as folder:
        state = checkpoint.restore(folder, module, optimizer) if folder is not None else State()
    log = Log(job.out, job.stage, state.step, job.total_steps) if worker.rank == 0 else None
    worker.say(f"{job.stage}: {found.line(worker.workers)}; from step {state.step} of {job.total_steps}")
    account = Account(job, worker.workers, device, found, flops)
    module.train()
    saved_at, asked = state.step, False
    for chunk, batches in _step_batches(job, worker, reader, collate, state):
        peaks = _learn(job, worker, module, optimizer, chunk, batches, state.step, reader, account, device, found)
        state = _after(state, chunk, job, reader)
        notice = account.settle(worker.notice(), chunk)
        if log is not None:
            worker.say(log.add(account.row(state, chunk, peaks)))
        due = (state.step - saved_at) >= job.config.run.checkpoint_every_steps
        if due or (notice and not asked) or notice == "leave":
            _save(log, module, optimizer, state, worker)
            saved_at, asked = state.step, bool(notice)
        if notice == "leave":
            return False
    if log is not None:
        log.commit()
    weights = checkpoint.learned(module)
    if worker.rank == 0:
        _publish(job, start, weights, processor)
    return True


def _rope_index(model: Any) -> Any:
    """The function by which generation counts M-RoPE positions."""
    return next(m for m in model.modules() if hasattr(m, "get_rope_index")).get_rope_index


def _step_batches(job: Job, worker: Worker, reader: Reader, collate: Collator, state: State) -> Iterator[Any]:
    """Each step's packs, and this worker's batches of it, decoded ahead across steps."""
    data = job.config.data

    def chunks() -> Iterator[list[Pack]]:
        packs = job.plan.packs(lambda r: reader.length(r.stream, r.row), state.position)
        for number, chunk in enumerate(steps(packs, job.config.stages[job.stage].batch_packs), start=state.step):
            if number >= job.total_steps:
                return
            yield chunk

    def mine() -> Iterator[Pack]:
        for chunk in chunks():
            yield from (pack for pack, _ in share(chunk, worker.rank, worker.workers))

    def made(pack: Pack) -> tuple[Pack, Batch]:
        return pack, collate([reader.document(r.stream, r.row) for r in pack.refs])

    batches = prefetched(mine(), made, data.prefetch, data.threads)
    for chunk in chunks():
        yield chunk, batches


def _learn(job: Job, worker: Worker, module: Any, optimizer: Any, chunk: list[Pack],
           batches: Iterator[tuple[Pack, Batch]], step: int, reader: Reader, account: Account, device: Any,
           found: Means) -> tuple[float, float]:  # fmt: skip
    """One optimiser step; gives the highest learning rate and the gradient's norm."""
    import torch

    stage = job.config.stages[job.stage]
    targets = sum(reader.targets(r.stream, r.row) for pack in chunk for r in pack.refs)
    factor = schedule(step, job.total_steps, stage)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    parts = share(chunk, worker.rank, worker.workers)
    account.begin(targets)
    for number, (_, counts) in enumerate(parts):
        pack, batch = next(batches)
        torch.manual_seed(int(check(f"{job.config.seed} {job.stage} {step}", pack.refs)) & 0xFFFFFFFF)
        low = torch.autocast(device.type, torch.bfloat16, enabled=found.precision == "bf16")
        with accumulating(module, number == len(parts) - 1), low:
            loss = module(batch.to(device)) * float(counts)
            (loss * worker.workers / targets).backward()  # the exchange takes the workers' mean
        if counts:
            account.took(float(loss.detach()), pack, batch)
    norm = torch.nn.utils.clip_grad_norm_([p for p in module.parameters() if p.requires_grad], stage.max_grad_norm)
    norm = float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
    if not norm < float("inf"):
        raise EnvironmentFault(f"The gradient of step {step + 1} of stage {job.stage} is not finite ({norm}).")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return max(group["lr"] for group in optimizer.param_groups), norm


def _after(state: State, chunk: list[Pack], job: Job, reader: Reader) -> State:
    refs = [r for pack in chunk for r in pack.refs]
    names = "\n".join(job.name(r) for r in refs)
    return State(
        step=state.step + 1,
        position=chunk[-1].after,
        samples=state.samples + len(refs),
        tokens=state.tokens + sum(reader.length(r.stream, r.row) for r in refs),
        digest=hashlib.sha256(f"{state.digest}\n{names}".encode()).hexdigest(),
    )


def _save(log: Log | None, module: Any, optimizer: Any, state: State, worker: Worker) -> None:
    folder = scratch()
    checkpoint.save(folder, module, optimizer, state, worker.rank)
    if log is not None:
        log.commit()
    worker.report(state, folder)
    shutil.rmtree(folder, ignore_errors=True)


def _publish(job: Job, start: str, weights: dict[str, Any], processor: Any) -> None:
    folder = scratch()
    checkpoint.export(start, job.config.stages[job.stage], weights, processor, folder)
    checkpoint.publish(folder, job.out, *job.target)
    shutil.rmtree(folder, ignore_errors=True)
