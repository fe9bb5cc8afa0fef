"""The stores of memories and of what belongs to them."""

from asyncio import gather
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from rememberd.search_results import Candidates, Query
from rememberd.types import Kind, Memory, Millis, Point, Receipt, Space, Sparse

LARGEST_PAGE = 500


class PageQuery(NamedTuple):
    """Which memories of a space to list, and how many of them on one page."""

    limit: int
    now: Millis
    cursor: str | None = None
    kind: Kind | None = None
    slot: str | None = None
    include_past: bool = False


class MemoryStore(Protocol):
    """Memories by space. Every method raises `StoreUnavailable` when the engine does not answer.

    A memory of another space is as good as absent: never returned, changed or counted. A deleted memory leaves a
    tombstone (its id and the time, no text) that only `deleted_at` shows and a newer memory of the same id
    replaces."""

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        """Insert or replace by id. The write survives kill -9 of any process when this returns.

        A memory that was deleted at or after its `updated_at` stays deleted: its writer had read it before the
        deletion.
        """

    async def get(self, space: Space, ids: Sequence[str]) -> list[Memory]:
        """The memories that exist, in the order of `ids`, past ones included."""

    async def get_all(self, asked: Mapping[Space, Sequence[str]]) -> list[Memory]:
        """As `get` of each space, at once. Space by space."""
        found = await gather(*(self.get(space, ids) for space, ids in asked.items()))
        return [memory for part in found for memory in part]

    async def prefetch(self, space: Space, sparse: Sparse, *, now: Millis) -> None:
        """A hint while a question is being embedded: `search` for these words comes next, with this `now`. Nothing
        depends on the hint, and the store may ignore it."""

    async def search(
        self,
        space: Space,
        dense: list[float],
        sparse: Sparse,
        *,
        now: Millis,
        limit: int = 400,
        kind: Kind | None = None,
    ) -> Candidates:
        """The union of three branches, without duplicates: the `limit` nearest by cosine, the `limit` best by BM25
        (IDF over this space only), and every pinned memory (at most 100). Only current and unexpired at `now`,
        and of one `kind` if it is given. A point that only another branch returned has the score 0.0 in this one."""
        return await self.search_all([Query(space, dense, sparse, limit, kind)], now=now)

    async def search_all(self, queries: Sequence[Query], *, now: Millis) -> Candidates:
        """What `search` of each query finds, in one call of the engine; the column `query` tells which. No two of
        them are of one space. Where a query wants no standing facts, those that only their branch would return may be
        missing."""

    async def page(
        self,
        space: Space,
        *,
        limit: int,
        now: Millis,
        cursor: str | None = None,
        kind: Kind | None = None,
        slot: str | None = None,
        include_past: bool = False,
    ) -> tuple[list[Memory], str | None]:
        """Newest first by created_at, and the cursor of the next page (None at the end).

        Expired and superseded ones only with `include_past`. Raises `InputRejected` for a cursor it did not make."""
        return await self.read_page(space, PageQuery(limit, now, cursor, kind, slot, include_past))

    async def read_page(self, space: Space, wanted: PageQuery) -> tuple[list[Memory], str | None]:
        """What `page` returns."""

    async def pages(
        self,
        space: Space,
        *,
        now: Millis,
        limit: int = LARGEST_PAGE,
        kind: Kind | None = None,
        include_past: bool = False,
    ) -> AsyncIterator[list[Memory]]:
        """One page of `page` after the other."""
        wanted = PageQuery(limit, now, None, kind, None, include_past)
        while True:
            page, cursor = await self.read_page(space, wanted)
            yield page
            if cursor is None:
                return
            wanted = wanted._replace(cursor=cursor)

    async def all(
        self, space: Space, *, now: Millis, kind: Kind | None = None, include_past: bool = False
    ) -> list[Memory]:
        """What all pages of `page` list."""
        pages = self.pages(space, now=now, kind=kind, include_past=include_past)
        return [memory async for page in pages for memory in page]

    async def count(self, space: Space, *, now: Millis, kind: Kind | None = None, include_past: bool = False) -> int:
        """How many memories `page` would list on all pages together."""

    async def deleted_at(self, space: Space, ids: Sequence[str]) -> dict[str, Millis]:
        """Which of these ids were deleted, and when."""

    async def delete(self, space: Space, ids: Sequence[str], *, at: Millis) -> list[str]:
        """Delete and leave tombstones. Returns the ids that existed."""

    async def erase(self, user: str) -> int:
        """Delete everything of this user, in every scope, tombstones included. Returns the number of memories."""

    async def spaces(self, user: str | None = None) -> list[Space]:
        """The spaces that hold a memory, sorted, of one user; or of all, for passes over everything: on a server that
        reads every point, a page at a time."""

    async def users(self, after: str, limit: int) -> list[Space]:
        """The spaces of the `limit` users that come behind the user `after` ("": the first ones), in an order of the
        store's own; those of a user stand together."""

    async def ping(self) -> None:
        """Raises unless it can be read and written."""

    async def flush(self) -> None:
        """Make every write so far survive a power cut."""

    async def close(self) -> None: ...


