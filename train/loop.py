"""One stage of training on one worker: every worker runs this, and all of them know every pack of the epoch.

What is learned does not depend on the number of workers: the step's packs are shared out, each weighs by its learned
tokens, and randomness belongs to the pack. What each worker took is summed and checked against the plan in every step.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from pipelines.errors import EnvironmentFault
from train import checkpoint
from train.account import Account, Job, Planned, check
from train.batch import prefetched
from train.checkpoint import State
from train.log import Log, scratch
from train.model import Means, accumulating, means, spread
from train.parts import schedule
from train.sampler import Pack, Ref, share, steps
from train.vlm_lesson import VlmLesson


class Worker(Protocol):
    """What the loop needs of its surroundings (`train.ray_run.RayWorker`; a test's own)."""

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


class Lesson(Protocol):
    """What a stage teaches: the module, its samples as batches, and what becomes of the weights."""

    module: Any
    """Takes a batch, gives the sum of its targets' losses."""

    def line(self, workers: int) -> str:
        """What is computed with, for the log."""

    def optimizer(self, module: Any) -> Any:
        """For the spread module; each group names its `peak` rate."""

    def length(self, ref: Ref) -> int:
        """A sample's tokens."""

    def targets(self, ref: Ref) -> int:
        """How much of it is learned."""

    def batch(self, pack: Pack) -> Any:
        """A pack's samples, decoded: an `account.Counted` with `to(device)`."""

    def flops(self, batch: Any) -> float:
        """Floating-point operations of a batch, forward and backward."""

    def publish(self, weights: dict[str, Any]) -> None:
        """Make the model of what was learned; called by worker 0."""


def train(job: Job, worker: Worker) -> bool:
    """Train a vision-language model to the stage's end; see `learn`."""
    return learn(job, worker, lambda found: VlmLesson(job, found))


def learn(job: Planned, worker: Worker, prepare: Callable[[Means], Lesson]) -> bool:
    """Train to the stage's end and publish its model; False when told to leave before (a checkpoint is kept)."""
    import torch

    torch.set_num_threads(job.run.threads or max(1, (os.cpu_count() or 1) // worker.workers_here))
    device = worker.device()
    found = means(job.run, device)
    lesson = prepare(found)
    module = spread(lesson.module, found, device)
    optimizer = lesson.optimizer(module)
    with worker.checkpoint() as folder:
        state = checkpoint.restore(folder, module, optimizer) if folder is not None else State()
    log = Log(job.out, job.stage, state.step, job.total_steps) if worker.rank == 0 else None
    worker.say(f"{job.stage}: {lesson.line(worker.workers)}; from step {state.step} of {job.total_steps}")
    account = Account(job, worker.workers, device, found)
    module.train()
    saved_at, asked = state.step, False
    for chunk, batches in _step_batches(job, worker, lesson, state):
        peaks = _learn(job, worker, lesson, module, optimizer, chunk, batches, state.step, account, device, found)
        state = _after(state, chunk, job, lesson)
        notice = account.settle(worker.notice(), chunk)
        if log is not None:
            worker.say(log.add(account.row(state, chunk, peaks)))
        due = (state.step - saved_at) >= job.run.checkpoint_every_steps
        if due or (notice and not asked) or notice == "leave":
            _save(log, module, optimizer, state, worker)
            saved_at, asked = state.step, bool(notice)
        if notice == "leave":
            return False
    if log is not None:
        log.commit()
    weights = checkpoint.learned(module)
    if worker.rank == 0:
        lesson.publish(weights)
    return True


def _step_batches(job: Planned, worker: Worker, lesson: Lesson, state: State) -> Iterator[Any]:
    """Each step's packs, and this worker's batches of it, decoded ahead across steps."""
    data = job.config.data

    def chunks() -> Iterator[list[Pack]]:
        packs = job.plan.packs(lesson.length, state.position)
        for number, chunk in enumerate(steps(packs, job.pace.batch_packs), start=state.step):
            if number >= job.total_steps:
                return
            yield chunk

    def mine() -> Iterator[Pack]:
        for chunk in chunks():
            yield from (pack for pack, _ in share(chunk, worker.rank, worker.workers))

    def made(pack: Pack) -> tuple[Pack, Any]:
        return pack, lesson.batch(pack)

    batches = prefetched(mine(), made, data.prefetch, data.threads)
    for chunk in chunks():
        yield chunk, batches


def _learn(job: Planned, worker: Worker, lesson: Lesson, module: Any, optimizer: Any, chunk: list[Pack],
           batches: Iterator[tuple[Pack, Any]], step: int, account: Account, device: Any,
           found: Means) -> tuple[float, float]:  # fmt: skip
    """One optimiser step; gives the highest learning rate and the gradient's norm."""
    import torch

    targets = sum(lesson.targets(ref) for pack in chunk for ref in pack.refs)
    factor = schedule(step, job.total_steps, job.pace)
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
            account.took(float(loss.detach()), pack, batch, lesson.flops(batch))
    norm = torch.nn.utils.clip_grad_norm_([p for p in module.parameters() if p.requires_grad], job.pace.max_grad_norm)
    norm = float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
    if not norm < float("inf"):
        raise EnvironmentFault(f"The gradient of step {step + 1} of stage {job.stage} is not finite ({norm}).")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return max(group["lr"] for group in optimizer.param_groups), norm


def _after(state: State, chunk: list[Pack], job: Planned, lesson: Lesson) -> State:
    refs = [r for pack in chunk for r in pack.refs]
    names = "\n".join(job.name(r) for r in refs)
    return State(
        step=state.step + 1,
        position=chunk[-1].after,
        samples=state.samples + len(refs),
        tokens=state.tokens + sum(lesson.length(r) for r in refs),
        digest=hashlib.sha256(f"{state.digest}\n{names}".encode()).hexdigest(),
    )


def _save(log: Log | None, module: Any, optimizer: Any, state: State, worker: Worker) -> None:
    folder = scratch()
    checkpoint.save(folder, module, optimizer, state, worker.rank)
    if log is not None:
        log.commit()
    worker.report(state, folder)
    shutil.rmtree(folder, ignore_errors=True)
