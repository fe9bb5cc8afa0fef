"""`rememberd disconnect`: removes what `rememberd connect` wrote from a coding agent's settings files."""

from pathlib import Path

import click

from rememberd.cli import command as a_command
from rememberd.cli.agent_files import AGENTS
from rememberd.cli.connect import EXAMPLES, changes, project_root, write


@a_command("disconnect", EXAMPLES)
@click.argument("agent", type=click.Choice([*AGENTS]))
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="the project's folder (default: this one)",
)
def command(agent: str, folder: Path | None) -> int:
    write(changes(agent, project_root(folder or Path.cwd()), None))
    return 0
