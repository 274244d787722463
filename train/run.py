"""`preceptor train vlm`: sources and settings in, a Hugging Face folder out; one Ray Train run for each stage.

OUT/model is the trained model; OUT/config.json, OUT/index, OUT/log and OUT/tensorboard say what it was made of and how.
The same command goes on after whatever interrupted it.
"""

import contextlib
import dataclasses
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from actors.weights import hash_folder, resolve
from pipelines import settings as flat
from pipelines.errors import EnvironmentFault, UsageError
from pipelines.store import Store
from train import checkpoint, index, sources
from train.account import Job
from train.chat import Encoder, load_processor
from train.checkpoint import State
from train.config import Stage, TrainConfig
from train.index import Contents, Stream
from train.loop import train
from train.model import local_model
from train.sampler import Plan, steps

Say = Callable[[str], None]
NOT_LEARNED = ("recipe", "run", "data.prefetch", "data.threads")
"""Settings that may differ when a run goes on."""


class Stopped(Exception):
    """Told to leave: a checkpoint was kept, the same command goes on."""


def run(
    data: Sequence[str],
    out: str,
    config: TrainConfig,
    *,
    workers: tuple[int, int] = (1, 1),
    connect: Callable[[], contextlib.AbstractContextManager[None]],
    say: Say = print,
) -> str:
    """Train all stages; returns the model's address. `workers` are the fewest and the most.

    Raises:
        UsageError: nothing to learn from, or `out` was made with other settings.
        Stopped: SIGTERM came.
    """
    store, named = Store(out), sources.parse(list(data))
    config = with_sources(config, named)
    with store.locked():
        model = local_model(config.model)
        settings, fresh = learned_settings(config, named, model), not store.exists("config.json")
        if not fresh:
            store.open_config(config, settings)
        elif store.exists("index"):  # of a run that ended before it began
            store.fs.delete_dir(store.path("index"))
        processor = load_processor(model, config.vision)
        encode = Encoder(processor, config.vision, config.data.max_tokens)
        contents = index.build(store, ((s.name, sources.samples(s, config.data.held_out_share)) for s in named), encode)
        for line in contents.lines():
            say(line)
        jobs = plan(store.out, config, contents)
        if fresh:  # only now: a wrong request leaves nothing that a right one would have to agree with
            store.open_config(config, settings)
        waiting = [job for job in jobs if not checkpoint.published(store.out, *job.target)]
        if waiting:
            with connect():
                for job in waiting:
                    _fit(job, workers, say)
    say(f"the model is in {store.uri('model')}")
    return store.uri("model")


def worker_range(text: str) -> tuple[int, int]:
    """`2`, or `2-8`: the fewest and the most.

    Raises:
        UsageError: it is neither.
    """
    match = re.fullmatch(r"([1-9]\d*)(?:-([1-9]\d*))?", text)
    if not match or int(match[2] or match[1]) < int(match[1]):
        raise UsageError(f"--workers takes a number, or two as in 2-8, not '{text}'.")
    return int(match[1]), int(match[2] or match[1])


def with_sources(config: TrainConfig, named: Sequence[sources.Source]) -> TrainConfig:
    """Every stage weighs every source: 1 unless its recipe says otherwise.

    Raises:
        UsageError: a stage weighs a source that is not given.
    """
    names = [s.name for s in named]
    stages = {}
    for title, stage in config.stages.items():
        if strange := sorted(set(stage.weights) - set(names)):
            raise UsageError(f"Stage {title} weighs '{strange[0]}', and the sources are {', '.join(names)}.")
        stages[title] = dataclasses.replace(stage, weights={n: stage.weights.get(n, 1.0) for n in names})
    return dataclasses.replace(config, stages=stages)


def learned_settings(config: TrainConfig, named: Sequence[sources.Source], model: str) -> dict[str, str]:
    """What decides what is learned, flat."""
    found = {k: v for k, v in flat.all_settings(config).items() if not k.startswith(NOT_LEARNED)}
    weights = Path(model).name if config.model == "starter" else hash_folder(resolve(model))
    return {
        **found,
        **{f"sources.{s.name}": s.uri for s in named},
        "stages": " ".join(config.stages),
        "model.weights": weights,
    }


def plan(out: str, config: TrainConfig, contents: Contents) -> list[Job]:
    """The stages as jobs, each with the number of its steps.

    Raises:
        UsageError: a stage has nothing to learn from.
    """
    folder = index.local_folder(out)
    stages = [(name, stage) for name, stage in config.stages.items() if stage.epochs]
    jobs: list[Job] = []
    for number, (name, stage) in enumerate(stages):
        streams = tuple(s for s in contents.streams if s.kind in stage.kinds and stage.weights[s.source] > 0)
        if not streams:
            raise UsageError(f"Stage {name} learns from {' and '.join(stage.kinds)} samples, and there are none; "
                             f"--set stages.{name}.epochs=0 leaves it out.")  # fmt: skip
        order = Plan(
            sizes=tuple(s.samples for s in streams), weights=tuple(stage.weights[s.source] for s in streams),
            seed=config.seed, epochs=stage.epochs, window=config.data.window, max_tokens=config.data.max_tokens,
            packing=config.data.packing,
        )  # fmt: skip
        before = Store(out).uri(*jobs[-1].target) if jobs else config.model
        total, final = count_steps(order, stage, folder, streams), number == len(stages) - 1
        jobs.append(Job(out=out, config=config, stage=name, number=number, start=before, streams=streams, plan=order,
                        total_steps=total, final=final))  # fmt: skip
    return jobs


def count_steps(order: Plan, stage: Stage, folder: Path, streams: tuple[Stream, ...]) -> int:
    """Optimiser steps of a stage."""
    reader = index.Reader(folder, streams)
    count = sum(1 for _ in steps(order.packs(lambda r: reader.length(r.stream, r.row)), stage.batch_packs))
    if not count:
        raise UsageError("The stage's weights leave it no samples.")
    return min(count, stage.max_steps or count)


def _fit(job: Job, workers: tuple[int, int], say: Say) -> None:
    import ray.train
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    run, gpu = job.config.run, ray.cluster_resources().get("GPU", 0) > 0
    resources = {"CPU": run.cpus_per_worker, **({"GPU": run.gpus_per_worker} if gpu else {})}
    line = ray.remote(num_cpus=0)(_Line).remote()
    trainer = TorchTrainer(
        _work,
        train_loop_config={"job": job, "line": line},
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
    if not result.return_value:
        raise Stopped(f"stage {job.stage} was told to leave and kept a checkpoint; the same command goes on from there.")


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
    """Print what worker 0 says; pass SIGTERM on to it instead of dying of it."""
    import ray

    ended, leaving = threading.Event(), threading.Event()

    def listen() -> None:
        while not ended.wait(0.2):
            for text in ray.get(line.take.remote(leaving.is_set())):
                say(text)

    def told(signum: int, frame: FrameType | None) -> None:
        leaving.set()

    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, told) if in_main else None
    thread = threading.Thread(target=listen, name="console", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for text in ray.get(line.take.remote(False)):
            say(text)
        if in_main:
            signal.signal(signal.SIGTERM, before)


def _work(given: dict[str, Any]) -> bool:
    """Runs on each worker."""
    return train(given["job"], RayWorker(given["line"]))


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