class ReceiptStore(Protocol):
    """Which memories went into an answer, and what was written after it. Every method raises `QueueUnavailable`."""

    async def put(self, receipt: Receipt) -> bool:
        """Returns False if the user was erased after the turn began; then nothing was stored."""

    async def written(self, space: Space, receipt_id: str, ids: Sequence[str], outcome: str) -> None:
        """What the writer made of the receipt's turn: the new `write` of all receipts of that turn, and the ids of
        memories, which are added to those that are there: a turn is written in stages."""

    async def get(self, space: Space, receipt_id: str) -> Receipt | None:
        """None if it does not exist, has expired, or belongs to another space."""

    async def recent(self, space: Space, limit: int) -> list[Receipt]:
        """Of answers, not of imported turns (whose ids begin with imp_); the newest first."""

    async def recalled(self, space: Space) -> tuple[Millis | None, frozenset[str]]:
        """The time of the oldest receipt kept (None: there is none), and all memories that went into an answer since.
        Reads every receipt of the space: for the operator's commands only."""

    async def erase(self, user: str, at: Millis) -> int:
        """Drop the user's receipts, and refuse those of turns that began at or before `at`."""

    async def expire(self, older_than: Millis) -> int:
        """Drop the receipts of turns that began before this time."""


class BlockCache(Protocol):
    """How often a space changed, and the blocks of its open turns. Every method raises `QueueUnavailable`."""

    async def bump(self, space: Space) -> int:
        """The new version. Call it after every change of the space's memories."""

    async def get(self, space: Space, key: str) -> tuple[int, tuple[int, bytes] | None]:
        """The space's version (0 until it first changes; it never goes back); and, if there is one, the version at
        which the value was frozen, and the value."""

    async def versions(self, spaces: Sequence[Space]) -> list[tuple[int, int]]:
        """Of each space its version, and the version that the last deletion led to (`erase`; 0: there was none)."""

    async def put(
        self, space: Space, key: str, version: int, value: bytes, *, at: Millis, replaces: Millis = 0
    ) -> None:
        """`version` is the space's before `value` was made, at the time `at`. The first value of the highest version
        stands, so that racing processes end up sending the same bytes; unless it was made at `replaces` or before:
        the caller found that one out of date."""

    async def erase(self, user: str) -> int:
        """Drop the user's blocks in every scope, and refuse those made before now."""

    async def expire(self, older_than: Millis) -> int:
        """Drop the blocks made before this time."""


class PauseStore(Protocol):
    """Which spaces are paused; with the scope `EVERY_SCOPE`, all spaces of a user. Each method raises
    `QueueUnavailable`."""

    async def paused(self, space: Space) -> bool:
        """This space, or the user everywhere."""

    async def pause(self, space: Space) -> None: ...

    async def resume(self, space: Space) -> None:
        """With `EVERY_SCOPE`, each pause of the user ends. A pause everywhere is not ended for one space."""


class OwnedObjects(Protocol):
    """Digests that stand for an object which a provider stores, and its owner. Both raise `QueueUnavailable`."""

    async def record(self, key: bytes) -> None:
        """Kept for 30 days."""

    async def known(self, key: bytes) -> bool: ...


class SessionStore(Protocol):
    """Records of sessions, by a digest of their id. Each method raises `QueueUnavailable`."""

    async def create(self, id: bytes, record: bytes, expires_at: Millis, owner: bytes = b"") -> bool:
        """False, and nothing is stored, if there is one of this id. With an `owner`, `end_all` ends it."""

    async def get(self, id: bytes, now: Millis) -> bytes | None:
        """None if there is none, or if it has expired by `now`."""

    async def end_all(self, owner: bytes) -> None: ...

    async def close(self) -> None: ...


class Erasable(Protocol):
    """A store of something that belongs to users."""

    async def erase(self, user: str, at: Millis) -> Any:
        """Drop it, and refuse what began at or before `at`. Raises `QueueUnavailable`."""


class ToolFileStore(Protocol):
    """The files of Anthropic's memory tool: one JSON text for each space. Every method raises `QueueUnavailable`."""

    async def get(self, space: Space) -> tuple[int, bytes]:
        """The version and the text; 0 and nothing if there is none."""

    async def put(self, space: Space, version: int, body: bytes, *, at: Millis) -> bool:
        """Replace that version. False, and nothing is stored, if there is another version by now, or if the user was
        erased at `at` or later."""

    async def erase(self, user: str, at: Millis) -> None:
        """Drop the user's files in every scope, and refuse changes that began at or before `at`."""
