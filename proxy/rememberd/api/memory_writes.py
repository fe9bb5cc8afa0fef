"""Merges memories for the handlers that write them, and undoes this if the user was erased meanwhile."""

from collections.abc import Sequence

from rememberd.errors import RequestError
from rememberd.memory.learn.forget import take_back
from rememberd.memory.learn.reconcile import Outcome, merge
from rememberd.ports import BlockCache, Embedder, MemoryStore, TurnQueue
from rememberd.types import Memory, Millis, Space


class MemoryWrites:
    def __init__(self, store: MemoryStore, embedder: Embedder, queue: TurnQueue, block_cache: BlockCache) -> None:
        self.store, self.embedder, self.queue, self.block_cache = store, embedder, queue, block_cache

    async def merge(self, space: Space, memories: Sequence[Memory], began: Millis) -> Outcome:
        """Raises `RequestError` 409 if the user was erased since `began`."""
        outcome = await merge(self.store, self.embedder, space, memories, began)
        ids, contributors = (
            [*outcome.added, *outcome.touched, *outcome.closed],
            {each.contributor for each in memories},
        )
        for user in contributors - {None} or {space.user}:
            await self.undo_if_erased(space, ids, began, user)
        return outcome

    async def undo_if_erased(self, space: Space, ids: Sequence[str], began: Millis, user: str | None = None) -> None:
        """Call it after each write. Raises `RequestError` 409, so that a long import stops. The tombstones get the
        time 0, so that they do not block a later import."""
        whole = await self.queue.erased(space.user, began)
        if whole or (user and await self.queue.erased(user, began)):
            await take_back(self.store, space, ids, None if whole else user, at=0)
            raise user_erased()


def user_erased() -> RequestError:
    message = "the user was erased while this was being stored, so it is not stored; send it again to keep it"
    return RequestError(409, "user_erased", message)
