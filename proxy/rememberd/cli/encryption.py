"""`rememberd encryption`: which master key is in force, and a new one for all keys."""

import asyncio
from pathlib import Path

import click

from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.errors import ConfigError
from rememberd.settings.schema import Settings
from rememberd.wiring.encryption import open_encryption

EXAMPLES = """\
  rememberd encryption status
  rememberd encryption rotate     # with a new master key in front of the old one, and every process restarted
"""


@a_command("encryption", EXAMPLES)
@config_option
@click.argument("action", type=click.Choice(["status", "rotate"]))
def command(config: Path | None, action: str) -> int:
    return asyncio.run(_run(settings_of(config), rotate=action == "rotate"))


async def _run(settings: Settings, *, rotate: bool) -> int:
    """Raises `ConfigError`, `MemoryUnavailable`."""
    async with open_encryption(settings) as seal:
        keyring = seal.keyring
        if keyring is None:
            raise ConfigError("memories are not encrypted: set memory.encryption.master_key")
        if rotate:
            rewrapped = await keyring.rotate()
            print(f"{rewrapped} keys wrapped anew by {keyring.newest.id}; older master keys can go from the settings")
        for master, number in sorted((await keyring.versions()).items()):
            note = "the newest" if master == keyring.newest.id else "run `rememberd encryption rotate`"
            print(f"master key {master}: {number} keys ({note})")
    return 0
