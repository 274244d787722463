"""The summary for people: a table in the terminal, groups by a factor, and a picture."""

from pathlib import Path
from typing import Any

from tests.bench.grounding.summary import Bar, Line, Summary

GROUPED = ("scene.f1", "stable.iou", "image.luma", "image.ghost", "trace.error_p50", "trace.error_p95", "trace.recall",
           "trace.recall_film", "trace.false", "episode.iou", "align.accuracy")  # fmt: skip


def number(value: float | None, unit: str = "") -> str:
    """Three digits that matter."""
    if value is None:
        return "-"
    text = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return f"{text} {unit}".strip()


def asked(bar: Bar) -> str:
    """The bar in words."""
    limit = "" if bar.limit is None else f"{'≥' if bar.higher else '≤'} {bar.limit:g}"
    better = "" if not bar.beats else f"{bar.times:g}x published" if bar.times != 1 else "better"
    return ", ".join(filter(None, [limit, better]))


def cells(line: Line) -> list[str]:
    """Measure, ours, published, bar, mark."""
    mark = {True: "pass", False: "FAIL", None: ""}[line.passed]
    bar = asked(line.bar) if line.passed is not None else ""
    return [line.bar.label, number(line.ours, line.bar.unit), number(line.published), bar, mark]


def shown(summary: Summary, title: str) -> Any:
    """A rich table."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("measure", no_wrap=True)
    for name in ("ours", "published", "bar"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for line in summary.lines():
        if line.ours is None and line.published is None:
            continue
        style = {True: "green", False: "bold red", None: ""}[line.passed]
        row = cells(line)
        table.add_row(*row[:4], f"[{style}]{row[4]}[/]" if style else "", end_section=False)
    return table


def grouped(summary: Summary, factor: str, method: str = "ours") -> Any:
    """A rich table: a line per value of the factor."""
    from rich.table import Table

    table = Table(title=f"{method} by {factor}", title_justify="left")
    for name in (factor, "films", *GROUPED):
        table.add_column(name.replace(".", "\n"), justify="right")
    for value, part in summary.by(factor).items():
        table.add_row(value, str(len(part.films)), *(number(part.value(m, method)) for m in GROUPED))
    return table


def per_film(summary: Summary, method: str = "ours") -> Any:
    """A rich table: a line per film."""
    from rich.table import Table

    table = Table(title=f"{method} by film", title_justify="left")
    for name in ("film", "domain", "cursor", *GROUPED):
        table.add_column(name.replace(".", "\n"), justify="right")
    for film in summary.films:
        one = Summary((film,))
        facts = (film.film, str(film.factors.get("domain")), str(film.factors.get("cursor")))
        table.add_row(*facts, *(number(one.value(m, method)) for m in GROUPED))
    return table


def draw(summary: Summary, path: Path, title: str) -> None:
    """The table as a picture, and the distributions of the cursor's error below it. The same bytes for the same numbers."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    lines = [line for line in summary.lines() if line.ours is not None or line.published is not None]
    lines = [line for line in lines if not line.bar.metric.startswith("speed")]  # else no two pictures were alike
    height = 0.26 * (len(lines) + 1)
    figure, (top, below) = plt.subplots(2, 1, figsize=(11, height + 3.6), height_ratios=[height, 3], layout="constrained")
    top.axis("off")
    top.set_title(title, loc="left")
    table = top.table([cells(line) for line in lines], colLabels=["measure", "ours", "published", "bar", ""], loc="center",
                      colWidths=[0.5, 0.16, 0.11, 0.16, 0.07], cellLoc="right", bbox=[0, 0, 1, 1])  # fmt: skip
    for (row, column), cell in table.get_celld().items():
        cell.set_linewidth(0.3)
        if column == 0:
            cell.set_text_props(ha="left")
        if column == 4 and row and lines[row - 1].passed is not None:
            cell.set_facecolor("#cfe8cf" if lines[row - 1].passed else "#f3c6c0")
    for method in ("ours", "published"):
        errors = sorted(v for f in summary.films for t in f.tallies.get(method, ())
                        if t.metric == "trace.error_p50" for v in t.values or ())  # fmt: skip
        if errors:
            below.plot([max(0.1, e) for e in errors], [(i + 1) / len(errors) for i in range(len(errors))], label=method)
    below.set_xscale("log")
    below.set_xlabel("error of a traced cursor sample, px at 720p")
    below.set_ylabel("share of samples")
    below.axvline(3, color="grey", linewidth=0.6)
    below.axvline(12, color="grey", linewidth=0.6)
    if below.lines[2:] or below.get_legend_handles_labels()[0]:
        below.legend()
    figure.savefig(path, dpi=130, metadata={"Software": None})
    plt.close(figure)
