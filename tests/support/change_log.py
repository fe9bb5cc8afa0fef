"""The change log without a file or a server behind it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import count

from rememberd.storage.changes import Change, News, Removal, Stamps, newest


class LocalChangeLog:
    """A `ChangeLog` of one process."""

    def __init__(self) -> None:
        self._changes: defaultdict[str, list[Change]] = defaultdict(list)
        self._written: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._removals: dict[str, Removal] = {}
        self._names = count(1)

    async def record(
        self, stream: str, changes: Sequence[Change], removal: Removal | None = None, written: Stamps | None = None
    ) -> str:
        self._changes[stream] += changes
        self._written[stream] = newest(self._written[stream], written or {})
        if removal is None:
            return ""
        name = str(next(self._names))
        self._removals[name] = removal
        return name

    async def since(self, stream: str, place: str, *, patient: bool = False) -> News:
        changes = self._changes[stream]
        return News(str(len(changes)), changes[int(place or 0) :], self._written[stream])

    async def waiting(self) -> dict[str, Removal]:
        return dict(self._removals)

    async def finished(self, removal: str) -> None:
        self._removals.pop(removal, None)

    async def close(self) -> None: ...
