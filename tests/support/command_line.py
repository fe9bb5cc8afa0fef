"""What the command line would do with words, without doing it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from rememberd.cli.main import program


def parsed(words: Sequence[str]) -> click.Context:
    """Raises `click.ClickException` for words that are no command, or options that it does not have."""
    context = program.make_context("rememberd", list(words))
    while isinstance(context.command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, command, rest = context.command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, rest, parent=context)
    return context
