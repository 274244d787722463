"""What a person sees: the table, the share that needs no looking, a comparison, a progress bar."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import rich.progress
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from serve.evaluation.compare import Comparison
from serve.evaluation.slicing import Slice
from serve.evaluation.table import ALL, Line, Table

MOST_ROWS = 40


def console() -> Console:
    """Standard output; wide where it is no terminal."""
    here = Console()
    return here if here.is_terminal else Console(width=160)


@contextlib.contextmanager
def progress(what: str = "questions") -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, on a terminal."""
    bar = rich.progress.Progress(
        rich.progress.TextColumn(what),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not Console(stderr=True).is_terminal,
    )
    task = bar.add_task(what, total=None)
    with bar:
        yield lambda done, of: bar.update(task, completed=done, total=of)


def print_table(found: Table, folder: Path) -> None:
    """The table and where it lies."""
    out = console()
    judged = f", judged by {found.judge}" if found.judge != "none" else ""
    _say(out, f"{found.model} on {found.benchmark}: {found.questions} questions; open answers by {found.open_score}{judged}")
    grid = Grid(box=None, pad_edge=False)
    percent = f"{found.confidence:.0%} interval"
    for column in ("pictures", "questions", "asked", "score", percent, "of parsed", "commonest", "F1", "recall", "unparsed",
                   "failed", "cut off", "sources", "p50 s", "p95 s"):  # fmt: skip
        grid.add_column(column, justify="left" if column in ("pictures", "questions") else "right", no_wrap=True)
    for line in found.lines:
        grid.add_row(*_cells(line))
    out.print(grid, highlight=False)
    for look in found.looking:
        if look.share is None:
            _say(out, f"needs no looking ({look.condition}): not known, {look.why_not}")
        else:
            _say(out, f"needs no looking ({look.condition}): {look.share:.1%} of the score"
                      f"{_interval(look.low, look.high)}, over {look.questions} questions")  # fmt: skip
    asked = found.lines[0].questions
    if asked < found.questions:
        _say(out, f"asked so far: {asked} of {found.questions}")
    failed = sum(line.failed for line in found.lines if line.group == ALL)
    if failed:
        _say(out, f"{failed} failed, in no score; the same command asks them again, `results.parquet` says why")
    _say(out, f"rows:  {folder}/<condition>/results.parquet")
    _say(out, f"table: {folder}/table.json, {folder}/table.parquet")


def _cells(line: Line) -> tuple[str | Text, ...]:
    return (
        str(line.condition),
        Text(line.group),  # groups are strangers' words, not markup
        str(line.questions),
        _share(line.score),
        _interval(line.low, line.high).strip(),
        _share(line.parsed_score),
        _share(line.commonest),
        _share(line.f1),
        _share(line.recall),
        str(line.unparsed or ""),
        str(line.failed or ""),
        str(line.cut_off or ""),
        str(line.sources),
        "" if line.latency_p50_s is None else f"{line.latency_p50_s:.2f}",
        "" if line.latency_p95_s is None else f"{line.latency_p95_s:.2f}",
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"


def print_comparison(found: Comparison) -> None:
    """Two runs on the same questions."""
    out = console()
    for name, run, score in (("A", found.first, found.first_score), ("B", found.second, found.second_score)):
        _say(out, f"{name}: {_share(score) or 'no score'}  {run}")
    if found.difference is None:
        _say(out, "no question has an answer in both runs")
    else:
        bounds = _interval(found.low, found.high) or " (no interval)"
        chance = "" if found.p_value is None else f", p = {found.p_value:.4f}"
        over = f"{found.questions} questions, {found.sources} sources"
        _say(out, f"B - A: {100 * found.difference:+.1f}{bounds}{chance} over {over}")
    _say(out, f"B better on {found.second_better}, A better on {found.first_better}, equal on {found.equal}")
    if found.left_out:
        _say(out, f"left out: {found.left_out} questions that failed or were not asked in one of the runs")
    for note in found.notes:
        _say(out, f"note: {note}")


def print_slices(rows: Sequence[Slice], folder: Path) -> None:
    """What was cut, and every clip that was not."""
    out = console()
    bad = [r for r in rows if r.status != "ok"]
    for row in bad[:MOST_ROWS]:
        _say(out, f"{row.name}: {row.reason}, {row.detail} ({row.rows} rows)")
    if len(bad) > MOST_ROWS:
        _say(out, f"... and {len(bad) - MOST_ROWS} more")
    new = sum(r.is_new and r.status == "ok" for r in rows)
    _say(out, f"{len(rows)} clips = {new} cut now + {len(rows) - len(bad) - new} there before + {len(bad)} failed")
    _say(out, f"rows: {folder}/slices.parquet")


def _say(out: Console, text: str) -> None:
    out.print(text, soft_wrap=True, highlight=False, markup=False)
