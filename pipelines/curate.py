"""Videos to an audited dataset: read `stages` to know the pipeline, `run` to know how it runs."""

import dataclasses
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from actors import cursor_net, frame_classifier, text_engine, transcriber
from actors.frame_stages import LookClassifier, ScreenClassifier
from actors.looker import Looker
from actors.screener import Screener
from actors.transcriber import Transcriber
from actors.writer import Writer
from pipelines import vocabulary
from pipelines.arrow import arrow_schema, arrow_table
from pipelines.audit import Audit, audit
from pipelines.config import Config
from pipelines.dataset import SCREEN_STAGES
from pipelines.job import Job, pack, unpack
from pipelines.ledger import ask
from pipelines.progress import Progress
from pipelines.schema import Video
from pipelines.settings import row_settings
from pipelines.sources import Input, inputs
from pipelines.stage import Stage, apply, faults_as_raised, start_ledger
from pipelines.stages import prompts
from pipelines.store import Store, now

CODE_VERSIONS = {"screen": 4, "classify": 3, "look": 11, "listen": 3, "write": 5}
"""Raised when a stage's code changes its rows: part of the fingerprint."""


def stages(config: Config, out: str) -> list[Stage]:
    """Every stage in order, one row per video from the first to the last."""
    pools = config.resources
    return [
        # cheap, every video: nine of ten end here, with a reason
        Stage(name="screen", make=Screener, pool=pools.screen, kwargs={"config": config}),
        Stage(
            name="classify",
            make=ScreenClassifier,
            pool=pools.classify,
            kwargs={"config": config, "threads": pools.classify.threads},
        ),
        # the accepted: one full decode, then its frames' classes, then its words
        Stage(name="look", make=Looker, pool=pools.look, kwargs={"config": config, "out": out}),
        Stage(
            name="classify_frames",
            make=LookClassifier,
            pool=pools.classify,
            kwargs={"config": config, "threads": pools.classify.threads},
        ),
        Stage(
            name="listen",
            make=Transcriber,
            pool=pools.listen,
            kwargs={"config": config, "threads": pools.listen.threads},
        ),
        # clips, correction, captions
        Stage(
            name="write",
            make=Writer,
            pool=pools.write,
            kwargs={
                "config": config,
                "threads": pools.write.threads,
                "admission": Store(out).uri("admission"),
                "key": text_engine.Key.of_this_process(),
            },
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run whose request has been checked and recorded; nothing has been computed yet."""

    store: Store
    config: Config
    fingerprint: str
    stages: list[Stage]
    pending: list[dict[str, Any]]
    """Manifest rows that are not committed."""
    changed: list[str]
    """Inputs whose source differs from the one that was curated."""


def settings_of(config: Config, *, screen_only: bool = False) -> dict[str, str]:
    """Everything that changes rows: settings, weights, prompts, vocabulary and code versions, flat."""
    settings = row_settings(config)
    settings |= {f"code.{stage}": str(version) for stage, version in CODE_VERSIONS.items()}
    settings["weights.classifier"] = frame_classifier.weights_hash(config.classifier)
    if screen_only:
        return settings | {"pass": "screen"}
    settings["weights.cursor_net"] = cursor_net.weights_hash()
    settings["weights.transcriber"] = transcriber.weights_hash(config.transcript)
    settings["weights.text"] = text_engine.weights_hash(config.text)
    settings["prompts"] = prompts.fingerprint()
    settings["vocabulary"] = vocabulary.fingerprint(config.text.vocabulary)
    return settings


def run(
    source: str | None,
    out: str,
    config: Config,
    *,
    connect: Callable[[Config], AbstractContextManager[None]],
    progress: Progress,
    limit: int | None = None,
    screen_only: bool = False,
    retry: Callable[[Store], int] | None = None,
) -> tuple[Plan, Audit]:
    """Curate `source` into `out`, or continue what `out` already lists where `source` is None, and prove the result.

    `connect` gives a Ray cluster, only if there is anything to do. `retry` may add attempts to the manifest first.

    Raises:
        UsageError: the request is wrong; nothing has been computed.
        EnvironmentFault: something every row needs is broken; committed rows stay and the same command goes on.
    """
    found = inputs(source, limit) if source is not None else []
    settings = settings_of(config, screen_only=screen_only)
    store = Store(out)
    with store.locked():
        plan = _plan(store, config, found, settings, screen_only=screen_only, retry=retry)
        if plan.pending:
            started = time.time()
            with connect(config):
                began_at = _stream(plan, progress) or time.time()
            facts = {
                "started_at": started,
                "startup_s": round(began_at - started, 1),
                "seconds": round(time.time() - started, 1),
                "inputs": len(plan.pending),
            }
            store.write(json.dumps(facts).encode(), "run.json")
        return plan, audit(store.out)


def _plan(
    store: Store,
    config: Config,
    found: list[Input],
    settings: dict[str, str],
    *,
    screen_only: bool,
    retry: Callable[[Store], int] | None,
) -> Plan:
    fingerprint = store.open_config(config, settings)
    committed = committed_ids(store)
    changed = store.request(found, committed)
    if retry is not None:
        retry(store)
    chosen = [s for s in stages(config, store.out) if not screen_only or s.name in SCREEN_STAGES]
    chosen[-1] = dataclasses.replace(chosen[-1], last=True)
    return Plan(
        store=store,
        config=config,
        fingerprint=fingerprint,
        stages=chosen,
        pending=[r for r in store.manifest() if r["row_id"] not in committed],
        changed=changed,
    )


def committed_ids(store: Store) -> set[str]:
    """Row ids whose commit is complete, by Ray's own checkpoint files."""
    if not store.exists("checkpoint"):
        return set()
    ids: set[str] = set()
    everything = pafs.FileSelector(store.path("checkpoint"), recursive=True)
    for info in store.fs.get_file_info(everything):
        if info.path.endswith(".parquet") and not info.path.endswith(".pending.parquet"):
            ids |= set(pq.read_table(info.path, columns=["row_id"], filesystem=store.fs)["row_id"].to_pylist())
    return ids


def _stream(plan: Plan, progress: Progress) -> float | None:
    """One streaming Ray Data job: manifest, stages, Parquet, with Ray's row-level checkpoint.

    Returns when the first row reached its first stage, seconds since the epoch.
    """
    import ray.data
    import ray.data.checkpoint

    context = ray.data.DataContext.get_current()
    context.execution_no_progress_timeout_s = -1  # a 2-hour lecture may keep a stage busy for longer than the default
    context.enable_progress_bars = False
    context.use_datasource_v2 = False  # it would start 32 actors to read the footer of one small file
    context.issue_detectors_config.detectors = []  # they advise on memory requests, in the middle of our progress
    context.checkpoint_config = ray.data.checkpoint.CheckpointConfig(
        id_column="row_id",
        checkpoint_path=plan.store.uri("checkpoint", plan.fingerprint),
        delete_checkpoint_on_success=False,  # the next run skips what this one committed
    )
    ledger = start_ledger()
    _write_jobs(plan)
    # read_parquet and never from_items: only a file source gets the checkpoint's filter
    dataset = ray.data.read_parquet(plan.store.uri("jobs.parquet")).repartition(target_num_rows_per_block=1)
    for stage in plan.stages:
        dataset = apply(dataset, stage, ledger=ledger, max_deaths=plan.config.resources.max_actor_deaths)
    dataset = dataset.map_batches(to_rows, batch_size=None, batch_format="pyarrow", num_cpus=0.25)
    with progress.watching(ledger, len(plan.pending)), faults_as_raised(ledger):
        dataset.write_parquet(
            plan.store.uri("videos"), schema=ROW_SCHEMA, compression="zstd", ray_remote_args={"num_cpus": 0.25}
        )
    began_at: float | None = ask(ledger, "snapshot").began_at
    return began_at


ROW_SCHEMA = arrow_schema(Video).insert(0, pa.field("row_id", pa.string()))


def _write_jobs(plan: Plan) -> None:
    """The manifest's rows as packed jobs: Ray's checkpoint filter skips the committed ones."""
    rows = []
    for row in plan.store.manifest():
        video = Video(
            video_id=row["video_id"],
            uri=row["uri"],
            attempt=row["attempt"],
            extra=row["extra"],
            content_id=row["content_id"],
            fingerprint=plan.fingerprint,
        )
        rows.append({"row_id": row["row_id"], "job": pack(Job(video=video))})
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, pa.schema({"row_id": pa.string(), "job": pa.binary()})), sink)
    plan.store.write(sink.getvalue().to_pybytes(), "jobs.parquet")


def to_rows(batch: pa.Table) -> pa.Table:
    """Packed jobs as rows of the dataset's schema."""
    videos = [dataclasses.replace(unpack(packed).video, finished_at=now()) for packed in batch["job"].to_pylist()]
    return arrow_table(videos, Video).add_column(0, ROW_SCHEMA.field("row_id"), batch["row_id"])
