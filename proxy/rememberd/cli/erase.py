"""`rememberd erase`: everything of one user goes; `--verify` looks for what is left on the disk."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rememberd.access.audit_log import OPERATOR
from rememberd.cli import config_option, settings_of
from rememberd.memory.erasure import erase
from rememberd.ports import MemoryStore
from rememberd.settings.schema import Settings
from rememberd.storage.disk_scan import scan
from rememberd.wiring import store as stores
from rememberd.wiring.components import build_audit_log, build_embedder
from rememberd.wiring.encryption import Encryption, open_encryption
from rememberd.wiring.queue import open_queue

EXAMPLES = """\
  rememberd erase ada
  rememberd erase ada --verify                        # then look for her name and what was remembered
  rememberd erase ada --verify --marker "my secret"   # and for this
  rememberd erase ada --verify --also /qdrant/storage # there as well
"""

_TEXTS = 100  # of the memories that go, the newest of each scope: each one is looked for in every file
_STAYS = (
    "Without memory.encryption.master_key, deleted text stays in the store's pages and log until the engine\n"
    "rewrites them, and the name in the mark that keeps late turns out. With it, neither can be read."
)

_KEYS_STAY = (
    "The names of API keys are not sealed: one that is called as its user was stands in the audit log and in keys.db."
)


def options(parser: argparse.ArgumentParser) -> None:
    config_option(parser)
    parser.add_argument("user", help="whose memories, receipts and waiting turns go, in every scope")
    parser.add_argument(
        "--verify", action="store_true", help="look through every file of data_dir; exit code 1 if something is left"
    )
    parser.add_argument("--marker", metavar="TEXT", help="look for this text too")
    parser.add_argument(
        "--also",
        metavar="PATH",
        type=Path,
        action="append",
        default=[],
        help="look there too, as at a Qdrant server's files",
    )


def run(arguments: argparse.Namespace) -> int:
    """Beside a running proxy or without one."""
    return asyncio.run(_run(settings_of(arguments), arguments))


async def _run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Raises `ConfigError`, `Unavailable`."""
    user: str = arguments.user
    async with open_encryption(settings) as seal, _store(settings, seal) as store:
        texts = await _texts(store, user)
        erased = await _erase(settings, seal, store, user)
        print(f"erased: {erased} memories of {user}, with receipts, waiting turns and everything derived")
        unwiped = seal.keyring.left if seal.keyring else ""
        if unwiped:
            print(f"LEFT   the key, which opens nothing in a running proxy, may still be in Redis's files: {unwiped}")
    if not arguments.verify:
        return 1 if unwiped else 0
    looked_for = {"the name": user, "the marker": arguments.marker or ""} | texts
    left = _look([settings.data_path, *arguments.also], looked_for)
    if left:
        print(_STAYS if seal.keyring is None else _KEYS_STAY)
    return 1 if left or unwiped else 0


@asynccontextmanager
async def _store(settings: Settings, seal: Encryption) -> AsyncIterator[MemoryStore]:
    embedder = build_embedder(settings)
    await embedder.start()
    try:
        async with stores.for_command(settings, embedder, seal.store) as store:
            yield store
    finally:
        embedder.close()


async def _texts(store: MemoryStore, user: str) -> dict[str, str]:
    """By the label that stands for them in what is printed."""
    texts: dict[str, str] = {}
    for space in await store.spaces():
        if space.user == user:
            memories, _ = await store.page(space, limit=_TEXTS, now=0, include_past=True)
            texts |= {f"memory {memory.id[:8]}": memory.text for memory in memories}
    return texts


async def _erase(settings: Settings, seal: Encryption, store: MemoryStore, user: str) -> int:
    records, log = open_queue(settings, seal), build_audit_log(settings, seal)
    try:
        at = time.time_ns() // 1_000_000
        erased = await erase(
            user, at, records.queue, records.extraction_queue, store, records.receipts, records.block_cache
        )
        await store.flush()
    finally:
        await records.queue.close()
    log.record({"who": OPERATOR, "did": "erase", "whose": user, "count": erased})
    log.sync()
    return erased


def _look(places: Sequence[Path], texts: dict[str, str]) -> int:
    """Prints as it finds. Returns in how many files something is left."""
    files = size = left = 0
    for looked in scan(places, texts):
        files, size, left = files + 1, size + looked.size, left + bool(looked.found)
        if looked.found:
            print(f"LEFT   {looked.path}: {', '.join(looked.found)}")
    print(f"{left or 'nothing'} found in {files} files, {size / 2**20:.1f} MiB; looked for {len(texts)} texts")
    return left
