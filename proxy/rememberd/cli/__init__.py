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
    "serve": "run the proxy: web processes and the writer, restarted when they die",
    "web": "run one web process",
    "writer": "run the writer: it keeps the memories and learns from the turns",
    "check": "look at the settings and everything they name; say what is wrong",
    "chat": "chat in the terminal, and see what was recalled for each answer",
    "memories": "list, search, add, edit, forget, export and import what is remembered",
    "recall": "show what a question would recall, each candidate with the parts of its score",
    "import": "bring in what you have: ChatGPT's, Claude's and Mem0's exports, notes, our own NDJSON",
    "audit": "find duplicates, junk, contradictions and secrets among the memories; repair them",
    "migrate": "move all memories between an embedded store and a Qdrant server, and check that they are the same",
    "erase": "erase a user whole, and look whether anything is left on the disk",
    "backup": "save everything of a data directory in one file, also while the proxy runs",
    "restore": "verify a backup and make a data directory of it",
    "encryption": "show which master key is in force, or wrap all keys by a new one",
    "keys": "create, list, rotate and revoke API keys, in force within a second",
    "groups": "create, list and remove groups who share memories, and add or remove their members",
    "usage": "show tokens, requests and their estimated cost by key, user, model and day",
    "dead": "list the turns that could not be remembered, or try them again",
    "demo": "see a fact told to one model come back from another; needs no key and no network",
    "connect": "write this proxy and the project's scope into the settings of a coding agent",
    "disconnect": "take out of a coding agent's settings what connect wrote",
    "completion": "a script that completes commands in bash, zsh or fish",
}

_USUAL_CONFIG = Path("config/rememberd.yaml")

config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="the YAML file (default: config/rememberd.yaml)"
)


def command(name: str, examples: str) -> Callable[[Callable[..., int]], click.Command]:
    """Decorator: a command with its line of `COMMANDS`, and with examples that can be typed as they stand."""
    about = COMMANDS[name]
    return click.command(name, help=f"{about[0].upper()}{about[1:]}.", epilog=shown_as_is(f"examples:\n{examples}"))


def shown_as_is(text: str) -> str:
    """Text that click does not wrap."""
    return "\n\n".join(f"\b\n{part}" for part in text.rstrip().split("\n\n"))


def settings_of(config: Path | None) -> Settings:
    """Raises `ConfigError`."""
    return load(config_file(config), os.environ)


def config_file(config: Path | None) -> Path | None:
    """The file that was named, or the usual file if it exists."""
    if config is not None:
        return config
    if named := os.environ.get("REMEMBERD_CONFIG"):
        return Path(named)
    return _USUAL_CONFIG if _USUAL_CONFIG.exists() else None
