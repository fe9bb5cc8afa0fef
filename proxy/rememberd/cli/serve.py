"""`rememberd serve`: everything that is needed, in processes of its own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from rememberd.cli import command as a_command
from rememberd.cli import config_file, config_option, settings_of
from rememberd.processes import run as processes

EXAMPLES = """\
  OPENAI_API_KEY=… rememberd serve
  rememberd serve --config team.yaml
"""


@a_command("serve", EXAMPLES)
@config_option
def command(config: Path | None) -> int:
    return asyncio.run(processes.serve(settings_of(config), config_file(config), os.environ))
