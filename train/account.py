"""What is to be done and what was: a stage as the driver planned it, and each step's account over all workers."""

import hashlib
import time
from dataclasses import dataclass
from typing import Any, Protocol

from pipelines.errors import EnvironmentFault
from train.checkpoint import State
from train.config import Pace, RunSettings, TrainConfig
from train.flops import peak_flops
from train.index import Stream
from train.log import Step
from train.model import Means
from train.sampler import Pack, Plan, Ref

BYTES = 4
"""Of a sample's check number: sums of millions of them stay exact in float64."""


class Planned(Protocol):
    """A stage as the driver planned it, whatever it teaches (`Job`, `train.frame_lesson.FrameJob`)."""

    @property
    def out(self) -> str: ...  # noqa: D102
    @property
    def config(self) -> Any:
        """With `seed`, `data.prefetch` and `data.threads`."""
    @property
    def run(self) -> RunSettings: ...  # noqa: D102
    @property
    def stage(self) -> str: ...  # noqa: D102
    @property
    def number(self) -> int: ...  # noqa: D102
    @property
    def plan(self) -> Plan: ...  # noqa: D102
    @property
    def total_steps(self) -> int: ...  # noqa: D102
    @property
    def pace(self) -> Pace: ...  # noqa: D102

    def name(self, ref: Ref) -> str:
        """A sample's name in the log."""


class Counted(Protocol):
    """A batch that says how much it holds."""

    @property
    def tokens(self) -> int: ...  # noqa: D102
    @property
    def targets(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One stage of a vision-language model, as the driver planned it."""

    out: str
    config: TrainConfig
    stage: str
    number: int
    start: str
    """The weights it begins with: `starter`, a folder, an address or a name."""
    streams: tuple[Stream, ...]
    plan: Plan
    total_steps: int
    final: bool
    """Its model is the run's."""

    @property
    def target(self) -> tuple[str, ...]:
        """Where its model goes, under `out`."""
        return ("model",) if self.final else ("stages", f"{self.number}_{self.stage}")

    @property
    def run(self) -> RunSettings:
        """Where and how it computes."""
        return self.config.run

    @property
    def pace(self) -> Pace:
        """How the stage steps."""
        return self.config.stages[self.stage]

    def name(self, ref: Ref) -> str:
        """A sample's name in the log."""
        stream = self.streams[ref.stream]
        return f"{stream.name}:{ref.row}"


def check(key: str, refs: tuple[Ref, ...]) -> float:
    """A number for these samples: whoever trained them can prove it by sums."""
    total = 0
    for ref in refs:
        digest = hashlib.sha256(f"{key} {ref.stream} {ref.row}".encode()).digest()
        total += int.from_bytes(digest[:BYTES])
    return float(total)


class Account:
    """What a step took and cost, summed over the workers, and checked against the plan."""

    def __init__(self, job: Planned, workers: int, device: Any, found: Means) -> None:
        self._job, self._workers, self._device, self._gpu = job, workers, device, found.gpu
        self._peak = peak_flops(found.device)
        self._last = time.monotonic()

    def begin(self, targets: int) -> None:
        """A step that learns `targets` tokens begins."""
        self._targets, self._loss, self._taken, self._tokens, self._learned = targets, 0.0, 0.0, 0, 0
        self._flops = 0.0

    def took(self, loss: float, pack: Pack, batch: Counted, flops: float) -> None:
        """This worker learned a pack."""
        self._loss += loss
        self._flops += flops
        self._taken += check("", pack.refs)
        self._tokens += batch.tokens
        self._learned += batch.targets

    def settle(self, notice: str | None, chunk: list[Pack]) -> str | None:
        """Sum over the workers; what any of them was told, all know.

        Raises:
            EnvironmentFault: the loss is no number, or the workers did not take the step's samples exactly once.
        """
        import torch
        import torch.distributed as dist

        told = (float(notice is not None), float(notice == "leave"))
        took = (self._taken, self._tokens, self._learned, self._flops)
        sums = torch.tensor([self._loss, *took, *told], dtype=torch.float64)
        if dist.is_initialized():
            sums = sums.to(self._device)
            dist.all_reduce(sums)
        loss, taken, tokens, learned, self._all_flops, any_told, any_leave = sums.tolist()
        planned = sum(check("", pack.refs) for pack in chunk)
        if taken != planned or learned != self._targets:
            raise EnvironmentFault(f"A step of stage {self._job.stage} did not take its samples exactly once.")
        if loss != loss:
            raise EnvironmentFault(f"The loss of a step of stage {self._job.stage} is not a number.")
        self._mean, self._all_tokens = loss / self._targets, int(tokens)
        now = time.monotonic()
        self._seconds, self._last = now - self._last, now
        return "leave" if any_leave else "save" if any_told else None

    def row(self, state: State, chunk: list[Pack], peaks: tuple[float, float]) -> Step:
        """What the log says of it; `peaks` are the highest learning rate and the gradient's norm."""
        used = self._all_flops / self._seconds / self._workers
        return Step(
            stage=self._job.stage,
            step=state.step,
            epoch=state.position.epoch,
            loss=self._mean,
            learning_rate=peaks[0],
            grad_norm=peaks[1],
            tokens=self._all_tokens,
            targets=self._targets,
            samples=tuple(self._job.name(r) for pack in chunk for r in pack.refs),
            digest=state.digest,
            seconds=self._seconds,
            workers=self._workers,
            memory_gb=_memory_gb(self._gpu),
            packing=self._all_tokens / (len(chunk) * self._job.plan.max_tokens),
            mfu=used / self._peak if self._peak else None,
        )


def _memory_gb(gpu: bool) -> float:
    """The peak so far: of the GPU, else of the process."""
    import resource

    import torch

    if gpu:
        return float(torch.cuda.max_memory_allocated()) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
