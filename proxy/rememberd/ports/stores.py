"""The interfaces of the stores: memories, receipts, cached blocks, preferences, sessions and files."""

from asyncio import gather
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from rememberd.search_results import Candidates, Query
from rememberd.types import Kind, Memory, Millis, Point, Receipt, Space, Sparse

LARGEST_PAGE = 500


class PageQuery(NamedTuple):
    """Which memories of a space to list, and how many per page."""

    limit: int
    now: Millis
    cursor: str | None = None
    kind: Kind | None = None
    slot: str | None = None
    include_past: bool = False


class MemoryStore(Protocol):
    """Memories by space. Every method raises `StoreUnavailable` when the engine does not answer.

    A memory of another space is never returned, changed or counted. A deleted memory leaves a tombstone (its id and
    the time, no text), which only `deleted_at` returns and a newer memory with the same id replaces."""

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        """Insert or replace by id. The write survives kill -9 of any process when this returns.

        A memory that was deleted at or after its `updated_at` stays deleted: its writer had read it before the
        deletion.
        """

    async def get(self, space: Space, ids: Sequence[str]) -> list[Memory]:
        """The memories that exist, in the order of `ids`, past ones included."""

    async def get_all(self, asked: Mapping[Space, Sequence[str]]) -> list[Memory]:
        """The results of `get` for each space, one space after the other; all spaces are read at the same time."""
        found = await gather(*(self.get(space, ids) for space, ids in asked.items()))
        return [memory for part in found for memory in part]

    async def prefetch(self, space: Space, sparse: Sparse, *, now: Millis) -> None:
        """A hint while a question is being embedded: a `search` for these words with this `now` follows. The store
        may ignore it."""

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
        """The results of `search` for each query, in one call of the engine; the column `query` has the query's
        index. Each query has another space. Standing facts may be missing for a query with `standing=False`."""

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
        """A page of memories, newest first by created_at, and the cursor of the next page (None at the end).

        Expired and superseded memories only with `include_past`. Raises `InputRejected` for an invalid cursor."""
        return await self.read_page(space, PageQuery(limit, now, cursor, kind, slot, include_past))

    async def read_page(self, space: Space, wanted: PageQuery) -> tuple[list[Memory], str | None]:
        """See `page`."""

    async def pages(
        self,
        space: Space,
        *,
        now: Millis,
        limit: int = LARGEST_PAGE,
        kind: Kind | None = None,
        include_past: bool = False,
    ) -> AsyncIterator[list[Memory]]:
        """All pages of `page`, one after the other."""
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
        """The memories of all pages of `page`."""
        pages = self.pages(space, now=now, kind=kind, include_past=include_past)
        return [memory async for page in pages for memory in page]

    async def count(self, space: Space, *, now: Millis, kind: Kind | None = None, include_past: bool = False) -> int:
        """The number of memories on all pages of `page`."""

    async def deleted_at(self, space: Space, ids: Sequence[str]) -> dict[str, Millis]:
        """Which of these ids were deleted, and when."""

    async def delete(self, space: Space, ids: Sequence[str], *, at: Millis) -> list[str]:
        """Delete and leave tombstones. Returns the ids that existed."""

    async def erase(self, user: str) -> int:
        """Delete everything of this user, in every scope, tombstones included. Returns the number of memories."""

    async def spaces(self, user: str | None = None) -> list[Space]:
        """The spaces with memories, sorted: of one user, or of all users. The latter is slow on a server, which reads
        every point, a page at a time."""

    async def users(self, after: str, limit: int) -> list[Space]:
        """The spaces of the next `limit` users after the user `after` ("" for the first ones), in the store's own
        order. The spaces of one user are adjacent."""

    async def ping(self) -> None:
        """Raises `StoreUnavailable` unless the store can be read and written."""

    async def flush(self) -> None:
        """After this, every earlier write survives a power cut."""

    async def close(self) -> None: ...


class ReceiptStore(Protocol):
    """Receipts: the memories that an answer used, and those that were written after it. Every method raises
    `QueueUnavailable`."""

    async def put(self, receipt: Receipt) -> bool:
        """Returns False if the user was erased after the turn began; then nothing was stored."""

    async def written(self, space: Space, receipt_id: str, ids: Sequence[str], outcome: str) -> None:
        """Record the writer's result for the receipt's turn: `outcome` is the new `write` of all receipts of that
        turn; `ids` of memories are added to the earlier ones, because a turn is written in stages."""

    async def get(self, space: Space, receipt_id: str) -> Receipt | None:
        """None if it does not exist, has expired, or belongs to another space."""

    async def recent(self, space: Space, limit: int) -> list[Receipt]:
        """The newest receipts of answers, newest first; not those of imported turns (imp_…)."""

    async def recalled(self, space: Space) -> tuple[Millis | None, frozenset[str]]:
        """The time of the oldest receipt (None if there is none), and the ids of all memories that answers have used
        since. Reads every receipt of the space, so only the operator's commands use it."""

    async def erase(self, user: str, at: Millis) -> int:
        """Delete the user's receipts, and refuse those of turns that began at or before `at`."""

    async def expire(self, older_than: Millis) -> int:
        """Delete the receipts of turns that began before this time."""


