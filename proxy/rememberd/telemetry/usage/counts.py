"""What is counted of the requests: one row a day, key, user and model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, Protocol

KEPT_DAYS = 400


class UsageKey(NamedTuple):
    """`day` is a date in UTC, `key` the name of an API key ("" for what a user's memory costs by itself), `model` the
    name that was asked for, `priced` the provider and its own name for the model: `openai/gpt-4o`."""

    day: str
    key: str
    user: str
    model: str
    priced: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens but for `requests`, and `estimated`: how many of these whose tokens the provider did not say. `memory`
    is the part of `input` that was our block; `extraction` what a model read and wrote to learn from turns."""

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
        """Also drops what is older than `KEPT_DAYS`."""

    async def rows(self, since: str, until: str) -> dict[UsageKey, Counts]:
        """Of these days, both included."""

    async def spent(self, day: str) -> dict[str, int]:
        """The tokens in and out of each key."""

    async def erase(self, user: str) -> None:
        """The name goes; the counts stay, under no name."""


def today() -> str:
    return _day(int(time.time()) // 86_400)


@lru_cache(maxsize=1)
def _day(since_1970: int) -> str:
    return datetime.fromtimestamp(since_1970 * 86_400, UTC).date().isoformat()


def days_before(day: str, days: int) -> str:
    return (datetime.fromisoformat(day).date() - timedelta(days=days)).isoformat()


def seconds_left() -> int:
    """Until the day ends, in UTC."""
    now = datetime.now(UTC)
    return 86_400 - (now.hour * 3600 + now.minute * 60 + now.second)
