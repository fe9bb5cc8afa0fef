"""`rememberd writer`: the process that keeps the memories, for those who start and restart processes themselves."""

from __future__ import annotations

import argparse
import os

from rememberd.cli import config_option, settings_of
from rememberd.processes import run as serve

EXAMPLES = """\
  rememberd writer --config team.yaml     # beside any number of `rememberd web`
"""


def options(parser: argparse.ArgumentParser) -> None:
    config_option(parser)
    parser.add_argument("--parent-fd", type=int, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    return serve.run(serve.writer(settings_of(arguments), os.environ, arguments.parent_fd))
