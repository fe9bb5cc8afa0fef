"""Recent changes of the memories on a server, known to all processes.

A replica that was away, or that is cut off from the others, answers with old data for some seconds, and each process
caches what it has read. Therefore every write, deletion and erasure is recorded here. A reader asks a node that has
the user's newest writes, and leaves out what is deleted. A removal is recorded before it is made, and is valid from
then on: if the server is away, the removal waits here until a writer can carry it out."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Literal, NamedTuple, Protocol

from rememberd.errors import QueueUnavailable
from rememberd.types import Millis, Space

# Longer than a replica may be away and then come back with its old data.
KEPT_MS = 24 * 3600 * 1000
# A replica is up to date 4 to 12 s after it is back (measured with Qdrant 1.19). Until then, rows of changed memories
# are not cached, because they may have been read from such a replica.
UNSETTLED_S = 60.0
# A node that lacks one of a user's newest writes is behind. Those of one request may lie on different shards.
NEWEST = 8
_USERS = 10_000  # whose changes a process knows
_SINCE_S = 3600.0  # after this time all are read again, so that old ones are forgotten

Stamps = Mapping[str, int]  # points, each with the stamp of its last write (`points.next_stamp`)
Happened = Literal["written", "deleted", "erased", "erasing", "erasure ended"]

log = logging.getLogger("rememberd.store")


class Change(NamedTuple):
    """A change of one point. `at`: the time of a deletion, or the `updated_at` of what was written, whose `digest` is
    kept. "erasing" concerns all points of the user until "erasure ended" is recorded; `point` is "" then."""

    point: str
    happened: Happened
    at: Millis
    digest: str = ""


class Removal(NamedTuple):
    """A deletion that is to be made in `collection`. Empty `ids`: everything of `user`."""

    collection: str
    user: str
    scope: str
    ids: Sequence[str]
    at: Millis

    @property
    def space(self) -> Space:
        return Space(self.user, self.scope)


class News(NamedTuple):
    """`place` is the position after the `changes`, which are sorted, the oldest first. `written` are the newest
    writes."""

    place: str
    changes: list[Change]
    written: dict[str, int]


class ChangeLog(Protocol):
    """Shared by the processes of all hosts. A stream is of one user in one collection. Every method raises
    `QueueUnavailable`. Changes and the `NEWEST` writes are kept for `KEPT_MS`, removals until they are `finished`."""

    async def record(
        self, stream: str, changes: Sequence[Change], removal: Removal | None = None, written: Stamps | None = None
    ) -> str:
        """Known to all and on disk when this returns. Returns the name of the removal, or "" for none."""

    async def since(self, stream: str, place: str, *, patient: bool = False) -> News:
        """The changes after `place`; "" is the place before all. `patient`: no chat waits for the answer."""

    async def waiting(self) -> dict[str, Removal]:
        """The removals that are not finished, by name, oldest first."""

    async def finished(self, removal: str) -> None: ...

    async def close(self) -> None: ...


class UserChanges:
    """What one process knows of one user's changes: the last change of each point."""

    def __init__(self) -> None:
        self.place, self.began = "", time.monotonic()
        self.last: dict[str, Change] = {}
        self.written: dict[str, int] = {}
        self.erasing: Millis | None = None
        self.since = 0  # points with a lower stamp were erased, also those that a hung node writes later
        self._unsettled: dict[str, float] = {}

    def add(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.happened == "erasing":
                self.erasing = change.at
                self.since = max(self.since, first_stamp_after(change.at))
            elif change.happened == "erasure ended":
                self.erasing = None
            elif change.happened != "written" or not self.deleted_since(change.point, change.at):
                # A write that began before a deletion may be recorded after it; every store refuses this write.
                self.last[change.point] = change
                self._unsettled[change.point] = time.monotonic() + UNSETTLED_S

    def note(self, written: Stamps) -> None:
        self.written = newest(self.written, written)

    def expected(self) -> dict[str, int]:
        """The writes that every up-to-date node has. If a point was deleted since, such a node has at least its
        tombstone."""
        return {
            point: stamp
            for point, stamp in self.written.items()
            if stamp >= self.since and not self._is_erased(point)
        }

    def is_gone(self, point: str) -> bool:
        change = self.last.get(point)
        return change is not None and change.happened != "written"

    def _is_erased(self, point: str) -> bool:
        change = self.last.get(point)
        return change is not None and change.happened == "erased"

    def deleted_since(self, point: str, updated_at: Millis) -> bool:
        """Whether the point was deleted at this time or later. An erasure does not count: an erased user may say the
        same again."""
        change = self.last.get(point)
        return change is not None and change.happened == "deleted" and change.at >= updated_at

    def is_shown(self, point: str, updated_at: Millis, stored: str) -> bool:
        """Whether this is the newest version of the memory: not deleted, and no newer text was written."""
        if self.erasing is not None and updated_at <= self.erasing:
            return False
        change = self.last.get(point)
        if change is None or updated_at > change.at:
            return True
        return change.happened == "written" and change.digest == digest(stored)

    def unsettled(self) -> list[str]:
        """The points whose stored rows may be old."""
        now = time.monotonic()
        self._unsettled = {point: until for point, until in self._unsettled.items() if until > now}
        return list(self._unsettled)


class RecentChanges:
    """The changes that this process knows. While the log cannot be reached, it knows only its own."""

    def __init__(self, shared: ChangeLog, forget: Callable[[str], None], collection: Callable[[], str]) -> None:
        """`forget` is called for each changed point, so that caches can drop it. The log keeps the changes of each
        `collection` apart: while the embedding model is being changed, two collections have the same points, and an
        erasure in the next one is not an erasure in the first."""
        self.shared, self._forget, self._collection = shared, forget, collection
        self._users: OrderedDict[str, UserChanges] = OrderedDict()
        self._reached = True  # so that a failure is logged once, not at every read

    async def of(self, user: str, *, patient: bool = False) -> tuple[UserChanges, bool]:
        """The user's changes, and whether they are complete: False while the log cannot be reached."""
        known = self._known(user)
        try:
            while True:
                begin = known.place
                news = await self.shared.since(self._stream(user), begin, patient=patient)
                if known.place == begin:  # no other call has read meanwhile
                    break
        except QueueUnavailable as error:
            if self._reached:
                log.warning("recent changes of other processes are not known: %s", error)
            self._reached = False
            return known, False
        self._reached, known.place = True, news.place
        self._learn(known, news.changes, news.written)
        return known, True

    async def record(
        self, user: str, changes: Sequence[Change], removal: Removal | None = None, written: Stamps | None = None
    ) -> str:
        """Raises `QueueUnavailable`; this process knows the changes nevertheless."""
        self._learn(self._known(user), changes, written or {})
        return await self.shared.record(self._stream(user), changes, removal, written)

    def _stream(self, user: str) -> str:
        return f"{self._collection()} {user}"

    def _known(self, user: str) -> UserChanges:
        known = self._users.get(user)
        if known is None or time.monotonic() - known.began > _SINCE_S:
            known = self._users[user] = UserChanges()
            if len(self._users) > _USERS:
                self._users.popitem(last=False)
        self._users.move_to_end(user)
        return known

    def _learn(self, known: UserChanges, changes: Sequence[Change], written: Stamps) -> None:
        known.add(changes)
        known.note(written)
        for change in changes:
            self._forget(change.point)


def newest(known: Stamps, written: Stamps) -> dict[str, int]:
    """The `NEWEST` of both, the oldest first."""
    both = {**known, **{point: max(stamp, known.get(point, 0)) for point, stamp in written.items()}}
    return dict(sorted(both.items(), key=lambda each: each[1])[-NEWEST:])


def first_stamp_after(at: Millis) -> int:
    """The lowest stamp of writes after this time."""
    return (at + 1) * 1000


def digest(stored: str) -> str:
    return blake2b(stored.encode(), digest_size=8).hexdigest()
