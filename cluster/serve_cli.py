"""`preceptor serve MODEL`, and its commands for keys and settings."""

from pathlib import Path
from typing import Annotated

import typer

from cluster.default_command import DEFAULT_COMMAND, RunOrCommand
from pipelines.errors import EnvironmentFault
from serve.config import ServeConfig, default_keys_path

serve_app = typer.Typer(
    cls=RunOrCommand,
    no_args_is_help=True,
    help="Serve a model over HTTP, OpenAI-compatible: `serve MODEL`. Its options: `serve run --help`.",
)
keys_app = typer.Typer(help="API keys: hashed in a file of mode 0600; changes reach a running server.", no_args_is_help=True)
serve_app.add_typer(keys_app, name="keys")

KeysFile = Annotated[Path | None, typer.Option("--file", help="The key file, as the setting http.keys_file.")]
Name = Annotated[str, typer.Argument(help="Whose key it is.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; `preceptor serve settings` lists them."),
]


@serve_app.command(DEFAULT_COMMAND)
def run(
    model: Annotated[str, typer.Argument(help="Folder of a Hugging Face checkpoint, a hub name, or `starter`.")],
    adapters: Annotated[
        list[str] | None,
        typer.Option("--adapters", metavar="NAME=FOLDER", help="A LoRA adapter, asked for by its name. Repeatable."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    keyless: Annotated[bool, typer.Option("--keyless", help="Answer without a key; loopback addresses only.")] = False,
    settings: Settings = None,
) -> None:
    """Serve MODEL until SIGTERM; running requests finish first. `serve MODEL` is short for `serve run MODEL`."""
    config = configured(
        [f"http.host={host}", f"http.port={port}", f"http.keyless={str(keyless).lower()}", *(settings or [])]
    )
    from cluster.connect import cluster, set_environment

    set_environment()
    from serve import run as driver

    served = driver.prepare(model, adapters or [], config)
    try:
        driver.run(served, config, connect=cluster, say=lambda line: typer.echo(line, err=True))
    except EnvironmentFault as error:
        typer.echo(f"preceptor: {error}", err=True)
        raise typer.Exit(3) from error


@serve_app.command("settings")
def list_settings(settings: Settings = None) -> None:
    """List every setting of `serve` with its value."""
    from pipelines.settings import all_settings

    for key, value in all_settings(configured(settings or [])).items():
        typer.echo(f"{key}={value}")


def configured(assignments: list[str]) -> ServeConfig:
    """The default server with its changes."""
    from pipelines.settings import with_settings

    return with_settings(ServeConfig(), assignments, "preceptor serve settings")


@keys_app.command("add")
def add_key(name: Name, file: KeysFile = None) -> None:
    """Make a key and print it, this once."""
    from serve import keys

    typer.echo(keys.add(file or default_keys_path(), name))


@keys_app.command("list")
def list_keys(file: KeysFile = None) -> None:
    """Names and dates of all keys."""
    from serve import keys

    path = file or default_keys_path()
    for key in keys.read(path):
        typer.echo(f"{key.name}: made {key.created}" + (f", revoked {key.revoked}" if key.revoked else ""))
    if not keys.read(path):
        typer.echo(f"There are no keys in {path}.")


@keys_app.command("revoke")
def revoke_key(name: Name, file: KeysFile = None) -> None:
    """Refuse the key from now on."""
    from serve import keys

    keys.revoke(file or default_keys_path(), name)
    typer.echo(f"revoked {name}")
