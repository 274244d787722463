"""The README is true: its commands exist, its make targets parse, its tree is the tree."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from cluster.cli import app
from cluster.instruct_cli import configured
from cluster.train_cli import frame_training, training
from pipelines import recipes
from pipelines.schema import Reason
from pipelines.settings import with_settings
from serve.config import ServeConfig
from serve.evaluation.config import Settings
from tests.pipelines import datasets
from train import frame_config

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.strip()
    for block in re.findall(r"```\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith(("preceptor ", "make "))
]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("preceptor")])
def test_preceptor_commands_parse(command: str) -> None:
    words = shlex.split(command)[1:]
    group = typer.main.get_command(app)
    while words and hasattr(group, "commands"):
        if words[0] not in group.commands:
            if not hasattr(group, "default_command"):
                assert words[0].startswith("--"), words[0]  # no verb that does not exist
                break
            words.insert(0, group.default_command)
        group = group.commands[words.pop(0)]
    context = group.make_context("preceptor", words, resilient_parsing=False)
    settings, recipe = context.params.get("settings") or [], context.params.get("recipe") or "starter"
    if command.startswith("preceptor train frames"):
        if context.params["recipe"] or context.params["model"]:
            frame_training(context.params["recipe"] or "siglip", settings, context.params["model"])
    elif command.startswith("preceptor train") and recipe in frame_config.RECIPES:
        frame_training(recipe, settings)
    elif command.startswith(("preceptor train vlm", "preceptor train settings")):
        training(recipe, settings, context.params.get("model"), context.params.get("data") or ())
    elif command.startswith("preceptor instruct"):
        configured(None, context.params.get("recipe"), settings)
    elif command.startswith("preceptor serve"):
        with_settings(ServeConfig(), settings)
    elif command.startswith("preceptor evaluate"):
        with_settings(Settings(), context.params.get("change") or [])
    else:
        with_settings(recipes.recipe(recipe), settings)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(c, marks=[pytest.mark.long] if c == "preceptor doctor" else [])  # which starts Ray
        for c in COMMANDS
        if c.split()[1] in ("audit", "report", "export", "settings", "doctor", "models")
    ],
)
def test_preceptor_commands_that_need_no_videos_run(command: str, tmp_path: Path) -> None:
    """`curate`, `screen` and `retry` run in test_demo, `vocabulary build` in its own test; training only as a function."""
    datasets.build(tmp_path / "DIR", [datasets.sample()[0]], datasets.sample()[1])
    words = [str(tmp_path / w) if w in ("DIR", "CLIPS") else w for w in shlex.split(command)[1:]]
    run = subprocess.run([sys.executable, "-m", "cluster.cli", *words], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_make_commands_parse(command: str) -> None:
    run = subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_every_verb_is_in_the_readme_and_has_help() -> None:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        assert command.help, name
        assert re.search(rf"preceptor {name}\b|`{name}`", README), name


def test_every_reason_is_in_the_readme() -> None:
    assert [r for r in Reason if f"`{r}`" not in README] == []


def test_the_tree_names_what_exists() -> None:
    tree = README.split("## The tree")[1].split("```")[1]
    ours = [ROOT / d for d in ("pipelines", "actors", "train", "serve", "cluster", "tests")]
    there = {path.name for folder in ours for path in (folder, *folder.rglob("*"))}
    assert [name for name in re.findall(r"\b[a-z_]+\.py\b|\b[a-z]+/", tree) if name.rstrip("/") not in there] == []


def test_the_ci_calls_the_readmes_test_command_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[-1] == "make test"
    assert all(line.startswith(("set ", "cd ")) for line in lines[:-1])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["curate", "NOWHERE", "--out", "OUT"], "NOWHERE"),
        (["curate", "EMPTY", "--out", "OUT"], "no videos"),
        (["curate", "EMPTY", "--out", "OUT", "--recipe", "none"], "no recipe 'none'"),
        (["curate", "EMPTY", "--out", "OUT", "--set", "a.b=1"], "a.b"),
        (["audit", "EMPTY"], "not a dataset"),
        (["export", "EMPTY", "--out", "OUT"], "not a dataset"),
        (["retry", "EMPTY"], "not a dataset"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_status_2(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "EMPTY").mkdir()
    run = subprocess.run(
        [sys.executable, "-m", "cluster.cli", *(str(tmp_path / a) if a.isupper() else a for a in arguments)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 2, run.stderr
    assert sentence in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "OUT").exists()
