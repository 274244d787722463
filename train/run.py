"""`preceptor train vlm`: sources and settings in, a Hugging Face folder out; one Ray Train run for each stage.

OUT/model is the trained model; OUT/config.json, OUT/index, OUT/log and OUT/tensorboard say what it was made of and how.
The same command goes on after whatever interrupted it.
"""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from actors.weights import hash_folder, resolve
from pipelines import settings as flat
from pipelines.errors import UsageError
from pipelines.store import Store
from train import checkpoint, index, sources
from train.account import Job
from train.chat import Encoder, load_processor
from train.config import Pace, TrainConfig
from train.index import Contents
from train.loop import train
from train.model import from_anywhere, local_model
from train.ray_run import Say, fit
from train.sampler import VERSION, Plan, Ref, steps

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
                    _stage(job, workers, say)
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
        "code.order": str(VERSION),
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
        streams = tuple(s for s in contents.streams
                        if s.kind in stage.kinds and s.task in stage.tasks and stage.weights[s.source] > 0)  # fmt: skip
        if not streams:
            raise UsageError(f"Stage {name} learns from {' and '.join(stage.kinds)} samples of the tasks "
                             f"{' and '.join(stage.tasks)}, and there are none; "
                             f"--set stages.{name}.epochs=0 leaves it out.")  # fmt: skip
        order = Plan(
            sizes=tuple(s.samples for s in streams), weights=tuple(stage.weights[s.source] for s in streams),
            seed=config.seed, epochs=stage.epochs, window=config.data.window, max_tokens=config.data.max_tokens,
            packing=config.data.packing,
        )  # fmt: skip
        before = Store(out).uri(*jobs[-1].target) if jobs else from_anywhere(config.model)
        reader, final = index.Reader(folder, streams), number == len(stages) - 1
        total = count_steps(order, stage, lambda r, reader=reader: reader.length(r.stream, r.row))  # type: ignore[misc]
        jobs.append(Job(out=out, config=config, stage=name, number=number, start=before, streams=streams, plan=order,
                        total_steps=total, final=final))  # fmt: skip
    return jobs


def count_steps(order: Plan, pace: Pace, length: Callable[[Ref], int]) -> int:
    """Optimiser steps of a stage."""
    count = sum(1 for _ in steps(order.packs(length), pace.batch_packs))
    if not count:
        raise UsageError("The stage's weights leave it no samples.")
    return min(count, pace.max_steps or count)


def _stage(job: Job, workers: tuple[int, int], say: Say) -> None:
    if not fit(train, job, workers, say):
        raise Stopped(f"stage {job.stage} was told to leave and kept a checkpoint; the same command goes on from there.")
