"""What the command line can do: one module for each name, and it is imported only when its command is run or asked
for help. A command's module has

    EXAMPLES            lines for the end of its help, each a command that can be typed
    options(parser)     adds its arguments
    run(arguments)      does it, and returns the exit code; may raise `ConfigError` and `Unavailable`
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rememberd.settings.schema import Settings, load

COMMANDS = {
    "serve": "run the proxy: web processes and the writer, restarted when they die",
    "web": "run one web process",
    "writer": "run the writer: it keeps the memories and learns from the turns",
    "check": "look at the settings and everything they name; say what is wrong",
    "chat": "chat in the terminal, and see what was recalled for each answer",
    "memories": "list, search, add, edit, forget, export and import what is remembered",
    "import": "bring in what you have: ChatGPT's, Claude's and Mem0's exports, notes, our own NDJSON",
    "audit": "find duplicates, junk, contradictions and secrets among the memories; repair them",
    "migrate": "move all memories between an embedded store and a Qdrant server, and check that they are the same",
    "erase": "erase a user whole, and look whether anything is left on the disk",
    "encryption": "show which master key is in force, or wrap all keys by a new one",
    "keys": "make, list and revoke API keys, in force within a second",
    "dead": "list the turns that could not be remembered, or try them again",
    "demo": "see a fact told to one model come back from another; needs no key and no network",
    "completion": "a script that completes commands in bash, zsh or fish",
}

_USUAL_CONFIG = Path("config/rememberd.yaml")


def config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="the YAML file (default: config/rememberd.yaml)")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Raises `ConfigError`."""
    return load(config_file(arguments), os.environ)


def config_file(arguments: argparse.Namespace) -> Path | None:
    """What was named, or the usual file where there is one."""
    if arguments.config is not None:
        return Path(arguments.config)
    if named := os.environ.get("REMEMBERD_CONFIG"):
        return Path(named)
    return _USUAL_CONFIG if _USUAL_CONFIG.exists() else None
