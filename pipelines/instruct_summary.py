"""What a run of `preceptor instruct` says at its end: turns made, kept and dropped by family, source and reason."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from actors.admission import MIN_ACCURACY, WRITING, Admission, known_admission
from actors.instructor import admission_folder, may_write
from actors.text_engine import engine_name
from pipelines import instruct_file
from pipelines.audit import printable
from pipelines.errors import UsageError
from pipelines.instruct import Outcome
from pipelines.instruct_config import InstructConfig
from pipelines.store import Store


@dataclass(slots=True)
class Line:
    """One family by one source."""

    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    @property
    def made(self) -> int:
        """Every turn is kept or dropped for one reason."""
        return self.kept + self.dropped.total()


def tally(out: str) -> dict[tuple[str, str], Line]:
    """Counts by family and source, over all files; holds one file's short columns at a time.

    Raises:
        UsageError: a file cannot be read.
    """
    store = Store(out)
    lines: defaultdict[tuple[str, str], Line] = defaultdict(Line)
    for table in _tables(store, (instruct_file.FOLDER,), ["family", "source"]):
        for family, source in zip(table["family"].to_pylist(), table["source"].to_pylist(), strict=True):
            lines[family, source].kept += 1
    for table in _tables(store, (instruct_file.FOLDER, instruct_file.DROPPED), ["family", "source", "reason"]):
        for row in table.to_pylist():
            lines[row["family"], row["source"]].dropped[row["reason"]] += 1
    return dict(sorted(lines.items()))


def _tables(store: Store, folder: tuple[str, ...], columns: list[str]) -> Iterator[pa.Table]:
    for info in store.fs.get_file_info(pafs.FileSelector(store.path(*folder), allow_not_found=True)):
        if info.type == pafs.FileType.File and info.path.endswith(".parquet"):
            try:
                yield pq.read_table(info.path, columns=columns, filesystem=store.fs)
            except (pa.ArrowException, OSError, KeyError) as error:
                raise UsageError(f"{info.path} cannot be read: {error}") from error


def said_of_model(config: InstructConfig, admission: Admission | None) -> str:
    """What the text model was admitted for."""
    if admission is None:
        return "No text model was asked."
    marks = ", ".join(f"{task} {admission.accuracy[task]:.2f}" for task in WRITING.choices)
    without = [f for f in config.generated if not may_write(f, admission)]
    said = f"{admission.model}: {marks} ({MIN_ACCURACY} admits)."
    if without:
        said += f" It was not admitted to write {', '.join(without)}; "
        said += "only templates were written." if without == list(config.generated) else "these families are missing."
    if not admission.passed("knowledge"):
        said += " What it knows without looking was not asked of it."
    return said


def print_summary(out: str, config: InstructConfig, outcome: Outcome) -> None:
    """Print the table and what it rests on."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    table = Table(box=None, pad_edge=False)
    for column in ("family", "source", "made", "kept", "dropped"):
        table.add_column(column, justify="right" if column in ("made", "kept") else "left")
    total = Line()
    for (family, source), line in tally(out).items():
        total.kept += line.kept
        total.dropped += line.dropped
        table.add_row(family, source, str(line.made), str(line.kept), _reasons(line.dropped))
    table.add_row("all", "", str(total.made), str(total.kept), _reasons(total.dropped))
    console.print(table, highlight=False)
    done = outcome.videos - len(outcome.failed)
    lines = [
        said_of_model(config, known_admission(engine_name(config.text), admission_folder(out), WRITING)),
        f"{done} of {outcome.videos} videos have their turns, {outcome.done_before} of them from before.",
        *(f"FAILED {printable(video_id)}: {printable(why)}" for video_id, why in outcome.failed),
        f"turns:   {Store(out).uri(instruct_file.FOLDER)}",
        f"dropped: {Store(out).uri(instruct_file.FOLDER, instruct_file.DROPPED)}",
    ]
    for said in lines:
        console.print(said, soft_wrap=True, highlight=False, markup=False)


def _reasons(dropped: Counter[str]) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in sorted(dropped.items()))
