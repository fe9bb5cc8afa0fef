"""The ports: the interfaces between the product and its stores, queues and providers. Only `wiring` knows which
adapter stands behind a port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol, Self

from rememberd.search_results import Candidates
from rememberd.types import (
    Claim,
    DeadLetter,
    Deployment,
    Fact,
    Kind,
    Memory,
    Millis,
    PendingStats,
    Point,
    QueueStats,
    Receipt,
    Space,
    Sparse,
    Spent,
    SpooledTurn,
    Turn,
)


class MemoryStore(Protocol):
    """Memories by space. Every method raises `StoreUnavailable` when the engine does not answer.

    A memory of another space is as good as absent: never returned, changed or counted. A deleted memory leaves a
    tombstone (its id and the time, no text) that only `buried` shows and a newer memory of the same id replaces."""

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        """Insert or replace by id. The write survives kill -9 of any process when this returns.

        A memory that was deleted at or after its `updated_at` stays deleted: its writer had read it before the
        deletion.
        """

    async def get(self, space: Space, ids: Sequence[str]) -> list[Memory]:
        """The memories that exist, in the order of `ids`, past ones included."""

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

    async def count(self, space: Space, *, now: Millis, kind: Kind | None = None, include_past: bool = False) -> int:
        """How many memories `page` would list on all pages together."""

    async def deleted_at(self, space: Space, ids: Sequence[str]) -> dict[str, Millis]:
        """Which of these ids were deleted, and when."""

    async def delete(self, space: Space, ids: Sequence[str], *, at: Millis) -> list[str]:
        """Delete and leave tombstones. Returns the ids that existed."""

    async def erase(self, user: str) -> int:
        """Delete everything of this user, in every scope, tombstones included. Returns the number of memories."""

    async def spaces(self, user: str | None = None) -> list[Space]:
        """The spaces that hold a memory, sorted, of one user; or of all, for commands of the operator: on a server
        that reads every point, a page at a time."""

    async def ping(self) -> None:
        """Raises unless it can be read and written."""

    async def flush(self) -> None:
        """Make every write so far survive a power cut."""

    async def close(self) -> None: ...


class TurnQueue(Protocol):
    """Durable, at least once, in order for each user. Every method raises `QueueUnavailable` if the queue cannot be
    reached."""

    async def put(self, turn: Turn) -> bool:
        """On disk when this returns. A turn of the same id that is still here is replaced (an empty answer never
        replaces a text). False: the user was erased after the turn began, and nothing was kept."""

    async def claim(self, limit: int) -> list[Claim]:
        """Lease the oldest turns that are due, but never a turn whose user has an older one that is leased or waits
        for a retry."""

    async def settle(self, turn_ids: Sequence[str]) -> None:
        """Stored but not flushed: the lease stays until `ack`, and the user's next turn may be claimed."""

    async def ack(self, turn_ids: Sequence[str]) -> None:
        """The turns are finished. A turn that was put again since it was claimed stays, and is due again."""

    async def retry(self, turn_id: str, error: str, delay_ms: Millis) -> None: ...

    async def dead_letter(self, turn_id: str, error: str) -> None:
        """Move the turn to the dead letters."""

    async def alive(self, turn_id: str) -> bool:
        """False after its user was erased."""

    async def erase(self, user: str, at: Millis) -> int:
        """Drop the user's turns, and refuse any put of a turn that began at or before `at`."""

    async def erased(self, user: str, since: Millis) -> bool:
        """Was the user erased at `since` or later?"""

    async def stats(self) -> QueueStats: ...

    async def dead(self, limit: int = 100) -> list[DeadLetter]: ...

    async def replay(self) -> int:
        """Make every dead letter due again. Returns how many."""

    async def release(self) -> int:
        """Return the leases of this writer, which stops; where there can be only one writer, also those of a dead
        one."""

    async def close(self) -> None: ...


