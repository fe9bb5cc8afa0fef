"""`rememberd serve`: everything that is needed, in processes of its own."""

from __future__ import annotations

import argparse
import asyncio
import os

from rememberd.cli import config_file, config_option, settings_of
from rememberd.processes import run as serve

EXAMPLES = """\
  OPENAI_API_KEY=… rememberd serve
  rememberd serve --config team.yaml
"""

options = config_option


def run(arguments: argparse.Namespace) -> int:
    return asyncio.run(serve.serve(settings_of(arguments), config_file(arguments), os.environ))
