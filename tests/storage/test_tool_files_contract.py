"""The memory tool's files are kept by space; of two changes of one version one is refused; erased is erased."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rememberd.encryption.records import SealedToolFiles
from rememberd.ports import ToolFileStore
from rememberd.storage.redis.records import RedisToolFiles
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.tool_files import SqliteToolFiles
from rememberd.types import Space
from tests.support.sealing import PLACES, kept_in, opened

ADA, WORK, BOB = Space("ada"), Space("ada", "work"), Space("bob")
BODY = b'{"/memories/a: b.md": "Zwitscherling \xc3\xa9:1\\n"}'


@pytest.fixture(params=PLACES)
async def files(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ToolFileStore]:
    """One promise, two adapters, and either of them under seal."""
    async with kept_in(request, tmp_path, SqliteToolFiles, RedisToolFiles, SealedToolFiles) as files:
        yield files


async def test_files_come_back_to_their_space_only(files: ToolFileStore) -> None:
    """Byte by byte; every change has a new version."""
    assert await files.get(ADA) == (0, b"")
    assert await files.put(ADA, 0, BODY, at=1)
    assert await files.put(ADA, 1, BODY * 2, at=1)
    assert [await files.get(each) for each in (ADA, WORK, BOB)] == [(2, BODY * 2), (0, b""), (0, b"")]


async def test_of_changes_at_the_same_time_one_is_taken(files: ToolFileStore) -> None:
    """The other writers have to read again, so that no change is lost."""
    done = await asyncio.gather(*(files.put(ADA, 0, BODY, at=1) for _ in range(5)))
    assert sorted(done) == [False, False, False, False, True]
    assert not await files.put(ADA, 2, BODY, at=1)


async def test_a_file_that_is_made_while_one_looks_is_seen(tmp_path: Path) -> None:
    """The user's first one, with which another agent makes the user's key. Who saw nothing of it would replace it."""

    class Late(SqliteToolFiles):
        made = False

        async def get(self, space: Space) -> tuple[int, bytes]:
            if not self.made:
                self.made = await sealed.put(ADA, 0, BODY, at=1)
            return await super().get(space)

    async with opened(tmp_path) as keyring:
        sealed = SealedToolFiles(late := Late(Database(tmp_path / "queue.db")), keyring)
        assert await sealed.get(ADA) == (1, BODY)
        await late.database.close()


async def test_an_erased_users_files_are_gone_and_late_changes_refused(files: ToolFileStore) -> None:
    """In every scope; what begins after the erasure is kept."""
    for space in (ADA, WORK, BOB):
        assert await files.put(space, 0, BODY, at=1_000)
    await files.erase("ada", 2_000)
    assert [(await files.get(each))[1] for each in (ADA, WORK, BOB)] == [b"", b"", BODY]
    assert not await files.put(ADA, 0, BODY, at=2_000)
    assert await files.put(ADA, 0, BODY, at=2_001)


async def test_under_seal_nothing_is_readable(tmp_path: Path) -> None:
    """Neither names nor paths nor texts."""
    async with opened(tmp_path) as keyring:
        files = SealedToolFiles(file := SqliteToolFiles(Database(tmp_path / "queue.db")), keyring)
        assert await files.put(Space("ada-of-lovelace", "workplace"), 0, BODY, at=1)
        await file.database.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("queue.db*"))
    assert [word for word in (b"lovelace", b"workplace", b"memories", b"Zwitscherling") if word in kept] == []
