"""Keys for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.memory.database import Database
from proxy.memory.sealed.keyring import Keyring, file_of
from proxy.memory.sealed.master import masters
from proxy.settings import Encryption

OLD, NEW = "11" * 32, "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI="  # hex and base64


@asynccontextmanager
async def opened(
    folder: Path, master: str = OLD, *, fresh: bool = True, rotate_vectors: bool = False
) -> AsyncIterator[Keyring]:
    """The keys in `folder`, made there if `fresh`. Raises `ConfigError`."""
    found = masters(Encryption(master_key=master))
    keyring = Keyring(Database(file_of(folder)), found, rotate_vectors=rotate_vectors)
    try:
        await keyring.start(lambda: fresh)
        yield keyring
    finally:
        await keyring.close()
