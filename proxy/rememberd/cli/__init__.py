"""The command line: one module for each command, imported only when its command is run or asked for help.

The module of a command has a click command named `command`, made by the decorator `command` below. Its function
returns the exit code, and may raise any `RememberdError`.
"""

import os
from collections.abc import Callable
from pathlib import Path

import click

from rememberd.settings.schema import Settings, load

COMMANDS = {
    "serve": "run the proxy: web processes and the writer, which are restarted when they exit",
    "web": "run one web process",
    "writer": "run the writer, which stores memories and learns from the turns",
    "check": "check the settings and everything that they name, and print what is wrong",
    "chat": "chat in the terminal, and see what was recalled for each answer",
    "memories": "list, search, add, edit, forget, export and import what is remembered",
    "recall": "show what a question would recall, each candidate with the parts of its score",
    "import": "import exports of ChatGPT, Claude, Mem0 and others, notes, or our own NDJSON",
    "audit": "find duplicates, junk, contradictions and secrets among the memories; repair them",
    "migrate": "move all memories between an embedded store and a Qdrant server, and check that they are the same",
    "erase": "erase everything of a user, and search the disk for what is left",
    "backup": "save everything of a data directory in one file, also while the proxy runs",
    "restore": "verify a backup, and restore it into a new data directory",
    "encryption": "show which master key is in use, or encrypt all keys with a new one",
    "keys": "create, list, rotate and revoke API keys; changes take effect within a second",
    "groups": "create, list and remove groups who share memories, and add or remove their members",
    "usage": "show tokens, requests and their estimated cost by key, user, model and day",
    "dead": "list the turns that could not be stored, or try them again",
    "demo": "tell one model a fact and ask another for it; needs no key and no network",
    "connect": "write this proxy's address and the project's scope into the settings of a coding agent",
    "disconnect": "remove what `connect` wrote from the settings of a coding agent",
    "completion": "print a script that completes commands in bash, zsh or fish",
}

_USUAL_CONFIG = Path("config/rememberd.yaml")

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="the YAML file (default: $REMEMBERD_CONFIG, else config/rememberd.yaml)",
)


def command(name: str, examples: str) -> Callable[[Callable[..., int]], click.Command]:
    """Decorator: a command with its line of `COMMANDS` and with examples that users can copy."""
    about = COMMANDS[name]
    return click.command(name, help=f"{about[0].upper()}{about[1:]}.", epilog=shown_as_is(f"examples:\n{examples}"))


def shown_as_is(text: str) -> str:
    """Text that click does not wrap."""
    return "\n\n".join(f"\b\n{part}" for part in text.rstrip().split("\n\n"))


def settings_of(config: Path | None) -> Settings:
    """Raises `ConfigError`."""
    return load(config_file(config), os.environ)


def config_file(config: Path | None) -> Path | None:
    """The file that the user named, else the default file if it exists."""
    if config is not None:
        return config
    if named := os.environ.get("REMEMBERD_CONFIG"):
        return Path(named)
    return _USUAL_CONFIG if _USUAL_CONFIG.exists() else None
