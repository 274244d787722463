"""The only abstraction over Ray Data: a stage is a class whose instances map one `Job` to one `Job`, and its pool.

What every stage has in common is here: rows that are decided pass untouched, a row's own fault ends that row and no
other, times are noted, and a row on which processes keep dying is failed.
"""

import contextlib
import dataclasses
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import ray
import ray.data
import ray.exceptions

from pipelines.errors import EnvironmentFault, RowError, UsageError
from pipelines.job import Job, pack, unpack
from pipelines.ledger import Ledger, ask, beside_driver
from pipelines.resources import Pool
from pipelines.schema import Reason, StageTime

Work = Callable[[Job], Job]

MAX_UNFORESEEN = 20
"""Unforeseen faults in one process before it must be us and not the videos: then the run stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of the pipeline: `make(**kwargs)` runs once in each actor and gives the work."""

    name: str
    make: Callable[..., Work]
    pool: Pool
    kwargs: dict[str, Any] = field(default_factory=dict)
    last: bool = False
    """No stage after this one works on the row."""


def apply(dataset: Any, stage: Stage, *, ledger: Any, max_deaths: int) -> Any:
    """`dataset` with the stage added as an actor pool."""
    pool = stage.pool
    worker = type(stage.name, (_RowWorker,), {})  # the dashboard and Ray's logs show the class's name
    return dataset.map(
        worker,
        fn_constructor_kwargs={"stage": stage, "ledger": ledger, "max_deaths": max_deaths},
        compute=ray.data.ActorPoolStrategy(
            min_size=pool.min_size,
            max_size=pool.max_size,
            max_tasks_in_flight_per_actor=pool.concurrent_rows + 1,
            max_concurrent_calls_per_actor=pool.concurrent_rows,
            enable_true_multi_threading=pool.concurrent_rows > 1,
        ),
        num_cpus=pool.num_cpus,
        num_gpus=pool.num_gpus or None,
    )


class _RowWorker:
    """Runs one stage's work on rows inside an actor."""

    def __init__(self, stage: Stage, ledger: Any, max_deaths: int) -> None:
        self._stage, self._ledger, self._max_deaths = stage, ledger, max_deaths
        self._node_id = ray.get_runtime_context().get_node_id()
        self._lane = Lane()
        self._unforeseen = 0
        try:
            self._work = stage.make(**stage.kwargs)
        except (EnvironmentFault, UsageError) as fault:
            ask(ledger, "stop", fault)
            raise

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        job = unpack(row["job"])
        return {**row, "job": pack(self._timed(row["row_id"], job))} if job.active else row

    def _timed(self, row_id: str, job: Job) -> Job:
        name = self._stage.name
        deaths = ask(self._ledger, "deaths", name, row_id, self._node_id)
        with self._lane.alone() if deaths else self._lane.shared():
            ask(self._ledger, "begin", name, row_id, self._node_id)
            started = time.perf_counter()
            done = self._attempt(job, deaths)
            seconds = time.perf_counter() - started
        video = done.video
        times = (*video.stage_times, StageTime(stage=name, seconds=round(seconds, 4)))
        done = dataclasses.replace(done, video=dataclasses.replace(video, stage_times=times, host=socket.gethostname()))
        final = str(video.status) if self._stage.last or not done.active else None
        ask(self._ledger, "end", name, row_id, seconds, video.probe.duration_s if video.probe else None, final)
        return done

    def _attempt(self, job: Job, deaths: int) -> Job:
        if deaths >= self._max_deaths:
            error = RowError(Reason.ACTOR_DIED, f"{deaths} processes of stage {self._stage.name} died on this input")
            return job.ended(self._stage.name, error)
        try:
            return self._work(job)
        except RowError as error:
            return job.ended(self._stage.name, error)
        except (EnvironmentFault, UsageError) as fault:  # a dead engine or a refused key is no row's fault
            if getattr(self._work, "dead", False):
                os._exit(1)  # Ray starts a fresh process and hands it the rows again
            ask(self._ledger, "stop", fault)
            raise
        except Exception as error:
            # an unforeseen fault ends its own row, named as such, and no neighbour
            self._unforeseen += 1
            if self._unforeseen > MAX_UNFORESEEN:
                raise
            detail = f"{type(error).__name__}: {error}"[:300]
            return job.ended(self._stage.name, RowError(Reason.STAGE_ERROR, detail))


class Lane:
    """Healthy rows share an actor; a row on which a process has died runs alone, so that only it can be blamed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing = 0
        self._suspects = 0
        self._alone = False

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Run beside other healthy rows; waits while a suspect runs or is waiting."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._suspects)
            self._sharing += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharing -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Run with nothing beside it."""
        with self._changed:
            self._suspects += 1
            self._changed.wait_for(lambda: not self._alone and not self._sharing)
            self._alone = True
            self._suspects -= 1
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()


@contextlib.contextmanager
def faults_as_raised(ledger: Any) -> Iterator[None]:
    """A fault that a stage stopped the run with, as the stage raised it and not as Ray wraps it.

    Raises:
        UsageError: the request turned out to be wrong (a refused key).
        EnvironmentFault: something that every row needs is broken.
    """
    try:
        yield
    except ray.exceptions.RayError as error:
        fault = ask(ledger, "fault")
        if fault is not None:
            raise fault from error
        raise


def start_ledger() -> Any:
    """The run's ledger."""
    return beside_driver(Ledger)
