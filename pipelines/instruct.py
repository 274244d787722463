"""Questions and answers about a dataset's clips: read `run`, then `actors.instructor` for what happens to one video.

One file a video is the commit (`pipelines.instruct_file`), so an interrupted run loses at most the videos in work, and the
same command does what is not there yet. Templates balance their answers over the videos that the dataset holds when a run
begins; what was committed before is never asked anew.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from actors import instructor, text_engine
from pipelines import dataset, instruct_file, vocabulary
from pipelines.arrow import one_row
from pipelines.errors import UsageError
from pipelines.instruct_config import InstructConfig
from pipelines.job import Job, pack, unpack
from pipelines.progress import Progress
from pipelines.schema import Status, Video
from pipelines.settings import row_settings
from pipelines.stage import Stage, apply, faults_as_raised, start_ledger
from pipelines.stages import prompts, rules, templates
from pipelines.store import Store

CODE_VERSION = 2
"""Raised when the families or the leak check change their rows: part of the fingerprint."""
_COLUMNS = ("row_id", "video_id", "uri", "attempt", "status", "probe", "clips")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run did."""

    videos: int
    """With status ok."""
    done_before: int
    failed: tuple[tuple[str, str], ...]
    """Video and why; the same command tries them again."""


def settings_of(config: InstructConfig) -> dict[str, str]:
    """Everything that changes rows, flat."""
    return row_settings(config) | {
        "code.instruct": str(CODE_VERSION),
        "code.templates": str(templates.VERSION),
        "prompts": prompts.content_hash(*prompts.INSTRUCTIONS),
        "weights.text": text_engine.weights_hash(config.text),
        "vocabulary": vocabulary.fingerprint(config.text.vocabulary),
    }


def run(
    out: str,
    config: InstructConfig,
    *,
    connect: Callable[[InstructConfig], AbstractContextManager[None]],
    progress: Progress,
) -> Outcome:
    """Write the turns of every accepted video of the dataset `out` that has none yet.

    `connect` gives a Ray cluster, only if there is anything to do.

    Raises:
        UsageError: the request is wrong, or the folder was made with another configuration.
        EnvironmentFault: something every video needs is broken; what is committed stays and the same command goes on.
    """
    store = Store(out)
    settings = settings_of(config)
    with store.locked():
        folder = store.uri(instruct_file.FOLDER)
        Store(folder).open_config(config, settings, advice=f"to begin anew, remove {folder}")
        wanted = {v.row_id: v.video_id for v in dataset.rows(store.out, ("status",)) if v.status is Status.OK}
        pending = set(wanted) - _still_true(store.out, wanted)
        failed: dict[str, str] = {}
        if pending:
            balances = _balances(store.out, config)
            with connect(config):
                failed = _stream(store, config, pending, balances, progress)
        return Outcome(
            videos=len(wanted),
            done_before=len(wanted) - len(pending),
            failed=tuple((wanted[row_id], why) for row_id, why in sorted(failed.items())),
        )


def _still_true(out: str, wanted: dict[str, str]) -> set[str]:
    """The rows whose turns are committed; files of rows that are no longer their video's newest are removed."""
    names = {instruct_file.file_name(video_id): row_id for row_id, video_id in wanted.items()}
    kept = set()
    for name, (row_id, _) in instruct_file.committed(out).items():
        if names.get(name) == row_id:
            kept.add(row_id)
        else:
            instruct_file.remove(out, name)
    return kept


def _balances(out: str, config: InstructConfig) -> dict[str, templates.Balance]:
    words = vocabulary.load(config.text.vocabulary)
    counts = {"modality": Counter[str](), "place": Counter[str]()}
    for video in dataset.rows(out, ("status", "clips")):
        if video.status is Status.OK:
            found = templates.census(
                instructor.usable(video.clips), lambda text: rules.speaks_medically(text, words)
            )
            for family, answers in found.items():
                counts[family] += answers
    return {family: templates.balance(answers) for family, answers in counts.items()}


def _stream(
    store: Store, config: InstructConfig, pending: set[str], balances: dict[str, templates.Balance], progress: Progress
) -> dict[str, str]:
    """One streaming Ray Data job: rows, turns, a file each. Returns why some videos have none."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.execution_no_progress_timeout_s = -1  # a long lecture's turns may take a slow model hours
    context.enable_progress_bars = False
    context.use_datasource_v2 = False  # it would start 32 actors to read the footers of small files
    context.issue_detectors_config.detectors = []
    pool = config.resources.instruct
    stage = Stage(
        name="instruct",
        make=instructor.Instructor,
        pool=pool,
        kwargs={
            "config": config,
            "out": store.out,
            "balances": balances,
            "threads": pool.threads,
            "key": text_engine.Key.of_this_process(),
        },
        last=True,
    )
    ledger = start_ledger()
    rows = ray.data.read_parquet(store.uri("videos"), columns=list(_COLUMNS))
    jobs = rows.map_batches(to_jobs, batch_size=16, batch_format="pyarrow", fn_kwargs={"pending": pending}, num_cpus=0.25)
    jobs = jobs.repartition(target_num_rows_per_block=1)
    done = apply(jobs, stage, ledger=ledger, max_deaths=config.resources.max_actor_deaths)
    failed: dict[str, str] = {}
    with progress.watching(ledger, len(pending)), faults_as_raised(ledger):
        for row in done.iter_rows():
            video = unpack(row["job"]).video
            if video.status is not Status.OK:
                failed[row["row_id"]] = f"{video.reason}: {video.detail}"
    return failed


def to_jobs(batch: pa.Table, pending: set[str]) -> pa.Table:
    """The wanted rows as packed jobs.

    Raises:
        UsageError: a row is not of this version.
    """
    rows: list[dict[str, Any]] = []
    for position, row_id in enumerate(batch["row_id"].to_pylist()):
        if row_id in pending:
            try:
                video = one_row(batch.slice(position, 1).drop_columns("row_id"), Video)
            except msgspec.ValidationError as error:
                raise UsageError(f"{row_id} is not of this version: {error}") from error
            rows.append({"row_id": row_id, "job": pack(Job(video=video))})
    return pa.Table.from_pylist(rows, pa.schema({"row_id": pa.string(), "job": pa.binary()}))
