"""`rememberd`: the command line. Each command is a module of `rememberd.cli`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from keyword import iskeyword

from rememberd import __version__
from rememberd.cli import COMMANDS
from rememberd.errors import ConfigError, MemoryUnavailable, RememberdError
from rememberd.telemetry import logs

log = logging.getLogger("rememberd")

SERVERS = {"serve", "web", "writer"}  # they have a log; the others say what they have to say
CONFIG_ERROR = 2  # the exit code that tells the supervisor not to try again


def main(argv: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if argv is None else argv
    named = [word for word in given if word in COMMANDS][:1]
    arguments = parser(named).parse_args(given)
    level = logging.INFO if SERVERS & set(named) else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr)
    logs.configure("text")
    try:
        return int(arguments.run(arguments))
    except ConfigError as error:
        print(f"rememberd: {error}", file=sys.stderr)
        return CONFIG_ERROR
    except MemoryUnavailable as error:
        log.error("%s", error)
        return 1
    except RememberdError as error:
        print(f"rememberd: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser(whole: Collection[str]) -> argparse.ArgumentParser:
    """Knows the options of the commands in `whole`, and the other commands by name: importing all takes seconds."""
    top = argparse.ArgumentParser(
        prog="rememberd",
        description="A chat proxy with memory.",
        epilog="rememberd COMMAND --help says more, with examples.",
    )
    top.add_argument("--version", action="version", version=f"rememberd {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for name, about in COMMANDS.items():
        command = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        if name in whole:
            module = import_module(f"rememberd.cli.{name}{'_' * iskeyword(name)}")
            command.formatter_class = argparse.RawDescriptionHelpFormatter
            command.epilog = f"examples:\n{module.EXAMPLES}"
            command.set_defaults(run=module.run)
            module.options(command)
    return top
