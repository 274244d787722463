"""A function on the workers of Ray Train: started, listened to, told to leave, gone on with from its checkpoint."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from pipelines.errors import EnvironmentFault, UsageError
from pipelines.ledger import beside_driver
from pipelines.store import Store
from train.checkpoint import State
from train.config import RunSettings

Say = Callable[[str], None]


class Named(Protocol):
    """What a run needs to know of its job (`account.Planned`, `shares.Shares`)."""

    @property
    def out(self) -> str: ...  # noqa: D102
    @property
    def number(self) -> int: ...  # noqa: D102
    @property
    def stage(self) -> str: ...  # noqa: D102
    @property
    def run(self) -> RunSettings: ...  # noqa: D102


def fit(work: Callable[[Any, "RayWorker"], Any], job: Named, workers: tuple[int, int], say: Say) -> Any:
    """A Ray Train run, or the rest of it, named after the job's stage; gives what `work` gave on worker 0.

    Raises:
        UsageError: the private cluster of this machine has no room for the fewest workers.
        EnvironmentFault: more workers were lost than `run.max_failures`, or `work` failed.
    """
    import ray
    import ray.train
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    run = job.run
    gpu = run.gpus_per_worker > 0 and ray.cluster_resources().get("GPU", 0) > 0
    resources = {"CPU": run.cpus_per_worker, **({"GPU": run.gpus_per_worker} if gpu else {})}
    _check_room(workers[0], resources, say)
    line = beside_driver(_Line)
    trainer = TorchTrainer(
        _on_worker,
        train_loop_config={"work": work, "job": job, "line": line},
        scaling_config=ScalingConfig(num_workers=workers[0] if workers[0] == workers[1] else workers, use_gpu=gpu,
                                     resources_per_worker=resources),
        run_config=RunConfig(
            name=f"{job.number}_{job.stage}", storage_path=Store(job.out).uri("checkpoints"),
            failure_config=FailureConfig(max_failures=run.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=run.keep_checkpoints),
        ),
    )  # fmt: skip
    with _listening(line, say):
        try:
            result = trainer.fit()
        except ray.train.TrainingFailedError as error:
            raise EnvironmentFault(f"Stage {job.stage} failed: {_cause(error)}") from error
    return result.return_value


def _check_room(fewest: int, resources: dict[str, float], say: Say) -> None:
    """Ray waits for ever for workers that find no place; a cluster may grow until they do, a private one may not."""
    import ray

    def places(node: dict[str, float]) -> int:  # Ray counts in ten-thousandths
        return min(round(node.get(name, 0) * 1e4) // round(amount * 1e4) for name, amount in resources.items())

    room = sum(places(node["Resources"]) for node in ray.nodes() if node["Alive"])
    if fewest <= room:
        return
    if "RAY_ADDRESS" not in os.environ:
        raise UsageError(f"There is room for {room} workers here, not for {fewest}: choose fewer --workers.")
    say(f"waiting for {fewest} workers: the cluster has room for {room} now")


def _cause(error: BaseException) -> str:
    failures = getattr(error, "worker_failures", None) or {0: error}
    first = str(failures[min(failures)]).strip().splitlines() or [type(error).__name__]
    return first[-1] if first[0].startswith("Traceback") else first[0]


class _Line:
    """An actor between the driver and worker 0: lines one way, the wish to leave the other."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._leaving = False

    def say(self, text: str) -> bool:
        if text:
            self._lines.append(text)
        return self._leaving

    def take(self, leaving: bool) -> list[str]:
        taken, self._lines, self._leaving = self._lines, [], self._leaving or leaving
        return taken


@contextlib.contextmanager
def _listening(line: Any, say: Say) -> Iterator[None]:
    """Print what worker 0 says; pass SIGTERM on to it instead of dying of it, once there is a worker that listens."""
    import ray

    ended, leaving, heard, ending = (threading.Event() for _ in range(4))

    def listen() -> None:
        while not ended.wait(0.5):
            for text in ray.get(line.take.remote(leaving.is_set())):
                heard.set()
                say(text)

    def told(signum: int, frame: FrameType | None) -> None:
        if leaving.is_set() or not heard.is_set():  # told twice, or workers that never come
            ending.set()
            raise SystemExit(128 + signum)
        leaving.set()

    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, told) if in_main else None
    thread = threading.Thread(target=listen, name="console", daemon=True)
    thread.start()
    try:
        yield
    except SystemExit as error:  # on its way out Ray makes another status of it
        raise SystemExit(128 + signal.SIGTERM) if ending.is_set() else error from None
    finally:
        ended.set()
        thread.join()
        for text in ray.get(line.take.remote(False)):
            say(text)
        if in_main:
            signal.signal(signal.SIGTERM, before)


def _on_worker(given: dict[str, Any]) -> Any:
    return given["work"](given["job"], RayWorker(given["line"]))


class RayWorker:
    """`train.loop.Worker` inside Ray Train."""

    def __init__(self, line: Any) -> None:
        import ray.train

        context = ray.train.get_context()
        self.rank, self.workers = context.get_world_rank(), context.get_world_size()
        self.workers_here = context.get_local_world_size()
        self._line, self._answer = line, None

    def device(self) -> Any:
        """The worker's GPU, or the CPU."""
        from ray.train.torch import get_device

        return get_device()

    @contextlib.contextmanager
    def checkpoint(self) -> Iterator[Path | None]:
        """The newest checkpoint, here."""
        import ray.train

        kept = ray.train.get_checkpoint()
        if kept is None:
            yield None
        else:
            with kept.as_directory() as folder:
                yield Path(folder)

    def report(self, state: State, folder: Path) -> None:
        """All workers' shares become one checkpoint."""
        import ray.train

        ray.train.report({"step": state.step, "samples": state.samples}, checkpoint=ray.train.Checkpoint(str(folder)))

    def say(self, line: str) -> None:
        """By worker 0 only."""
        if self.rank == 0:
            self._answer = self._line.say.remote(line)

    def notice(self) -> str | None:
        """The driver's wish, as of the last line said; or Ray's notice that a node is about to go."""
        import ray
        import ray.train

        going = ray.train.get_preemption_info() is not None
        if self._answer is not None and ray.get(self._answer):
            return "leave"
        return "save" if going else None
