"""`rememberd web`: one web process, for those who start and restart processes themselves."""

from __future__ import annotations

import argparse
import os
import socket

from rememberd.cli import config_file, config_option, settings_of
from rememberd.processes import run as serve

EXAMPLES = """\
  rememberd web --config team.yaml        # beside `rememberd writer`, which keeps the memories
"""


def options(parser: argparse.ArgumentParser) -> None:
    config_option(parser)
    parser.add_argument("--parent-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    listener = socket.socket(fileno=arguments.fd) if arguments.fd is not None else serve.listen(settings.server)
    return serve.run(serve.web(settings, config_file(arguments), os.environ, listener, arguments.parent_fd))
