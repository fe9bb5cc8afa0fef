"""`rememberd serve`: runs the whole proxy, the web processes and the writer."""

import asyncio
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import click

from rememberd.cli import command as a_command
from rememberd.cli import config_file, config_option, settings_of
from rememberd.processes import run as processes

EXAMPLES = """\
  OPENAI_API_KEY=… rememberd serve
  rememberd serve --config team.yaml
  rememberd serve --upstream https://api.openai.com/v1 --upstream claude-=https://api.anthropic.com
"""


@a_command("serve", EXAMPLES)
@config_option
@click.option(
    "--upstream",
    multiple=True,
    metavar="[PREFIX=]URL",
    help="a provider that gets the client's own key, for models whose names have this prefix; needs no configuration",
)
def command(config: Path | None, upstream: tuple[str, ...]) -> int:
    if upstream:
        os.environ["REMEMBERD_UPSTREAMS"] = json.dumps(_by_prefix(upstream))
    return asyncio.run(processes.serve(settings_of(config), config_file(config), os.environ))


def _by_prefix(upstream: Iterable[str]) -> dict[str, str]:
    """The URLs by prefix; a URL without a prefix is for all other models."""
    pairs = (re.fullmatch(r"(?:([^=:]*)=)?(.*)", each, re.DOTALL) for each in upstream)
    return {pair[1] or "": pair[2] for pair in pairs if pair}
