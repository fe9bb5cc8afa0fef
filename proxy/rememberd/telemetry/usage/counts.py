"""Usage counts: one row per day, key, user and model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, Protocol

KEPT_DAYS = 400


class UsageKey(NamedTuple):
    """`day` is a UTC date, `key` the name of an API key ("" for the writer's own calls), `model` the requested name,
    `priced` the provider and its name for the model: `openai/gpt-4o`."""

    day: str
    key: str
    user: str
    model: str
    priced: str


@dataclass(frozen=True, slots=True)
class Counts:
    """`requests`, `estimated` (those requests whose usage the provider did not report), and numbers of tokens.
    `memory` is the part of `input` that was our block; `extraction` was read and written by the model that learns
    from turns."""

    requests: int = 0
    estimated: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    memory: int = 0
    extraction: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(sum, zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[int, ...]:
        return tuple(getattr(self, name) for name in FIELDS)


FIELDS = tuple(each.name for each in fields(Counts))


class UsageStore(Protocol):
    """Shared by all processes. Each method raises `QueueUnavailable`."""

    async def add(self, counted: Mapping[UsageKey, Counts]) -> None:
        """Also deletes rows older than `KEPT_DAYS`."""

    async def rows(self, since: str, until: str) -> dict[UsageKey, Counts]:
        """The rows from `since` to `until`, both included."""

    async def spent(self, day: str) -> dict[str, int]:
        """The input and output tokens of each key."""

    async def erase(self, user: str) -> None:
        """Remove the user's name from the rows; the counts stay."""


def today() -> str:
    return _day(int(time.time()) // 86_400)


@lru_cache(maxsize=1)
def _day(since_1970: int) -> str:
    return datetime.fromtimestamp(since_1970 * 86_400, UTC).date().isoformat()


def days_before(day: str, days: int) -> str:
    return (datetime.fromisoformat(day).date() - timedelta(days=days)).isoformat()


def seconds_left() -> int:
    """Seconds until the end of the day in UTC."""
    now = datetime.now(UTC)
    return 86_400 - (now.hour * 3600 + now.minute * 60 + now.second)
