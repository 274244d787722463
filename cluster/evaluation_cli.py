"""The verbs `evaluate` and `slice` of the command."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.errors import UsageError
from pipelines.settings import with_settings
from serve.evaluation.config import Condition, Settings

evaluate_app = typer.Typer(
    invoke_without_command=True,
    help="Ask a model behind an OpenAI-compatible address the questions of a benchmark, and score what it says.",
)

Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; `preceptor evaluate settings` lists them."),
]


@evaluate_app.callback()
def evaluate(
    context: typer.Context,
    url: Annotated[str | None, typer.Option(help="Address with its /v1; its key is read from PRECEPTOR_API_KEY.")] = None,
    model: Annotated[str | None, typer.Option(help="The model's name there.")] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(
            help="SurgeryVideoQA, MIMICEchoQA, ViDRiP, VQA-RAD, PathVQA, SLAKE, Quilt, MedQA or PubMedQA; or the folder of "
            "a dataset or export: its held-out videos are asked about."
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The benchmark's file or folder, pictures and clips beside it.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of results; else results/BENCHMARK/MODEL.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N questions.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=512, help="Questions asked at a time.")] = 16,
    blind: Annotated[bool, typer.Option("--blind", help="Without pictures: what needs no looking.")] = False,
    shuffled: Annotated[bool, typer.Option("--shuffled", help="With another question's picture.")] = False,
    judge_url: Annotated[
        str | None, typer.Option(help="A judge for open answers. Its key is read from PRECEPTOR_JUDGE_API_KEY.")
    ] = None,
    judge_model: Annotated[str | None, typer.Option(help="The judge's name there.")] = None,
    change: Changes = None,
) -> None:
    """Ask every question of a benchmark that has no answer yet, and print the table.

    Run the same command again after a crash: what is answered stays. Exit status 1 where questions failed.
    """
    if context.invoked_subcommand is not None:
        return
    if url is None or model is None or benchmark is None:
        raise UsageError("evaluate needs --url, --model and --benchmark (preceptor evaluate --help says more).")
    if blind and shuffled:
        raise UsageError("--blind and --shuffled are two runs: first the one, then the other.")
    from serve.evaluation.display import print_table, progress
    from serve.evaluation.results import runs_in
    from serve.evaluation.run import Evaluation
    from serve.evaluation.run import evaluate as ask_all
    from serve.evaluation.table import ALL, table, write

    condition = Condition.BLIND if blind else Condition.SHUFFLED if shuffled else Condition.SHOWN
    wanted = Evaluation(
        url=url, model=model, benchmark=benchmark, data=data, out=out, limit=limit, concurrency=concurrency,
        condition=condition, judge_url=judge_url, judge_model=judge_model, settings=configured(change),
    )  # fmt: skip
    with progress() as tell:
        ask_all(wanted, tell)
    found = table(runs_in(wanted.folder), wanted.settings)
    write(found, wanted.folder)
    print_table(found, wanted.folder)
    if any(line.failed for line in found.lines if line.group == ALL and line.condition is condition):
        raise typer.Exit(1)


@evaluate_app.command("compare")
def compare(
    run_a: Annotated[Path, typer.Argument(help="Folder of a run.")],
    run_b: Annotated[Path, typer.Argument(help="Folder of another run on the same questions.")],
    out: Annotated[Path | None, typer.Option(help="JSON file for the comparison.")] = None,
    change: Changes = None,
) -> None:
    """Compare two runs question by question: the difference with its interval, drawn by whole source videos."""
    import msgspec

    from serve.evaluation.compare import compare as paired
    from serve.evaluation.display import print_comparison
    from serve.evaluation.results import read_run

    found = paired(read_run(run_a), read_run(run_b), configured(change))
    print_comparison(found)
    if out is not None:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2))


@evaluate_app.command("export-lmms")
def export_lmms(
    dataset: Annotated[Path, typer.Argument(help="Folder of a dataset or of an export.")],
    out: Annotated[Path, typer.Option("--out", help="New folder for the task: YAML, scorer and questions with pictures.")],
    name: Annotated[str | None, typer.Option(help="The task's name; by default preceptor_DATASET.")] = None,
    change: Changes = None,
) -> None:
    """Write the held-out questions of a dataset as a task for lmms-eval, so that others can run it."""
    from serve.evaluation.lmms import export_lmms as export

    number, task = export(dataset, out, name, configured(change))
    typer.echo(f"{number} questions in {out}; run them with: lmms-eval --include_path {out} --tasks {task} --model ...")


@evaluate_app.command("settings")
def list_settings(change: Changes = None) -> None:
    """List every setting of `evaluate` with its value."""
    from pipelines.settings import all_settings

    for key, value in all_settings(configured(change)).items():
        typer.echo(f"{key}={value}")


def configured(changes: list[str] | None) -> Settings:
    """The default evaluation with its changes."""
    return with_settings(Settings(), changes or [], "preceptor evaluate settings")


def slice_clips(
    data: Annotated[Path, typer.Argument(help="The benchmark's file (.jsonl, .json, .parquet, .csv) or its folder.")],
    videos: Annotated[Path, typer.Option("--videos", help="Folder of your raw videos, VIDEO_ID.mp4 (or .mkv, .webm ...).")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the clips; `clips` beside DATA is found.")],
    workers: Annotated[int, typer.Option(min=1, max=256, help="Clips cut at a time.")] = 2,
    fps: Annotated[float, typer.Option(min=0, help="Frames a second; 0: as the source.")] = 0.0,
    max_edge: Annotated[int, typer.Option(min=0, help="Longer edge in pixels; 0: as the source.")] = 0,
    quality: Annotated[int, typer.Option(min=0, max=51, help="x264's constant rate factor.")] = 18,
) -> None:
    """Cut a benchmark's clips from your raw videos with the published intervals.

    One job per distinct clip; what is there stays. A clip without its source is a row of OUT/slices.parquet that says so,
    and the exit status is 1.
    """
    from serve.evaluation.cutter import Cut
    from serve.evaluation.display import print_slices, progress
    from serve.evaluation.slicing import slice_all

    how = Cut(frame_rate=fps, max_edge_px=max_edge, quality=quality)
    with progress("clips") as tell:
        rows = slice_all(data, videos, out, how, workers=workers, progress=tell)
    print_slices(rows, out)
    if any(r.status != "ok" for r in rows):
        raise typer.Exit(1)
