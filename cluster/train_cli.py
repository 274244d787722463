"""`preceptor train`: one function a verb, heavy imports inside."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipelines.errors import UsageError
from pipelines.settings import with_settings
from train import frame_config, vlm_recipes
from train.config import TrainConfig
from train.frame_config import FrameConfig

train_app = typer.Typer(help="Fine-tune a vision-language model or a frame classifier; label frames.", no_args_is_help=True)

TrainRecipe = Annotated[str, typer.Option(help=f"One of: {', '.join(vlm_recipes.RECIPES)}.")]
AnyTrainRecipe = Annotated[str, typer.Option(help=f"One of: {', '.join([*vlm_recipes.RECIPES, *frame_config.RECIPES])}.")]
TrainSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; `preceptor train settings` lists them."),
]


def training(
    recipe: str, settings: list[str] | None, model: str | None = None, data: Sequence[str] = ()
) -> TrainConfig:
    """The training recipe with its changes; every source has a weight in every stage."""
    from train.run import with_sources
    from train.sources import parse

    config = vlm_recipes.recipe(recipe)
    config = with_sources(dataclasses.replace(config, model=model) if model else config, parse(list(data)))
    return with_settings(config, settings or [], "preceptor train settings")


def frame_training(recipe: str, settings: list[str] | None, model: str | None = None) -> FrameConfig:
    """A frame classifier's recipe with its changes."""
    config = frame_config.recipe(recipe)
    config = dataclasses.replace(config, model=model) if model else config
    return with_settings(config, settings or [], f"preceptor train settings --recipe {recipe}")


@train_app.command("frames")
def train_frames(
    data: Annotated[
        list[Path],
        typer.Option("--data", help="Folder with one sub-folder of pictures per class, or a CSV of path, label[, group]."),
    ],
    out: Annotated[str, typer.Option("--out", help="Head file (.npz), its report beside it; or the folder of a model.")],
    recipe: Annotated[
        str | None, typer.Option(help=f"Fine-tune a whole model: {', '.join(frame_config.RECIPES)} (siglip with --model).")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Image classifier to fine-tune: a folder or a hub name.")] = None,
    workers: Annotated[str, typer.Option(help="How many, or as few as and as many as there is room for: 2-8.")] = "1",
    seed: Annotated[int | None, typer.Option(min=0, help="Of everything random.")] = None,
    settings: TrainSettings = None,
) -> None:
    """Train the starter frame classifier's head on picture folders; with --model or --recipe, fine-tune a whole model.

    A whole model's OUT/model is a plain Hugging Face folder for classifier.model, OUT/report.json says what it is worth on
    held-out pictures, and OUT/disagreements.html shows where it and the labels differ. The same command goes on after a
    crash, a kill or SIGTERM.
    """
    from cluster.connect import cluster, set_environment

    set_environment()
    from train.run import Stopped, worker_range

    count = worker_range(workers)
    if recipe is None and model is None:
        if settings:
            raise UsageError("--set changes a whole model's fine-tuning: give --model or --recipe.")
        if "://" in out:
            raise UsageError("A head is a file on this machine: --out HEAD.npz.")
        if csvs := [str(d) for d in data if d.suffix.lower() == ".csv"]:
            raise UsageError(f"The head learns from folders; {csvs[0]} is for a whole model: give --model or --recipe.")
        _train_head(data, Path(out), seed or 0, count)
        return
    from train.frame_tuning import run

    chosen = [*([f"seed={seed}"] if seed is not None else []), *(settings or [])]
    config = frame_training(recipe or "siglip", chosen, model)
    try:
        run(data, out, config, workers=count, connect=cluster, say=typer.echo)
    except Stopped as stopped:
        typer.echo(f"preceptor: {stopped}", err=True)
        raise typer.Exit(143) from stopped


def _train_head(data: list[Path], out: Path, seed: int, workers: tuple[int, int]) -> None:
    from cluster.connect import cluster
    from train.frames import features_over, run

    if workers == (1, 1):
        run(data, out, seed=seed)
    else:
        with cluster(), features_over(workers, typer.echo) as features:
            run(data, out, seed=seed, features=features)
    typer.echo(f"wrote {out} and {out.with_suffix('.json')}")


@train_app.command("label")
def train_label(
    pictures: Annotated[list[Path], typer.Argument(help="Folders of frames; those of one sub-folder are one source.")],
    out: Annotated[Path, typer.Option("--out", help="CSV of path, label and group; labels in it are kept.")],
    base_url: Annotated[str, typer.Option(help="OpenAI-compatible address; the key is read from PRECEPTOR_TEXT_API_KEY.")],
    model: Annotated[str, typer.Option(help="The model's name there; it must see pictures.")],
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="One of the classes, nonmedical among them; repeatable; all domains.")
    ] = None,
    tries: Annotated[int, typer.Option(min=1, help="How often a reply that is not of the form is asked for.")] = 3,
) -> None:
    """Label frames with a vision model, for `preceptor train frames --data labels.csv`; correct the CSV by hand.

    The same command goes on with the frames that have no label. A failure is no label.
    """
    from actors.text_engine import OpenAiEngine
    from pipelines.config import TextSettings
    from train.frame_labeller import run

    engine = OpenAiEngine(TextSettings(engine="openai", base_url=base_url, model=model))
    counts = run(pictures, out, engine, classes or (), tries=tries, say=typer.echo)
    typer.echo(f"{out}: " + ", ".join(f"{n} {name}" for name, n in counts.most_common()))


@train_app.command("vlm")
def train_vlm(
    data: Annotated[
        list[str],
        typer.Option("--data", help="[NAME=]PATH of a curated dataset, or of a LLaVA-format .json or .jsonl; repeatable."),
    ],
    out: Annotated[str, typer.Option("--out", help="Folder for the model, its log and its checkpoints.")],
    recipe: TrainRecipe = "starter",
    model: Annotated[str | None, typer.Option(help="Folder or hub name of a Qwen2-VL, other than the recipe's.")] = None,
    workers: Annotated[str, typer.Option(help="How many, or as few as and as many as there is room for: 2-8.")] = "1",
    settings: TrainSettings = None,
) -> None:
    """Fine-tune a vision-language model (Qwen2-VL) with Ray Train; OUT/model is a plain Hugging Face folder.

    The same command goes on after a crash, a kill or SIGTERM, also with another number of workers.
    """
    from cluster.connect import cluster, set_environment

    set_environment()
    from train.run import Stopped, run, worker_range

    config = training(recipe, settings, model, data)
    try:
        run(data, out, config, workers=worker_range(workers), connect=cluster, say=typer.echo)
    except Stopped as stopped:
        typer.echo(f"preceptor: {stopped}", err=True)
        raise typer.Exit(143) from stopped


@train_app.command("settings")
def train_settings(recipe: AnyTrainRecipe = "starter", settings: TrainSettings = None) -> None:
    """List every setting of a training with its value."""
    from pipelines.settings import all_settings

    frames = recipe in frame_config.RECIPES
    config = frame_training(recipe, settings) if frames else training(recipe, settings)
    for key, value in all_settings(config).items():
        typer.echo(f"{key}={value}")