class ExtractionQueue(Protocol):
    """Turns that a model is to read; durable. Every method raises `QueueUnavailable` if the queue cannot be reached.

    One batch of a user is read at a time, whoever claims it. A writer that lost its lease cannot change the turn any
    more.
    """

    async def add(self, turn: Turn) -> None:
        """On disk when this returns; `user_text` are the person's own words. One that comes again (a tool loop, a
        replay) is known while it is here and for an hour after it was read. Nothing is kept of a turn that began
        before its user was erased."""

    async def claim(self) -> list[Turn]:
        """Lease the oldest turns of one conversation that rests, at most one batch. Turns that were read already come
        alone, with what was `found`. A turn that failed before comes alone, so that it does not take others with
        it."""

    async def keep(self, turns: Sequence[Turn]) -> None:
        """Store what a model `found` in these turns, in case this claim is not finished. A turn in which nothing was
        found is finished."""

    async def done(self, turn_ids: Sequence[str]) -> None: ...

    async def fail(self, turn_ids: Sequence[str], error: str) -> int:
        """Try again later, or move to the dead letters. Returns how many are dead letters now."""

    async def defer(self, turn_ids: Sequence[str], delay_ms: Millis, outcome: str) -> None:
        """The turns are not at fault: they come again, as often as necessary. But a turn that has been "over_budget"
        for a week is dropped."""

    async def spent(self, user: str) -> Spent: ...

    async def spend(self, user: str, tokens: int) -> None: ...

    async def erase(self, user: str, at: Millis) -> None:
        """Drop the user's turns, and refuse those that began at or before `at`."""

    async def stats(self) -> PendingStats: ...

    async def dead(self, limit: int = 100) -> list[DeadLetter]: ...

    async def replay(self) -> int:
        """Make every dead letter due again. Returns how many."""

    async def release(self) -> int:
        """Return the leases of this writer, which stops; where there can be only one writer, also those of a dead
        one."""


class OwnedObjects(Protocol):
    """Digests that stand for an object which a provider stores, and its owner. Both raise `QueueUnavailable`."""

    async def record(self, key: bytes) -> None:
        """Kept for 30 days."""

    async def known(self, key: bytes) -> bool: ...


class Spool(Protocol):
    """Turns on this host's disk, in order, while the queue is late. Every method but `close` raises
    `QueueUnavailable` with the disk's reason. Positions are numbers of bytes, 0 for the first turn."""

    async def append(self, turn: Turn) -> int:
        """On disk when this returns: survives kill -9 and a power cut. Returns its position."""

    async def read(self, position: int) -> list[SpooledTurn]:
        """The next turns from `position` on, some dozens; empty at the end."""

    async def clear(self, position: int) -> bool:
        """Drop all turns before `position`, if none was appended behind them. False: one was."""

    async def adopt(self) -> list[Self]:
        """The spools of processes that died, which nobody else has adopted. The caller empties and closes them."""

    async def dead_letter(self, turn: Turn, error: str) -> None:
        """Keep a turn that no queue takes until an operator replays it; `error` quotes nobody. On disk when this
        returns."""

    async def dead(self) -> list[DeadLetter]: ...

    async def replay(self, put: Callable[[Turn], Awaitable[bool]]) -> int:
        """Drop the dead letters for which `put` returns True. Returns how many."""

    async def erase(self, user: str) -> None:
        """Drop the user's dead letters."""

    async def close(self) -> None:
        """What is in it stays, for somebody to adopt."""


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
    """Who has paused their memory: a space, or with the scope `EVERY_SCOPE` all spaces of a user. Each method raises
    `QueueUnavailable`."""

    async def paused(self, space: Space) -> bool:
        """This space, or the user everywhere."""

    async def pause(self, space: Space) -> None: ...

    async def resume(self, space: Space) -> None:
        """With `EVERY_SCOPE`, each pause of the user ends. A pause everywhere is not ended for one space."""


class Embedder(Protocol):
    """Text to vectors. Raises `EmbedderUnavailable`."""

    name: str
    dim: int
    gain: float  # what its cosines are multiplied by for ranking

    @property
    def backlog_ms(self) -> float:
        """How long a text would wait for those before it."""

    async def dense(self, text: str) -> list[float]:
        """A vector of unit length. The same text gives the same vector, whatever was embedded beside it."""

    def document(self, text: str) -> Sparse: ...

    def query(self, text: str) -> Sparse: ...


class Extractor(Protocol):
    async def facts(self, turn: Turn) -> list[Fact]:
        """Facts about the user, each with a span that stands verbatim in `turn.user_text`."""


class Reply(Protocol):
    """An upstream's answer: status and headers at once, the body as it comes. `close` is safe at any time."""

    status: int
    headers: list[tuple[str, str]]

    def chunks(self) -> AsyncIterator[bytes]:
        """Raises `UpstreamUnavailable` when the body breaks off or falls silent for too long."""

    async def close(self) -> None: ...


class Upstream(Protocol):
    async def send(
        self,
        deployment: Deployment,
        path: str,
        body: bytes,
        headers: Sequence[tuple[str, str]],
        *,
        method: str = "POST",
    ) -> Reply:
        """One request, no retry. `path` is relative to the API base ("/chat/completions", with the client's query if
        there is one), `headers` are the client's, `body` already names `deployment.upstream_model`. Cancelling it
        cancels the call upstream.
        Raises `UpstreamUnavailable`, and `RequestError` for a parameter that cannot be translated."""

    async def close(self) -> None: ...
