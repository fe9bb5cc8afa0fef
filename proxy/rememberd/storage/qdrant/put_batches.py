"""Puts of several turns in one request: puts that arrive during a request are sent together in the next one."""

import asyncio
import logging
from asyncio import Future, Task
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from rememberd.errors import QueueUnavailable, StoreUnavailable
from rememberd.storage.changes import Change, RecentChanges, Stamps, UserChanges, digest
from rememberd.storage.payload import living, point_id
from rememberd.storage.qdrant import queries
from rememberd.storage.qdrant.connection import Refused
from rememberd.storage.qdrant.points import ServerPoints, next_stamp, now_us, point
from rememberd.storage.qdrant.removals import Removals
from rememberd.types import Point, Space

_MOST = 128  # points per request: 400 kB of JSON, built in 1 ms

log = logging.getLogger("rememberd.store")


class Put(NamedTuple):
    space: Space
    points: Sequence[Point]
    done: Future[None]


class PutBatches:
    """One request at a time for each shard."""

    def __init__(self, at: ServerPoints, changes: RecentChanges, removals: Removals) -> None:
        self._at, self._changes, self._removals = at, changes, removals
        self._waiting: dict[str | None, list[Put]] = {}
        self._running: dict[str | None, Task[None]] = {}

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        """Raises `StoreUnavailable`."""
        shard, done = self._at.shard_of(space.user), asyncio.get_running_loop().create_future()
        self._waiting.setdefault(shard, []).append(Put(space, points, done))
        if shard not in self._running:
            self._running[shard] = asyncio.create_task(self._run(shard))
        await done

    async def close(self) -> None:
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, shard: str | None) -> None:
        waiting = self._waiting[shard]
        batch: list[Put] = []
        try:
            while waiting:
                batch = _next_batch(waiting)
                await self._write_each(shard, batch)
        finally:
            del self._running[shard]
            for put in (*batch, *waiting):
                put.done.cancel()
            waiting.clear()

    async def _write_each(self, shard: str | None, batch: Sequence[Put]) -> None:
        """Write the batch in one request. If the server refuses it, write each put alone, because only one may be at
        fault."""
        try:
            await self._write(shard, batch)
        except StoreUnavailable as error:
            if isinstance(error, Refused) and error.is_final and len(batch) > 1:
                for put in batch:
                    await self._write_each(shard, [put])
                return
            for put in batch:
                _settle(put.done, error)
        else:
            for put in batch:
                _settle(put.done, None)

    async def _write(self, shard: str | None, batch: Sequence[Put]) -> None:
        ids = {str(point_id(put.space, each.memory.id)) for put in batch for each in put.points}
        if not ids:
            return
        now = now_us()
        there, known = await asyncio.gather(
            self._at.existing(ids, shard), self._known({put.space.user for put in batch})
        )
        # Nobody waits for a put that was given up: later, it would replace what was written meanwhile.
        points = {
            str(point_id(put.space, each.memory.id)): (put.space, each)
            for put in batch
            if not put.done.cancelled()
            for each in put.points
        }
        stamp = max([next_stamp(now, there.values()), *(each.since for each in known.values())])
        new: list[queries.Json] = []
        again: list[queries.Json] = []
        stamps: defaultdict[str, dict[str, int]] = defaultdict(dict)
        rewritten: defaultdict[str, list[Change]] = defaultdict(list)
        for id_, (space, each) in points.items():
            recent, updated_at, lies = known[space.user], each.memory.updated_at, there.get(id_, {})
            if recent.deleted_since(id_, updated_at) or ("buried" in lies and lies["at"] >= updated_at):
                continue
            payload = living(space, each)
            # The node may lack the newest writes: then only the change log knows of a tombstone.
            told_again = "buried" in lies or recent.is_gone(id_)
            (again if told_again else new).append(point(id_, queries.vectors(each.dense, each.sparse), payload))
            stamps[space.user][id_] = stamp
            if id_ in there or id_ in recent.last:  # other processes may have cached the old row
                rewritten[space.user].append(Change(id_, "written", updated_at, digest(payload["memory"])))
        if new:  # another process may delete one of them meanwhile
            await self._at.write(new, shard, stamp, unless=[queries.buried(space for space, _ in points.values())])
        if again:
            await self._at.write(again, shard, stamp)
        for user, written in stamps.items():
            await self._record(user, rewritten[user], written)

    async def _known(self, users: Iterable[str]) -> dict[str, UserChanges]:
        known = {}
        for user in users:
            known[user], _ = await self._changes.of(user)
            if known[user].erasing is not None:  # an erasure that is made later must not delete what is written now
                with suppress(QueueUnavailable):
                    await self._removals.carry_out(user)
        return known

    async def _record(self, user: str, rewritten: Sequence[Change], written: Stamps) -> None:
        """Record what was written. With a single node its writes are not recorded, because no node can lack one."""
        written = written if len(self._at.connection.nodes.all) > 1 else {}
        if not (rewritten or written):
            return
        try:
            await self._changes.record(user, rewritten, written=written)
        except QueueUnavailable as error:
            log.warning("other processes are not told what was written: %s", error)


def _next_batch(waiting: list[Put]) -> list[Put]:
    """Take from the front of `waiting` as many puts as fit into one request, and at least one; leave out
    those that were cancelled. Empty if no put waits."""
    waiting[:] = [put for put in waiting if not put.done.cancelled()]
    number, size = 0, 0
    for put in waiting:
        size += len(put.points)
        if number and size > _MOST:
            break
        number += 1
    batch = waiting[:number]
    del waiting[:number]
    return batch


def _settle(done: Future[None], error: StoreUnavailable | None) -> None:
    if done.done():  # its caller has given up
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
