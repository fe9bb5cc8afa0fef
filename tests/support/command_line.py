"""The command line in this process: a process of its own would import everything again."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import click

from rememberd.cli.main import main, program


def check(config: Path | str) -> tuple[int, str]:
    """The exit code of `rememberd check` and what it prints. No provider's key of the environment is seen."""
    hidden = {name: os.environ.pop(name) for name in [*os.environ] if name.endswith("_API_KEY")}
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            code = main(["check", "--config", str(config)])
    finally:
        os.environ.update(hidden)
    return code, said.getvalue()


def parsed(words: Sequence[str]) -> click.Context:
    """What would be done with `words`, without doing it.

    Raises `click.ClickException` for words that are no command, or options that it does not have."""
    context = program.make_context("rememberd", list(words))
    while isinstance(context.command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, command, rest = context.command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, rest, parent=context)
    return context
