"""`preceptor bench`: measurements against truth. The lectures and the measures live in the source tree beside the tests."""

import contextlib
from collections.abc import Iterator
from typing import Annotated

import typer

from pipelines.errors import UsageError

bench_app = typer.Typer(help="Measure this version against truth (in a source tree).", no_args_is_help=True)


@bench_app.command("grounding", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def grounding(
    context: typer.Context,
    seed: Annotated[int, typer.Option(help="Of the set of lectures; settings were tuned on others than 1.")] = 1,
    count: Annotated[int, typer.Option(min=1, help="How many lectures.")] = 60,
) -> None:
    """Render lectures with known truth and print what is found beside the published rules; exit status 1 below a bar.

    Writes the table as Parquet and as a picture. Further options (--by FACTOR, --out DIR, --processes N, --no-baselines,
    --no-transcribe, --viewers DIR) are those of `python -m tests.bench.grounding.run --help`.
    """
    with _source_tree():
        from tests.bench.grounding import run
    run.main(["--seed", str(seed), "--count", str(count), *context.args])


@bench_app.command("screening", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def screening(context: typer.Context) -> None:
    """Render films on either side of each limit of the screen and print which are accepted and rejected as they should be.

    Options (--out DIR, --variants N, --processes N) are those of `python -m tests.bench.screening --help`.
    """
    with _source_tree():
        from tests.bench import screening
    screening.main(context.args)


@contextlib.contextmanager
def _source_tree() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as missing:
        raise UsageError(f"preceptor bench needs the source tree, run it in a clone: {missing}.") from missing
