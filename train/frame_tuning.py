"""`preceptor train frames --model`: labelled pictures in, a fine-tuned Hugging Face image classifier out, on Ray Train.

OUT/model is the classifier (`preceptor curate --set classifier.kind=transformers --set classifier.model=OUT/model`),
OUT/report.json says what it is worth on pictures it never saw, OUT/disagreements.html shows where it and the labels differ.
The same command goes on after whatever interrupted it.
"""

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actors.frame_classifier import LabelClassifier
from actors.weights import hash_folder, resolve
from pipelines import settings as flat
from pipelines.store import Store
from train import checkpoint, disagreements, frame_labels
from train.frame_config import FrameConfig
from train.frame_data import read_picture
from train.frame_figures import figures
from train.frame_labels import Contents, Labelled
from train.frame_lesson import FrameJob, shown_to_model, train
from train.frame_model import load, load_processor
from train.model import from_anywhere, local_model
from train.ray_run import RayWorker, Say, fit
from train.run import NOT_LEARNED, Stopped, count_steps
from train.sampler import Plan
from train.shares import in_chunks, shared

WINDOW_PACKS = 64
"""Packs are made of so many at a time: mixing, and no more memory than that."""


def run(
    data: Sequence[Path],
    out: str,
    config: FrameConfig,
    *,
    workers: tuple[int, int] = (1, 1),
    connect: Callable[[], contextlib.AbstractContextManager[None]],
    say: Say = print,
) -> dict[str, Any]:
    """Fine-tune, judge and show; returns the report. `workers` are the fewest and the most.

    Raises:
        UsageError: the labels or the model are not usable, or `out` was made with other settings or labels.
        Stopped: SIGTERM came.
    """
    store = Store(out)
    with store.locked():
        found, left_out = frame_labels.read(data)
        settings, fresh = learned_settings(config, found), not store.exists("config.json")
        if not fresh:
            store.open_config(config, settings)
        elif store.exists("index"):  # of a run that ended before it began
            store.fs.delete_dir(store.path("index"))
        contents = frame_labels.build(store, found, left_out, config.data.held_out_share)
        for line in contents.lines():
            say(line)
        rows = frame_labels.load(store.out)
        job = plan(store.out, config, contents, rows)
        if fresh:  # only now: a wrong request leaves nothing that a right one would have to agree with
            _try(config, contents)
            store.open_config(config, settings)
        if not store.exists("report.json"):
            with connect():
                probabilities = fit(_learned_and_judged, job, workers, say)
            if probabilities is None:
                raise Stopped("it was told to leave and kept a checkpoint; the same command goes on from there.")
            disagreements.write(store, rows, contents.labels, probabilities)
            report = _report(job, contents, rows, probabilities)
            store.write(json.dumps(report, indent=1, ensure_ascii=False).encode(), "report.json")
    report = json.loads(store.read("report.json"))
    for name in ("model", "report.json", "disagreements.html"):
        say(f"wrote {store.uri(name)}")
    return dict(report)


def learned_settings(config: FrameConfig, found: Sequence[Labelled]) -> dict[str, str]:
    """What decides what is learned, flat."""
    kept = {k: v for k, v in flat.all_settings(config).items() if not k.startswith(NOT_LEARNED)}
    return {**kept, "labels": frame_labels.digest(found), "model.weights": hash_folder(resolve(local_model(config.model)))}


def plan(out: str, config: FrameConfig, contents: Contents, rows: Sequence[Labelled]) -> FrameJob:
    """The run as a job: each class a stream, weighed so that rare classes are not lost."""
    sizes = tuple(len(rows_of) for rows_of in frame_labels.streams(rows, contents.labels))
    even = tuple(sum(sizes) / (len(sizes) * size) for size in sizes)
    ones = (1.0,) * len(sizes)
    pack = config.data.pack_pictures
    order = Plan(
        sizes=sizes, weights=even if config.data.balance == "sampling" else ones, seed=config.seed,
        epochs=config.pace.epochs, window=WINDOW_PACKS * pack, max_tokens=pack, packing=True,
    )  # fmt: skip
    return FrameJob(
        out=out, config=config, start=from_anywhere(config.model), labels=contents.labels, plan=order,
        total_steps=count_steps(order, config.pace, lambda ref: 1),
        class_weights=even if config.data.balance == "loss" else ones,
    )  # fmt: skip


def _try(config: FrameConfig, contents: Contents) -> None:
    """Load once here: a wrong model is told at once, and not by a worker."""
    folder = local_model(config.model)
    load_processor(folder)
    load(folder, contents.labels, config.seed)


def _learned_and_judged(job: FrameJob, worker: RayWorker) -> np.ndarray | None:
    """Runs on each worker. What the model says of all pictures, (N, classes) float64, on worker 0; None when told to leave.

    The very class judges that `curate` asks.
    """
    import torch.distributed as dist

    if not checkpoint.published(job.out, "model") and not train(job, worker):
        return None
    if dist.is_initialized():
        dist.barrier()  # worker 0 has published the model
    model = LabelClassifier(Path(local_model(Store(job.out).uri("model"))), worker.device())

    def judge(rows: list[Labelled]) -> np.ndarray:
        pictures = [read_picture(Path(row.path)) for row in rows]
        return model.label_probabilities([shown_to_model(p, job.config.data.longest_edge_px) for p in pictures])

    return shared(judge, in_chunks(frame_labels.load(job.out)), worker)


def _report(job: FrameJob, contents: Contents, rows: Sequence[Labelled], probabilities: np.ndarray) -> dict[str, Any]:
    judged = np.array([row.part == frame_labels.HELD_OUT for row in rows])
    truth = np.array([contents.labels.index(row.label) for row in rows])
    groups = {row.group: row.part for row in rows}
    return {
        "what": "Image classifier, fine-tuned whole. Its figures are of pictures whose groups were not learned from.",
        "recipe": job.config.recipe,
        "model": job.config.model,
        "settings": flat.all_settings(job.config),
        "classes": list(contents.labels),
        "pictures": {"learned": contents.pictures - contents.held_out, "held out": contents.held_out,
                     "left out": contents.left_out, "look the same and differ in label": contents.contradictions},
        "groups": {part: sum(p == part for p in groups.values()) for part in (frame_labels.LEARNED, frame_labels.HELD_OUT)},
        "steps": job.total_steps,
        "held out": figures(probabilities[judged], truth[judged], contents.labels),
    }  # fmt: skip
