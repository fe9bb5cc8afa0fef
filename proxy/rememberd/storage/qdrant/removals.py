"""Deletions and erasures on a server. Each is valid as soon as it is recorded. It is carried out at once if the
server can, otherwise later."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, NoReturn

from rememberd.errors import MemoryUnavailable, QueueUnavailable, StoreUnavailable
from rememberd.storage.changes import Change, RecentChanges, Removal, first_stamp_after
from rememberd.storage.payload import memory_in, point_id, tombstone
from rememberd.storage.qdrant import queries
from rememberd.storage.qdrant.points import ServerPoints, next_stamp, now_us, point, shard_key
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Millis

_PATIENCE_S = 1.0  # how long a deletion waits; a put to a cluster with a hung node takes up to 9.5 s
_EVERY_S = 1.0
LATEST_MS = 60_000  # after an erasure, when what nodes have written late is deleted
_PAGE = 500

log = logging.getLogger("rememberd.store")


class Removals:
    def __init__(self, at: ServerPoints, changes: RecentChanges) -> None:
        self._at, self._changes, self.latest_ms = at, changes, LATEST_MS

    async def delete(self, removal: Removal) -> None:
        """Raises `StoreUnavailable` if it can be neither carried out nor recorded."""
        changes = [Change(id_, "deleted", removal.at) for id_ in _points(removal)]
        name = await self._recorded(changes, removal)
        try:
            async with asyncio.timeout(_PATIENCE_S if name else None):
                now, shard = now_us(), self._at.shard_of(removal.user)
                existing = await self._at.existing(_points(removal), shard)
                await self._bury(removal, removal.ids, next_stamp(now, existing.values()))
        except (StoreUnavailable, TimeoutError) as error:
            _made_later(name, error)
        else:
            await self._finish(name)

    async def erase(self, collection: str, user: str) -> int:
        """Returns the number of memories. Raises `StoreUnavailable` if the number is not known; if the erasure could
        be recorded, it is valid nevertheless."""
        at = wall_clock()
        removal = Removal(collection, user, "", (), at)
        name = await self._recorded([Change("", "erasing", at)], removal)
        erased = await self._at.count_points(self._at.shard_of(user), queries.memories_of_user(user))
        try:
            await self._erase(removal, late=False)
        except StoreUnavailable as error:
            _made_later(name, error)
        return erased  # `carry_out` finishes it: a node that hung may still write something older

    async def run(self) -> NoReturn:
        """Carry out waiting removals, until cancelled. Runs in every writer."""
        reached = True
        while True:
            try:
                await self.carry_out()
                reached = True
            except MemoryUnavailable as error:
                if reached:
                    log.warning("deletions wait: %s", error)
                reached = False
            await asyncio.sleep(_EVERY_S)

    async def carry_out(self, user: str | None = None) -> None:
        """Carry out the waiting removals of all users, or of `user`. An erasure is made twice: until the second time,
        what a hung node writes late is in no answer, because its stamp is lower. Raises `StoreUnavailable`,
        `QueueUnavailable`."""
        for name, removal in (await self._changes.shared.waiting()).items():
            if removal.collection != await self._at.name() or user not in (None, removal.user):
                continue
            if removal.ids:
                await self._bury(removal, *await self._still_old(removal))
            else:
                known, _ = await self._changes.of(removal.user)
                if known.erasing == removal.at:
                    await self._erase(removal, late=True)
                if wall_clock() < removal.at + self.latest_ms:
                    continue
                await self._delete_rest(removal.user, first_stamp_after(removal.at))
            await self._finish(name)

    async def _recorded(self, changes: Sequence[Change], removal: Removal) -> str:
        """Record the removal, and return its name. Returns "" if it cannot be recorded: then it must be carried out
        at once."""
        try:
            return await self._changes.record(removal.user, changes, removal)
        except QueueUnavailable as error:
            log.warning("a deletion is made without telling other processes: %s", error)
            return ""

    async def _finish(self, name: str) -> None:
        if not name:
            return
        try:
            await self._changes.shared.finished(name)
        except QueueUnavailable as error:
            log.warning("a deletion will be made once more: %s", error)

    async def _bury(self, removal: Removal, ids: Sequence[str], stamp: int) -> None:
        space, shard = removal.space, self._at.shard_of(removal.user)
        tombs = [point(str(point_id(space, id_)), {}, tombstone(space, id_, removal.at)) for id_ in ids]
        for start in range(0, len(tombs), _PAGE):
            await self._at.write(tombs[start : start + _PAGE], shard, stamp)

    async def _still_old(self, removal: Removal) -> tuple[list[str], int]:
        """The ids that were not written again since the deletion, and the stamp for their tombstones, which is lower
        than the stamps of later writes."""
        now = now_us()
        known, _ = await self._changes.of(removal.user)
        ids = dict(zip(_points(removal), removal.ids, strict=True))
        asked: dict[str, Any] = {"ids": list(ids), "with_payload": ["memory", "at", "written_at"]}
        existing = await self._at.ask("POST", "/points", asked | shard_key(self._at.shard_of(removal.user)))
        newer = {each["id"] for each in existing if _age(each["payload"]) > removal.at}
        stamp = next_stamp(now, (each["payload"] for each in existing))
        return [id_ for at, id_ in ids.items() if at not in newer and known.is_gone(at)], stamp

    async def _erase(self, removal: Removal, *, late: bool) -> None:
        """Delete everything of the user. Because of the stamps, a delayed deletion of a hung node deletes nothing
        that was written later. If the erasure itself is `late`, memories that were written since then stay. It
        deletes page by page, so that other processes know what is deleted; then it deletes points that an outdated
        replica did not list."""
        since = first_stamp_after(removal.at)
        user, shard = removal.user, self._at.shard_of(removal.user)
        asked: dict[str, Any] = {"filter": queries.of_user(user), "limit": _PAGE}
        asked["with_payload"] = ["memory", "at", "written_at"]
        following: Any = None
        while True:
            now = now_us()
            found, following = await self._at.scroll(asked | shard_key(shard) | {"offset": following})
            ids = [each["id"] for each in found if not late or _age(each["payload"]) <= removal.at]
            since = max([since, *(each["payload"].get("written_at", 0) + 1 for each in found if not late)])
            if ids:
                await self._record_quietly(user, [Change(id_, "erased", removal.at) for id_ in ids])
                old = queries.older_of(ids, next_stamp(now, (each["payload"] for each in found)))
                await self._at.ask("POST", "/points/delete?wait=true", {"filter": old} | shard_key(shard))
            if following is None:
                break
        await self._delete_rest(user, since)
        await self._record_quietly(user, [Change("", "erasure ended", removal.at)])

    async def _delete_rest(self, user: str, since: int) -> None:
        rest = {"filter": queries.older_of_user(user, since)} | shard_key(self._at.shard_of(user))
        await self._at.ask("POST", "/points/delete?wait=true", rest)

    async def _record_quietly(self, user: str, changes: Sequence[Change]) -> None:
        try:
            await self._changes.record(user, changes)
        except QueueUnavailable as error:
            log.warning("other processes are not told of an erasure: %s", error)


def _points(removal: Removal) -> list[str]:
    return [str(point_id(removal.space, id_)) for id_ in removal.ids]


def _age(payload: dict[str, Any]) -> Millis:
    """When a memory was last changed, or a tombstone was written."""
    return memory_in(payload).updated_at if "memory" in payload else payload.get("at", 0)


def _made_later(name: str, error: Exception) -> None:
    """Raises `StoreUnavailable` for a removal that is recorded nowhere."""
    if not name:
        raise StoreUnavailable(f"nothing was deleted: {error}") from error
    log.warning(
        "the server cannot delete now: what was deleted is hidden, and the deletion is tried again (%s)",
        error or "no answer in time",
    )
