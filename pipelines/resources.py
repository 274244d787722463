"""What a run asks of its machines: changes no row, so it is never part of a fingerprint."""

import math
from dataclasses import dataclass

from pipelines.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What one stage asks of the cluster. Never part of the fingerprint."""

    min_size: int = 1
    max_size: int = 1
    num_cpus: float = 0.25
    num_gpus: float = 0.0
    threads: int = 1
    """Threads the stage's own library may use."""
    concurrent_rows: int = 1
    """Rows one actor works on at a time."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_size <= self.max_size:
            raise UsageError(f"A pool's sizes must satisfy 1 <= min_size <= max_size, not {self.min_size}, {self.max_size}.")
        if self.threads < 1 or self.concurrent_rows < 1:
            raise UsageError(f"A pool needs a thread and a row, not {self.threads} and {self.concurrent_rows}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Where and how fast the work is done: changes no row."""

    screen: Pool = Pool()
    classify: Pool = Pool()
    look: Pool = Pool()
    listen: Pool = Pool()
    write: Pool = Pool()
    device: str = "cpu"
    """`cpu` or `cuda`, for the classifier and the transcriber."""
    gpu_memory_share: float = 0.5
    """vLLM's share of one GPU's memory."""
    decoder_memory_gib: float = 4.0
    """Limit of one decoding child's memory."""
    deadline_base_s: float = 60.0
    """A decoding request may take this long ..."""
    deadline_per_video_s: float = 2.0
    """... plus this long per second of video."""
    max_actor_deaths: int = 2
    """An input on which an actor's process died this often is failed."""

    def __post_init__(self) -> None:
        if self.device not in ("cpu", "cuda"):
            raise UsageError(f"resources.device must be cpu or cuda, not '{self.device}'.")
        if self.max_actor_deaths < 1:
            raise UsageError(f"resources.max_actor_deaths must be at least 1, not {self.max_actor_deaths}.")
        for name in ("decoder_memory_gib", "deadline_base_s", "gpu_memory_share"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"resources.{name} must be greater than 0, not {getattr(self, name)}.")
        if not 0 <= self.deadline_per_video_s < math.inf:
            raise UsageError(f"resources.deadline_per_video_s must be at least 0, not {self.deadline_per_video_s}.")