class BlockCache(Protocol):
    """Cached blocks of current turns, and a version for each space. Every method raises `QueueUnavailable`."""

    async def bump(self, space: Space) -> int:
        """Increase the space's version and return it. Call it after every change of the space's memories."""

    async def get(self, space: Space, key: str) -> tuple[int, tuple[int, bytes] | None]:
        """The space's version (0 before its first change; it never decreases), and, if there is a cached value, the
        version at which it was cached and the value."""

    async def versions(self, spaces: Sequence[Space]) -> list[tuple[int, int]]:
        """For each space its version, and its version after the last `erase` (0 if there was none)."""

    async def put(
        self, space: Space, key: str, version: int, value: bytes, *, at: Millis, replaces: Millis = 0
    ) -> None:
        """`version` is the space's version before `value` was made, at the time `at`. The first value of the highest
        version is kept, so that concurrent processes send the same bytes. A value that was made at `replaces` or
        before is outdated and is replaced."""

    async def erase(self, user: str) -> int:
        """Delete the user's blocks in every scope, and refuse those that were made before now."""

    async def expire(self, older_than: Millis) -> int:
        """Delete the blocks that were made before this time."""


class Preferences(NamedTuple):
    """What a user set for a space: whether nothing is recalled and learned there, and an IANA time zone."""

    paused: bool = False
    time_zone: str | None = None


class PreferenceStore(Protocol):
    """The users' own settings; the scope `EVERY_SCOPE` stands for all spaces of a user. Each method raises
    `QueueUnavailable`."""

    async def of(self, space: Space) -> Preferences:
        """Paused if this space or the user's `EVERY_SCOPE` is; the time zone of this space, else of `EVERY_SCOPE`."""

    async def pause(self, space: Space) -> None: ...

    async def resume(self, space: Space) -> None:
        """End the pause. With `EVERY_SCOPE`, all pauses of the user end. A pause of `EVERY_SCOPE` cannot be ended for
        a single space."""

    async def set_time_zone(self, space: Space, zone: str | None) -> None:
        """None sets no time zone. With `EVERY_SCOPE`, the time zones of single spaces end."""

    async def erase(self, user: str, at: Millis) -> None:
        """Delete the time zones of the user. A pause stays: it keeps what is said from being learned."""


class OwnedObjects(Protocol):
    """Digests of objects that a provider stores, together with their owner. Both methods raise `QueueUnavailable`."""

    async def record(self, key: bytes) -> None:
        """Store the digest for 30 days."""

    async def known(self, key: bytes) -> bool: ...


class SessionStore(Protocol):
    """Session records by a digest of the session's id. Each method raises `QueueUnavailable`."""

    async def create(self, id: bytes, record: bytes, expires_at: Millis, owner: bytes = b"") -> bool:
        """Returns False and stores nothing if this id exists. `end_all(owner)` ends the session."""

    async def get(self, id: bytes, now: Millis) -> bytes | None:
        """None if there is none, or if it has expired by `now`."""

    async def end_all(self, owner: bytes) -> None: ...

    async def close(self) -> None: ...


class Erasable(Protocol):
    """A store whose records belong to users."""

    async def erase(self, user: str, at: Millis) -> Any:
        """Delete the user's records, and refuse those that began at or before `at`. Raises `QueueUnavailable`."""


class ToolFileStore(Protocol):
    """The files of Anthropic's memory tool: one JSON text per space. Every method raises `QueueUnavailable`."""

    async def get(self, space: Space) -> tuple[int, bytes]:
        """The version and the text; 0 and b"" if there are no files."""

    async def put(self, space: Space, version: int, body: bytes, *, at: Millis) -> bool:
        """Replace `version`. Returns False and stores nothing if there is a newer version, or if the user was erased
        at `at` or later."""

    async def erase(self, user: str, at: Millis) -> None:
        """Delete the user's files in every scope, and refuse changes that began at or before `at`."""
