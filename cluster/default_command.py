"""A group of commands of which one may go unnamed: `preceptor serve MODEL` is `preceptor serve run MODEL`."""

from typing import Any

import typer.core

DEFAULT_COMMAND = "run"


class RunOrCommand(typer.core.TyperGroup):
    """`NAME WHAT ...` is `NAME run WHAT ...`."""

    default_command = DEFAULT_COMMAND

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` where the command's name is missing."""
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)
