"""What a run says while it trains: plain lines, TensorBoard, Prometheus through Ray, and a Parquet log that stays.

The log is written with each checkpoint, so that it never tells of steps that were lost and done again.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from pipelines.arrow import arrow_schema, arrow_table
from pipelines.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One optimiser step, over all workers."""

    stage: str
    step: int
    """From 1."""
    epoch: int
    loss: float
    """Mean cross-entropy of the targets: learned tokens, or pictures' classes."""
    learning_rate: float
    """The highest of the parts'."""
    grad_norm: float
    tokens: int
    """A picture to classify counts as one."""
    targets: int
    samples: tuple[str, ...]
    """`source.kind.task:row` of each, in the order of the packs."""
    digest: str
    """Of all samples so far, in order."""
    seconds: float
    workers: int
    memory_gb: float
    """Peak of worker 0: the GPU's, or the process's."""
    packing: float
    """Share of the packs that is filled."""
    mfu: float | None = None
    """Model FLOPs utilisation, on GPUs whose peak is known."""

    def line(self, total: int) -> str:
        """For the console."""
        mfu = f"  MFU {self.mfu:.0%}" if self.mfu is not None else ""
        tokens = f"{self.tokens / self.seconds:.0f} tokens/s  " if self.tokens != len(self.samples) else ""
        return (
            f"{self.stage} {self.step}/{total}  loss {self.loss:.4f}  lr {self.learning_rate:.2e}  "
            f"{tokens}{len(self.samples) / self.seconds:.1f} samples/s  "
            f"{self.memory_gb:.1f} GB{mfu}"
        )


_PART = re.compile(r"(\w+)\.(\d+)\.parquet")


class Log:
    """Worker 0's log of one stage."""

    def __init__(self, out: str, stage: str, first_step: int, total: int) -> None:
        self._store, self._stage, self._total = Store(out), stage, total
        self._rows: list[Step] = []
        self._board = _board(self._store, stage, first_step)
        self._gauges = _gauges(stage)
        _forget(self._store, stage, first_step)

    def add(self, row: Step) -> str:
        """One more step; returns its line."""
        self._rows.append(row)
        numbers = {
            "loss": row.loss,
            "learning_rate": row.learning_rate,
            "grad_norm": row.grad_norm,
            "tokens_per_second": row.tokens / row.seconds,
            "samples_per_second": len(row.samples) / row.seconds,
            "memory_gb": row.memory_gb,
            **({"mfu": row.mfu} if row.mfu is not None else {}),
        }
        for name, value in numbers.items():
            if self._board is not None:
                self._board.add_scalar(f"train/{name}", value, row.step)
            if name in self._gauges:
                self._gauges[name].set(value)
        return row.line(self._total)

    def commit(self) -> None:
        """Write the steps since the last commit: called just before a checkpoint of the last of them."""
        if self._board is not None:
            self._board.flush()
        if not self._rows:
            return
        sink = pa.BufferOutputStream()
        pq.write_table(arrow_table(self._rows, Step), sink)
        name = f"{self._stage}.{self._rows[-1].step:08d}.parquet"
        self._store.write(sink.getvalue().to_pybytes(), "log", name)
        self._rows = []


def read(out: str) -> pa.Table:
    """All steps of all stages that are certain, a stage's in order."""
    store = Store(out)
    parts = [store.path("log", name) for name in sorted(_parts(store), key=lambda n: (n.split(".")[0], n))]
    tables = [pq.read_table(path, filesystem=store.fs) for path in parts]
    return pa.concat_tables(tables) if tables else arrow_schema(Step).empty_table()


def _parts(store: Store) -> list[str]:
    infos = store.fs.get_file_info(pafs.FileSelector(store.path("log"), allow_not_found=True))
    return [i.base_name for i in infos if _PART.fullmatch(i.base_name)]


def _forget(store: Store, stage: str, first_step: int) -> None:
    """Drop what was written behind the checkpoint that the run goes on from: it will be done again."""
    for name in _parts(store):
        match = _PART.fullmatch(name)
        if match and match[1] == stage and int(match[2]) > first_step:
            store.fs.delete_file(store.path("log", name))


def _board(store: Store, stage: str, first_step: int) -> Any:
    """TensorBoard's events in OUT/tensorboard; on an object store it has none."""
    if not isinstance(store.fs, pafs.LocalFileSystem):
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(store.path("tensorboard", stage), purge_step=first_step + 1)


def _gauges(stage: str) -> dict[str, Any]:
    """`ray_preceptor_train_*` on the cluster's Prometheus endpoint."""
    import ray

    if not ray.is_initialized():
        return {}
    from ray.util.metrics import Gauge

    about = {"loss": "Mean loss of the step.", "tokens_per_second": "Tokens a second.",
             "samples_per_second": "Samples a second.", "learning_rate": "Highest learning rate.",
             "memory_gb": "Peak memory of worker 0."}  # fmt: skip
    made = {name: Gauge(f"preceptor_train_{name}", description=text, tag_keys=("stage",)) for name, text in about.items()}
    for gauge in made.values():
        gauge.set_default_tags({"stage": stage})
    return made


def scratch() -> Path:
    """An empty folder of this machine."""
    return Path(tempfile.mkdtemp(prefix="preceptor-train-"))
