"""Erases a user completely, in the same way for the user, the operator and the command line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from rememberd.access.groups import Groups
from rememberd.memory.erasure import erase, erase_contributions, texts_of
from rememberd.ports import Embedder, MemoryStore
from rememberd.settings.schema import Settings
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Millis
from rememberd.wiring import store as stores
from rememberd.wiring.components import build_embedder, build_groups
from rememberd.wiring.encryption import Encryption
from rememberd.wiring.queue import QueueBundle, open_queue
from rememberd.wiring.sign_in import end_sessions


class UserErasure(NamedTuple):
    """Each method raises `MemoryUnavailable`."""

    settings: Settings
    store: MemoryStore
    embedder: Embedder
    queues: QueueBundle
    groups: Groups

    async def texts_of(self, user: str) -> dict[str, str]:
        """The texts that must not exist after the erasure, by label."""
        return await texts_of(self.store, user, await self.groups.holding(user))

    async def erase(self, user: str) -> int:
        """Returns the number of deleted memories."""
        at, kept = wall_clock(), self.queues
        await self.groups.leave(user)
        await end_sessions(self.settings, user)
        erased = await erase(
            user,
            at,
            kept.queue,
            kept.extraction_queue,
            self.store,
            kept.receipts,
            kept.block_cache,
            kept.spool,
            kept.usage,
            kept.tool_files,
            kept.apps,
            kept.preferences,
        )
        return erased + await self.leave_groups(user, at)

    async def leave_groups(self, user: str, at: Millis) -> int:
        """Erase the user's contributions to groups. Returns how many memories were deleted or lost the user's
        name."""
        groups, blocks = await self.groups.leave(user), self.queues.block_cache
        erased = await erase_contributions(user, at, self.store, self.embedder, blocks, groups)
        await self.groups.forget(user)
        return erased


@asynccontextmanager
async def opened_erasure(settings: Settings, encryption: Encryption) -> AsyncIterator[UserErasure]:
    """For a command, with or without a running proxy. Raises `ConfigError`, `MemoryUnavailable`."""
    embedder = build_embedder(settings)
    await embedder.start()
    try:
        async with stores.for_command(settings, embedder, encryption.store) as store:
            queues, groups = open_queue(settings, encryption), build_groups(settings, encryption)
            try:
                yield UserErasure(settings, store, embedder, queues, groups)
                await store.flush()
            finally:
                await groups.close()
                await queues.queue.close()
    finally:
        embedder.close()
