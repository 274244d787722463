"""The verb `instruct` of the command."""

from typing import Annotated

import typer

from cluster.default_command import DEFAULT_COMMAND, RunOrCommand
from pipelines import recipes
from pipelines.errors import UsageError
from pipelines.instruct_config import InstructConfig, from_curation
from pipelines.settings import with_settings

instruct_app = typer.Typer(
    cls=RunOrCommand,
    no_args_is_help=True,
    help="Write questions and answers about a dataset's clips: `instruct DIR`. Its options: `instruct run --help`.",
)
Recipe = Annotated[
    str | None, typer.Option(help=f"Text model of a recipe ({', '.join(recipes.RECIPES)}), other than the dataset's own.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; `preceptor instruct settings` lists them."),
]


@instruct_app.command(DEFAULT_COMMAND)
def run(
    dataset: Annotated[str, typer.Argument(help="Folder of a dataset.")],
    recipe: Recipe = None,
    settings: Settings = None,
) -> None:
    """Write DIR/instruct: templates, and the families of a text model that is admitted. `instruct DIR` is short for it.

    The same command goes on after a crash, and does only what is new. Exit status 1 where a video failed.
    """
    from cluster.connect import cluster, set_environment
    from pipelines.store import Store

    if not Store(dataset).exists("manifest.parquet"):
        raise UsageError(f"{dataset} is not a dataset: it has no manifest.parquet.")
    config = configured(dataset, recipe, settings)
    set_environment()
    from rich.console import Console

    from pipelines import instruct
    from pipelines.instruct_summary import print_summary
    from pipelines.progress import Progress

    outcome = instruct.run(dataset, config, connect=cluster, progress=Progress(Console(stderr=True)))
    print_summary(dataset, config, outcome)
    if outcome.failed:
        raise typer.Exit(1)


@instruct_app.command("settings")
def list_settings(
    dataset: Annotated[str | None, typer.Argument(help="Folder of a dataset, whose text model is taken.")] = None,
    recipe: Recipe = None,
    settings: Settings = None,
) -> None:
    """List every setting of `instruct` with its value."""
    from pipelines.settings import all_settings

    for key, value in all_settings(configured(dataset, recipe, settings)).items():
        typer.echo(f"{key}={value}")


def configured(dataset: str | None, recipe: str | None, settings: list[str] | None) -> InstructConfig:
    """The text model of the recipe, or else of the dataset, with the changes.

    Raises:
        UsageError: no such recipe or setting, or the dataset holds only the screen's verdicts.
    """
    if dataset is not None:
        from pipelines.retries import saved_config, was_screened

        if was_screened(dataset):
            raise UsageError(f"{dataset} holds only the screen's verdicts; curate it first.")
        if recipe is None:
            return with_settings(from_curation(saved_config(dataset, [])), settings or [], "preceptor instruct settings")
    config = from_curation(recipes.recipe(recipe or "starter"))
    return with_settings(config, settings or [], "preceptor instruct settings")
