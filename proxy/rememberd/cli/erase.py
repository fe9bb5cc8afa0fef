"""`rememberd erase`: everything of one user goes; `--verify` looks for what is left on the disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import click

from rememberd.access.audit_log import OPERATOR
from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.memory.erasure import erase, erase_contributions, texts_of
from rememberd.ports import Embedder, MemoryStore
from rememberd.settings.schema import Settings
from rememberd.storage.disk_scan import scan
from rememberd.wiring import store as stores
from rememberd.wiring.components import build_audit_log, build_embedder, build_groups
from rememberd.wiring.encryption import Encryption, open_encryption
from rememberd.wiring.queue import open_queue
from rememberd.wiring.sign_in import end_sessions

EXAMPLES = """\
  rememberd erase ada
  rememberd erase ada --verify                        # then look for her name and what was remembered
  rememberd erase ada --verify --marker "my secret"   # and for this
  rememberd erase ada --verify --also /qdrant/storage # there as well
"""

_STAYS = (
    "Without memory.encryption.master_key, deleted text stays in the store's pages and log until the engine\n"
    "rewrites them, and the name in the mark that keeps late turns out. With it, neither can be read."
)

_KEYS_STAY = (
    "The names of API keys are not sealed: one that is called as its user was stands in the audit log and in keys.db."
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
    """Works beside a running proxy or without one."""
    settings = settings_of(config)
    return asyncio.run(_run(settings, user, verify=verify, marker=marker, places=[settings.data_path, *also]))


async def _run(settings: Settings, user: str, *, verify: bool, marker: str, places: Sequence[Path]) -> int:
    """Raises `ConfigError`, `MemoryUnavailable`."""
    async with open_encryption(settings) as encryption, opened_store(settings, encryption) as (store, embedder):
        texts = await _texts_of(settings, encryption, store, user) if verify else {}
        erased = await erase_user(settings, encryption, store, embedder, user)
        print(f"erased: {erased} memories of {user}, with receipts, waiting turns and everything derived")
        unwiped = encryption.keyring.left if encryption.keyring else ""
        if unwiped:
            print(f"LEFT   the key, which opens nothing in a running proxy, may still be in Redis's files: {unwiped}")
    if not verify:
        return 1 if unwiped else 0
    left = _search(places, texts | {"the marker": marker})
    if left:
        print(_STAYS if encryption.keyring is None else _KEYS_STAY)
    return 1 if left or unwiped else 0


async def _texts_of(settings: Settings, encryption: Encryption, store: MemoryStore, user: str) -> dict[str, str]:
    groups = build_groups(settings, encryption)
    try:
        return await texts_of(store, user, await groups.holding(user))
    finally:
        await groups.close()


@asynccontextmanager
async def opened_store(settings: Settings, seal: Encryption) -> AsyncIterator[tuple[MemoryStore, Embedder]]:
    embedder = build_embedder(settings)
    await embedder.start()
    try:
        async with stores.for_command(settings, embedder, seal.store) as store:
            yield store, embedder
    finally:
        embedder.close()


async def erase_user(settings: Settings, seal: Encryption, store: MemoryStore, embedder: Embedder, user: str) -> int:
    """Raises `MemoryUnavailable`."""
    records, log = open_queue(settings, seal), build_audit_log(settings, seal)
    groups = build_groups(settings, seal)
    try:
        at, holding = time.time_ns() // 1_000_000, await groups.leave(user)
        await end_sessions(settings, user)
        erased = await erase(
            user,
            at,
            records.queue,
            records.extraction_queue,
            store,
            records.receipts,
            records.block_cache,
            records.spool,
            records.usage,
            records.tool_files,
            records.apps,
        )
        erased += await erase_contributions(user, at, store, embedder, records.block_cache, holding)
        await groups.forget(user)
        await store.flush()
    finally:
        await groups.close()
        await records.queue.close()
    log.record({"who": OPERATOR, "did": "erase", "whose": user, "count": erased})
    log.sync()
    return erased


def _search(places: Sequence[Path], texts: dict[str, str]) -> int:
    """Prints as it finds. Returns in how many files something is left."""
    files = size = left = 0
    for scanned in scan(places, texts):
        files, size, left = files + 1, size + scanned.size, left + bool(scanned.found)
        if scanned.found:
            print(f"LEFT   {scanned.path}: {', '.join(scanned.found)}")
    print(f"{left or 'nothing'} found in {files} files, {size / 2**20:.1f} MiB; looked for {len(texts)} texts")
    return left
