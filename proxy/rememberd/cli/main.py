"""`rememberd`: the command line. Each command is a module of `rememberd.cli`."""

import atexit
import logging
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from keyword import iskeyword

import click

from rememberd import __version__
from rememberd.cli import COMMANDS
from rememberd.errors import ConfigError, MemoryUnavailable, RememberdError
from rememberd.telemetry import logs

log = logging.getLogger("rememberd")

SERVERS = {"serve", "web", "writer"}  # they write a log; the other commands print their results
CONFIG_ERROR = 2  # with this exit code, the supervisor does not restart the process


def run() -> None:
    """`main` as a process of its own, which ends with its exit code whatever its threads are doing.

    The interpreter's clean-up is left out. It would end each thread at its next step in Python; if a thread is inside
    a C++ library then, for example while a model is being loaded, the process aborts (SIGABRT)."""
    code = 1  # of an exception that is not caught

    def end() -> None:
        try:
            sys.stdout.flush()
            status = code
        except OSError as error:
            print(f"rememberd: cannot write the output: {error.strerror}", file=sys.stderr)
            status = code or 1
        os._exit(status)

    atexit.register(end)  # what is registered first is called last
    try:
        code = main()
    except SystemExit as leaving:  # click's, after it has answered a shell's completion
        code = int(leaving.code or 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (default: the process's own arguments) names. Returns the exit code."""
    given = sys.argv[1:] if argv is None else argv
    named = next((word for word in given if word in COMMANDS), None)
    logging.basicConfig(level=logging.INFO if named in SERVERS else logging.WARNING, stream=sys.stderr)
    logs.configure("text")
    try:
        answer = program.main(
            list(given), prog_name="rememberd", complete_var="_REMEMBERD_COMPLETE", standalone_mode=False
        )
        return int(answer or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except MemoryUnavailable as error:
        log.error("%s", error)
        return 1
    except RememberdError as error:
        print(f"rememberd: {error}", file=sys.stderr)
        return CONFIG_ERROR if isinstance(error, ConfigError) else 1
    except OSError as error:
        if named in SERVERS or error.filename is None:
            raise
        print(f"rememberd: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except (click.Abort, KeyboardInterrupt):
        return 130


class _Program(click.Group):
    """Imports the module of a command only when this command is used: importing all modules takes seconds."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"rememberd.cli.{cmd_name}{'_' * iskeyword(cmd_name)}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS)
            meant = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command {args[0]!r}: {meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Program,
    help="A chat proxy with memory.",
    epilog="`rememberd COMMAND --help` shows the options of a command, with examples.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 118},
)
@click.version_option(__version__, prog_name="rememberd", message="%(prog)s %(version)s")
def program() -> None:
    pass
