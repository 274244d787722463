"""The grounding bench, `preceptor bench grounding`: scenes, rests, pictures, traces, episodes and alignment, measured."""

import argparse
import dataclasses
import shutil
import time
from collections.abc import Sequence
from pathlib import Path


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What was asked."""
    parser = argparse.ArgumentParser(prog="preceptor bench grounding", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the set; the bars' own settings were tuned on other seeds")
    parser.add_argument("--count", type=int, default=60, help="how many films")
    parser.add_argument("--out", type=Path, help="default: build/grounding/seed_SEED")
    parser.add_argument("--processes", type=int, default=2, help="films measured at a time, one thread each")
    parser.add_argument("--transcribe", action=argparse.BooleanOptionalAction, default=True, help="word times too")
    parser.add_argument("--baselines", action=argparse.BooleanOptionalAction, default=True, help="the published rules too")
    parser.add_argument("--by", action="append", default=[], metavar="FACTOR", help="group by it; `film` is one line each")
    parser.add_argument("--method", default="ours", choices=("ours", "published"), help="whose numbers --by groups")
    parser.add_argument("--viewers", type=Path, help="recordings of real viewers; default: those beside the repository")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print, write; ends with 1 where a bar is not met."""
    from rich.console import Console

    from tests.bench.grounding.measure import measure_set
    from tests.bench.grounding.table import draw, grouped, per_film, shown
    from tests.bench.grounding.viewers import folder_of, measure_viewers, shown_viewers

    asked = arguments(given)
    out = asked.out or Path("build") / "grounding" / f"seed_{asked.seed}"
    console = Console(width=max(150, shutil.get_terminal_size().columns))  # a pipe would cut the tables at 80
    started = time.perf_counter()
    summary = measure_set(asked.seed, asked.count, out, asked.processes, transcribe=asked.transcribe,
                          baselines=asked.baselines)  # fmt: skip
    title = f"Grounding, seed {asked.seed}, {len(summary.films)} films"
    console.print(shown(summary, title))
    for factor in asked.by:
        one = per_film(summary, asked.method) if factor == "film" else grouped(summary, factor, asked.method)
        console.print(one)
    draw(summary, out / "grounding.png", title)
    folder = folder_of(asked.viewers)
    if folder is not None:
        seen = measure_viewers(folder)
        console.print(shown_viewers(seen))
        _write_viewers(seen, out / "viewers.parquet")
    took_s = time.perf_counter() - started
    console.print(f"digest {summary.digest()}  {took_s:.0f} s  {out}", highlight=False)
    if summary.failed():
        raise SystemExit(1)


def _write_viewers(seen: list, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([dataclasses.asdict(s) | {"errors": list(s.errors)} for s in seen]), path)


if __name__ == "__main__":
    main()
