"""The interfaces of the queues: turns wait there until the writer has learned from them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from rememberd.types import Millis, Space, Turn


class SpooledTurn(NamedTuple):
    """A turn in a spool, from the byte `start` to `end`. `turn` is None if it cannot be read."""

    start: int
    end: int
    turn: Turn | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A turn leased to this writer, and how often it was tried before (0 = first time)."""

    turn: Turn
    attempts: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    turn_id: str
    space: Space
    created_at: Millis
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class QueueStats:
    """`oldest_age_ms` is the age of the oldest turn; facts that a model found do not count as a turn."""

    depth: int
    oldest_age_ms: Millis
    dead: int


class Spent(NamedTuple):
    """The tokens that extraction used for one user today (UTC), and the time until the end of the day."""

    tokens: int
    day_ends_in_ms: Millis


@dataclass(frozen=True, slots=True)
class PendingStats:
    """`tokens`: spent today by all users."""

    waiting: int
    dead: int
    tokens: int


class TurnQueue(Protocol):
    """Durable, at least once, in order for each user. Every method raises `QueueUnavailable` if the queue cannot be
    reached."""

    async def put(self, turn: Turn) -> bool:
        """The turn is on disk when this returns. It replaces a turn with the same id that is still in the queue, but
        an empty answer never replaces a text. Returns False and stores nothing if the user was erased after the turn
        began."""

    async def claim(self, limit: int) -> list[Claim]:
        """Lease the oldest due turns, except turns of users who have an older turn that is leased or waits for a
        retry."""

    async def settle(self, turn_ids: Sequence[str]) -> None:
        """The memories are stored but not flushed: the lease stays until `ack`, but the user's next turn may be
        claimed."""

    async def ack(self, turn_ids: Sequence[str]) -> None:
        """Remove finished turns. A turn that was put again after its claim stays and is due again."""

    async def retry(self, turn_id: str, error: str, delay_ms: Millis) -> None:
        """The turn failed: it is due again after `delay_ms`, with one attempt more."""

    async def defer(self, turn_id: str, delay_ms: Millis) -> None:
        """The turn has to wait, as often as necessary: it is due again after `delay_ms`, with no attempt more."""

    async def dead_letter(self, turn_id: str, error: str) -> None:
        """Move the turn to the dead letters."""

    async def alive(self, turn_id: str) -> bool:
        """False if the turn's user was erased."""

    async def erase(self, user: str, at: Millis) -> int:
        """Delete the user's turns, and refuse turns that began at or before `at`."""

    async def erased(self, user: str, since: Millis) -> bool:
        """True if the user was erased at `since` or later."""

    async def has_earlier(self, user: str, than: Millis) -> bool:
        """True if a turn of this user that is due or leased began before `than`."""

    async def stats(self) -> QueueStats: ...

    async def dead(self, limit: int = 100) -> list[DeadLetter]: ...

    async def replay(self) -> int:
        """Make every dead letter due again. Returns how many."""

    async def release(self) -> int:
        """Return the leases of this writer, which stops; where there can be only one writer, also those of a dead
        one."""

    async def close(self) -> None: ...


class ExtractionQueue(Protocol):
    """Turns that wait for extraction by a model; durable. Every method raises `QueueUnavailable` if the queue cannot
    be reached. Only one batch of a user is leased at a time. A writer that has lost its lease cannot change the
    turn."""

    async def add(self, turn: Turn) -> None:
        """The turn is on disk when this returns; `user_text` are the person's own words. A turn that is added again
        (a tool loop or a replay) is recognised while it is in the queue and for an hour after it was processed.
        Stores nothing if the turn began before its user was erased."""

    async def claim(self) -> list[Turn]:
        """Lease the oldest turns of one idle conversation, at most one batch. Turns that a model has already
        processed are returned in a separate batch, with the facts that it `found`. A turn that failed before is a
        separate batch, so that others do not fail with it."""

    async def keep(self, turns: Sequence[Turn]) -> None:
        """Store the facts that a model `found` in these turns, in case this claim is not finished. A turn without
        facts is finished."""

    async def done(self, turn_ids: Sequence[str]) -> None: ...

    async def fail(self, turn_ids: Sequence[str], error: str) -> int:
        """Retry the turns later, or move them to the dead letters. Returns how many became dead letters."""

    async def defer(self, turn_ids: Sequence[str], delay_ms: Millis, outcome: str) -> None:
        """Retry the turns later, without a limit, because they did not cause the failure. A turn that was
        "over_budget" for a week is dropped."""

    async def spent(self, user: str) -> Spent: ...

    async def spend(self, user: str, tokens: int) -> None: ...

    async def erase(self, user: str, at: Millis) -> None:
        """Delete the user's turns, and refuse those that began at or before `at`."""

    async def stats(self) -> PendingStats: ...

    async def dead(self, limit: int = 100) -> list[DeadLetter]: ...

    async def replay(self) -> int:
        """Make every dead letter due again. Returns how many."""

    async def release(self) -> int:
        """Return the leases of this writer, which stops; where there can be only one writer, also those of a dead
        one."""


class Spool(Protocol):
    """Turns on this host's disk, in order, while the queue is late. Every method except `close` raises
    `QueueUnavailable` with the disk's error. Positions are byte offsets, 0 for the first turn."""

    async def append(self, turn: Turn) -> int:
        """The turn is on disk when this returns: it survives kill -9 and a power cut. Returns its position."""

    async def read(self, position: int) -> list[SpooledTurn]:
        """The next few dozen turns from `position` on; empty at the end."""

    async def clear(self, position: int) -> bool:
        """Delete all turns before `position`. Returns False and deletes nothing if a turn was appended after them."""

    async def adopt(self) -> list[Self]:
        """The spools of dead processes that no other process has adopted. The caller empties and closes them."""

    async def dead_letter(self, turn: Turn, error: str) -> None:
        """Keep a turn that the queue rejects, until an operator replays it. `error` must not quote the user. The turn
        is on disk when this returns."""

    async def dead(self) -> list[DeadLetter]: ...

    async def replay(self, put: Callable[[Turn], Awaitable[bool]]) -> int:
        """Delete the dead letters for which `put` returns True. Returns their number."""

    async def erase(self, user: str) -> None:
        """Delete the user's dead letters."""

    async def close(self) -> None:
        """Remaining turns stay on the disk; another process adopts them."""
