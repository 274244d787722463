"""Who works on what, on which node, and who died doing it: one small Ray actor a run.

It is how an input that keeps killing an actor's process is found, what the progress display reads, and how a fault that
stops the run reaches the person as a sentence instead of Ray's traceback around it.
"""

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from pipelines.errors import EnvironmentFault, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The run's state at one moment."""

    done: dict[str, int]
    """Inputs finished, by status."""
    done_video_s: float
    known_video_s: float
    """Seconds of video among inputs whose duration is known, finished or not."""
    known: int
    """Inputs whose duration is known."""
    stages: dict[str, tuple[int, int, float]]
    """Per stage: rows in work, rows done, seconds spent."""
    began_at: float | None = None
    """When the first row reached its first stage, seconds since the epoch: until then a run starts up."""


@dataclass(slots=True)
class Ledger:
    """Plain and single-threaded; `pipelines.stage` makes it a Ray actor."""

    _at_work: dict[tuple[str, str], str] = field(default_factory=dict)
    _deaths: Counter[tuple[str, str]] = field(default_factory=Counter)
    _done: Counter[str] = field(default_factory=Counter)
    _durations: dict[str, float] = field(default_factory=dict)
    _finished: set[str] = field(default_factory=set)
    _rows: Counter[str] = field(default_factory=Counter)
    _seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _fault: EnvironmentFault | UsageError | None = None
    _began_at: float | None = None

    def deaths(self, stage: str, row_id: str, node_id: str) -> int:
        """How many processes died on the row at this stage, asked by a process on `node_id` that was handed it.

        A row that was begun, never ended and comes again: its process died. If its whole node is gone, the node was to
        blame (a spot instance taken back) and not the row.
        """
        key = (stage, row_id)
        before = self._at_work.pop(key, None)
        if before is not None and (before == node_id or self._is_alive(before)):
            self._deaths[key] += 1
        return self._deaths[key]

    def begin(self, stage: str, row_id: str, node_id: str) -> None:
        """Note that a process on `node_id` now works on the row; rows that only wait for their turn are not begun."""
        self._began_at = self._began_at or time.time()
        self._at_work[stage, row_id] = node_id

    def end(self, stage: str, row_id: str, seconds: float, duration_s: float | None, final_status: str | None) -> None:
        """Note that the row left the stage; `final_status` is set when no later stage will work on it."""
        self._at_work.pop((stage, row_id), None)
        self._rows[stage] += 1
        self._seconds[stage] += seconds
        if duration_s is not None:
            self._durations[row_id] = duration_s
        if final_status is not None and row_id not in self._finished:
            self._finished.add(row_id)
            self._done[final_status] += 1

    def stop(self, fault: EnvironmentFault | UsageError) -> None:
        """Note why the run cannot go on; the first reason stays."""
        self._fault = self._fault or fault

    def fault(self) -> EnvironmentFault | UsageError | None:
        """Why the run cannot go on."""
        return self._fault

    def snapshot(self) -> Snapshot:
        """Counts for the progress display."""
        working = Counter(stage for stage, _ in self._at_work)
        names = list(dict.fromkeys([*self._rows, *working]))
        return Snapshot(
            done=dict(self._done),
            done_video_s=sum(self._durations.get(r, 0.0) for r in self._finished),
            known_video_s=sum(self._durations.values()),
            known=len(self._durations),
            stages={n: (working[n], self._rows[n], self._seconds[n]) for n in names},
            began_at=self._began_at,
        )

    def _is_alive(self, node_id: str) -> bool:
        import ray

        return any(n["NodeID"] == node_id and n["Alive"] for n in ray.nodes())


def remaining_s(snapshot: Snapshot, inputs: int, elapsed_s: float) -> float | None:
    """Time left, from the video seconds done so far; inputs of unknown duration count with the mean of the known.

    None until anything is done.
    """
    done = sum(snapshot.done.values())
    if not done or not snapshot.known:
        return None
    mean_s = snapshot.known_video_s / snapshot.known
    unknown = max(0, inputs - max(snapshot.known, done))
    left_video_s = snapshot.known_video_s - snapshot.done_video_s + unknown * mean_s
    if snapshot.done_video_s <= 0:
        return elapsed_s / done * (inputs - done)
    return elapsed_s * left_video_s / snapshot.done_video_s


def ask(handle: Any, method: str, *arguments: Any) -> Any:
    """Call the ledger actor and wait for its answer."""
    import ray

    return ray.get(getattr(handle, method).remote(*arguments))


def beside_driver(kind: type) -> Any:
    """An actor of that class on the driver's node: it must outlive every worker node."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(kind).options(num_cpus=0, scheduling_strategy=here).remote()
