"""The encrypted keys in Redis: the processes of all hosts see the same keys, and see a deletion at once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError, ResponseError

from rememberd.encryption.keyring import Row
from rememberd.errors import QueueUnavailable
from rememberd.storage.redis.client import PREFIX, RedisClient

_SCRIPT = Path(__file__).with_suffix(".lua")
_REWRITE_SECONDS = 60.0
_LOOK_EVERY_SECONDS = 0.05


class RedisKeyring:
    """`Keys`. A chat waits for `get`, which therefore has a short deadline. A new key survives a power cut only with
    `appendfsync always`; otherwise, what was sealed in the last second before the cut cannot be read."""

    place = "Redis"

    def __init__(self, shared: RedisClient) -> None:
        self.shared = shared
        self._run = shared.script(_SCRIPT)
        self._soon = shared.with_deadline(self._run)

    async def begun(self) -> bool:
        """Whether the data in this Redis is sealed."""
        return bool(await self._run("begun"))

    async def begin(self, root: Row, turned: bool, fresh: bool) -> tuple[Row, bool] | None:
        found = await self._run("begin", _value(root), int(turned), int(fresh))
        return (_row(found[0]), found[1] == b"1") if found else None

    async def get(self, owner: str) -> Row | None:
        found = await self._soon("get", owner)
        return _row(found) if found else None

    async def get_or_add(self, owner: str, made: Row) -> Row:
        return _row(await self._run("get_or_add", owner, _value(made)))

    async def drop(self, owner: str) -> str:
        await self._run("drop", owner)
        return await self._rewritten()

    async def rewrap(self, newest: str, again: Callable[[str, Row], Row]) -> int:
        rewrapped = 0
        async for owner, value in self._all():
            if _row(value).master != newest:
                rewrapped += await self._run("swap", owner, value, _value(again(owner.decode(), _row(value))))
        if rewrapped and (left := await self._rewritten()):
            raise QueueUnavailable(f"all keys are wrapped again, but the old ones may still be on the disk: {left}")
        return rewrapped

    async def versions(self) -> Counter[str]:
        return Counter([_row(value).master async for _, value in self._all()])

    async def close(self) -> None:
        await self.shared.close()

    async def _all(self) -> AsyncIterator[tuple[bytes, bytes]]:
        cursor, seen = 0, set[bytes]()  # a scan may return a key twice
        while True:
            cursor, found = await self.shared.ask(self.shared.client.hscan(f"{PREFIX}keys", cursor, count=500))
            for owner in found.keys() - seen:
                yield owner, found[owner]
            seen |= found.keys()
            if not cursor:
                return

    async def _rewritten(self) -> str:
        """Make Redis rewrite its files, so that deleted keys are not in them. Returns the reason if it could not,
        otherwise "". The snapshot is rewritten even if none is configured: there may be an older one."""
        info = await self.shared.ask(self.shared.client.info("persistence"))
        for command, wanted in (("BGREWRITEAOF", info["aof_enabled"]), ("BGSAVE", True)):
            if wanted and (left := await self._finished(command)):
                return left
        return ""

    async def _finished(self, command: str) -> str:
        """Run `command` and wait for its end. A rewrite already running does not count: it started too early."""
        until, started = time.monotonic() + _REWRITE_SECONDS, False
        while time.monotonic() < until:
            info: dict[str, Any] = await self.shared.ask(self.shared.client.info("persistence"))
            busy = any(
                info[each] for each in ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
            )
            if started and not busy:
                status = info["aof_last_bgrewrite_status" if command == "BGREWRITEAOF" else "rdb_last_bgsave_status"]
                return "" if status == "ok" else f"{command} failed; see Redis's log"
            if not busy:
                try:
                    await self.shared.client.execute_command(command)
                    started = True
                except ResponseError as error:
                    if "in progress" not in str(error):
                        return f"Redis refuses {command} ({error}): make it rewrite its files"
                except (RedisError, OSError) as error:
                    return f"{command}: {error}"
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        return f"{command} took longer than {_REWRITE_SECONDS:.0f} s"


def _value(row: Row) -> bytes:
    return row.master.encode() + b":" + row.wrapped


def _row(value: bytes) -> Row:
    master, _, wrapped = value.partition(b":")
    return Row(master.decode(), wrapped)
