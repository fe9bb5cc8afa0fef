"""`rememberd writer`: the process that stores the memories, for operators who start and restart processes
themselves."""

import os
from pathlib import Path

import click

from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.processes import run as processes

EXAMPLES = """\
  rememberd writer --config team.yaml     # serves any number of `rememberd web`
"""


@a_command("writer", EXAMPLES)
@config_option
@click.option("--parent-fd", type=int, hidden=True)
def command(config: Path | None, parent_fd: int | None) -> int:
    return processes.run(processes.writer(settings_of(config), os.environ, parent_fd))
