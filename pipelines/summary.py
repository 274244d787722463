"""What a run says at its end: the fate of every video, and where everything lies."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.audit import Audit, printable
from pipelines.curate import Plan
from pipelines.dataset import rows
from pipelines.media import public_uri

MOST_ROWS = 60


def print_outcome(plan: Plan, result: Audit) -> None:
    """Print the table, the audit and the addresses."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    table = Table(box=None, pad_edge=False)
    for column in ("video", "status", "reason", "detail", "minutes", "domain", "clips"):
        table.add_column(column, overflow="ellipsis", no_wrap=column != "detail")
    shown = 0
    for video in rows(plan.store.out):
        if shown < MOST_ROWS:
            minutes = f"{video.probe.duration_s / 60:.1f}" if video.probe and video.probe.duration_s else ""
            table.add_row(
                # names and details are strangers' words: neither markup nor a terminal's commands
                Text(printable(public_uri(video.uri).rsplit("/", 1)[-1])),
                str(video.status),
                str(video.reason or ""),
                Text(printable(video.detail or "")),
                minutes,
                str(video.domain or ""),
                str(len(video.clips) or ""),
            )
        shown += 1
    console.print(table, highlight=False)
    if shown > MOST_ROWS:
        console.print(f"... and {shown - MOST_ROWS} more, in the report")
    if plan.changed:
        console.print(
            f"{len(plan.changed)} sources have changed since they were curated (first: {printable(plan.changed[0])}); "
            f"`preceptor retry {plan.store.out} --changed` does them again.",
            markup=False,
        )
    for line in result.lines():
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    console.print(f"dataset: {plan.store.out}", soft_wrap=True, highlight=False, markup=False)
    console.print(f"report:  {plan.store.uri('report.html')}", soft_wrap=True, highlight=False, markup=False)
