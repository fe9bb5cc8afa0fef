"""`rememberd encryption`: shows which master key is in use, or encrypts all keys with a new one."""

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
  rememberd encryption rotate     # after you set a new master key before the old one and restarted every process
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
            print(f"{rewrapped} keys encrypted with {keyring.newest.id}; remove older master keys from the settings")
        for master, number in sorted((await keyring.versions()).items()):
            note = "the newest" if master == keyring.newest.id else "run `rememberd encryption rotate`"
            print(f"master key {master}: {number} keys ({note})")
    return 0
