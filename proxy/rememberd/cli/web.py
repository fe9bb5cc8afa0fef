"""`rememberd web`: one web process, for operators who start and restart processes themselves."""

import os
import socket
from pathlib import Path

import click

from rememberd.cli import command as a_command
from rememberd.cli import config_file, config_option, settings_of
from rememberd.processes import run as processes
from rememberd.processes.supervisor import listen

EXAMPLES = """\
  rememberd web --config team.yaml        # also needs a `rememberd writer`, which stores the memories
"""


@a_command("web", EXAMPLES)
@config_option
@click.option("--parent-fd", type=int, hidden=True)
@click.option("--fd", type=int, hidden=True)
def command(config: Path | None, parent_fd: int | None, fd: int | None) -> int:
    settings = settings_of(config)
    server = settings.server
    with socket.socket(fileno=fd) if fd is not None else listen(server.host, server.port) as listener:
        return processes.run(processes.web(settings, config_file(config), os.environ, listener, parent_fd))
