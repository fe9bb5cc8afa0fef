"""Memories that were read lately, whole: what a recall shows was often read a moment ago."""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import NamedTuple

from rememberd.types import Memory

# If a process dies between a write and its record, others may keep the old text for so long.
_KEPT_S = 600.0


class _Kept(NamedTuple):
    memory: Memory
    until: float


class MemoryCache:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[Hashable, _Kept] = {}

    def get(self, key: Hashable) -> Memory | None:
        kept = self._kept.get(key)
        return kept.memory if kept is not None and kept.until > time.monotonic() else None

    def keep(self, key: Hashable, memory: Memory) -> None:
        if len(self._kept) >= self._limit:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = _Kept(memory, time.monotonic() + _KEPT_S)

    def drop(self, key: Hashable) -> None:
        self._kept.pop(key, None)

    def clear(self) -> None:
        self._kept.clear()
