"""The queues in which turns wait until the writer has learned from them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from rememberd.types import Millis, Space, Turn


class SpooledTurn(NamedTuple):
    """A turn in a spool, from `start` to `end`. None: it cannot be read."""

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
    """`oldest_age_ms` is the age of the oldest turn; what a model found in a turn does not count."""

    depth: int
    oldest_age_ms: Millis
    dead: int


class Spent(NamedTuple):
    """The tokens that extraction has used for one user today (UTC), and the time until the day ends."""

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
        """On disk when this returns. Replaces a turn of the same id that is still in the queue (but an empty answer
        never replaces a text). Returns False if the user was erased after the turn began; then nothing was stored."""

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

    async def has_earlier(self, user: str, than: Millis) -> bool:
        """Did the oldest of this user's turns that are due or leased begin before `than`?"""

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

    Only one batch of a user is leased at a time. A writer that has lost its lease cannot change the turn any more."""

    async def add(self, turn: Turn) -> None:
        """On disk when this returns; `user_text` are the person's own words. A turn that is added again (by a tool
        loop or a replay) is recognised while it is here and for an hour after it was read. Stores nothing of a turn
        that began before its user was erased."""

    async def claim(self) -> list[Turn]:
        """Lease the oldest turns of one conversation that rests, at most one batch. Turns that were read already are
        a batch of their own, with what was `found`. A turn that failed before is a batch of its own, so that others
        do not fail with it."""

    async def keep(self, turns: Sequence[Turn]) -> None:
        """Store what a model `found` in these turns, in case this claim is not finished. A turn in which nothing was
        found is finished."""

    async def done(self, turn_ids: Sequence[str]) -> None: ...

    async def fail(self, turn_ids: Sequence[str], error: str) -> int:
        """Try again later, or move to the dead letters. Returns how many are dead letters now."""

    async def defer(self, turn_ids: Sequence[str], delay_ms: Millis, outcome: str) -> None:
        """Try the turns again later, as often as necessary, because the failure was not theirs. A turn that has been
        "over_budget" for a week is dropped."""

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
        """Turns that are still in it stay on the disk; another process adopts them."""
