"""`rememberd erase`: deletes everything of one user; `--verify` searches the disk for what is left."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from rememberd.access.audit_log import OPERATOR
from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.settings.schema import Settings
from rememberd.storage.disk_scan import scan
from rememberd.wiring.components import build_audit_log
from rememberd.wiring.encryption import Encryption, open_encryption
from rememberd.wiring.erasure import UserErasure, opened_erasure

EXAMPLES = """\
  rememberd erase ada
  rememberd erase ada --verify                        # then search for her name and her memories
  rememberd erase ada --verify --marker "my secret"   # search for this text, too
  rememberd erase ada --verify --also /qdrant/storage # search there, too
  rememberd erase ddy-f5ZLWPvJYVHJnfxP_cTtbg0qGLF9uFrNdXhbBn0=  # by the pseudonym in audit.jsonl
"""

_STAYS = (
    "Without memory.encryption.master_key, deleted text stays in the store's pages and log until the engine\n"
    "rewrites them, and the user's name stays in a record that refuses late turns. With it, nobody can read them."
)

_KEYS_STAY = (
    "The names of API keys are not encrypted: a key with the user's name is still in the audit log and in keys.db."
)


@a_command("erase", EXAMPLES)
@config_option
@click.argument("user")
@click.option("--verify", is_flag=True, help="search every file of data_dir; exit code 1 if something is left")
@click.option("--marker", metavar="TEXT", default="", help="search for this text too")
@click.option(
    "--also",
    metavar="PATH",
    type=click.Path(path_type=Path),
    multiple=True,
    help="search there too, for example in the files of a Qdrant server",
)
def command(config: Path | None, user: str, verify: bool, marker: str, also: tuple[Path, ...]) -> int:
    """Works with or without a running proxy."""
    settings = settings_of(config)
    return asyncio.run(_run(settings, user, verify=verify, marker=marker, places=[settings.data_path, *also]))


async def _run(settings: Settings, user: str, *, verify: bool, marker: str, places: Sequence[Path]) -> int:
    """Raises `ConfigError`, `MemoryUnavailable`."""
    async with open_encryption(settings) as encryption, opened_erasure(settings, encryption) as erasure:
        user = encryption.user(user)
        texts = await erasure.texts_of(user) if verify else {}
        erased = await erase_user(settings, encryption, erasure, user)
        print(f"erased: {erased} memories of {user}, with receipts, waiting turns and everything derived")
        unwiped = encryption.keyring.left if encryption.keyring else ""
        if unwiped:
            print(f"LEFT   the key, which a running proxy cannot use, may still be in Redis's files: {unwiped}")
    if not verify:
        return 1 if unwiped else 0
    left = _search(places, texts | {"the marker": marker})
    if left:
        print(_STAYS if encryption.keyring is None else _KEYS_STAY)
    return 1 if left or unwiped else 0


async def erase_user(settings: Settings, encryption: Encryption, erasure: UserErasure, user: str) -> int:
    """Erases the user and records this in the audit log. Returns the number of memories. Raises
    `MemoryUnavailable`."""
    erased, log = await erasure.erase(user), build_audit_log(settings, encryption)
    log.record({"who": OPERATOR, "did": "erase", "whose": user, "count": erased})
    log.sync()
    return erased


def _search(places: Sequence[Path], texts: dict[str, str]) -> int:
    """Prints each finding at once. Returns the number of files in which something is left."""
    files = size = left = 0
    for scanned in scan(places, texts):
        files, size, left = files + 1, size + scanned.size, left + bool(scanned.found)
        if scanned.found:
            print(f"LEFT   {scanned.path}: {', '.join(scanned.found)}")
    print(f"{left or 'nothing'} found in {files} files, {size / 2**20:.1f} MiB; searched for {len(texts)} texts")
    return left
