"""The filters of lists and searches of memories, read from a query or a JSON body."""

from collections.abc import Callable, Mapping
from typing import Any

from rememberd.access.apps import app_of
from rememberd.api.serializers import switch_from, time_from
from rememberd.memory.learn.rules.groups import person_of, topic_of
from rememberd.types import NEVER, Memory

Filter = Callable[[Memory], bool]


def memory_filter(given: Mapping[str, Any]) -> Filter:
    """True for memories that match every filter in `given`. `since` and `before` limit the time when the memory was
    said. Raises `RequestError` 400 for an invalid time or switch."""
    checks = [_CHECKS[name](given[name]) for name in _CHECKS if given.get(name) not in (None, "")]
    since, before = time_from(given, "since"), time_from(given, "before")
    if since is not None:
        checks.append(lambda memory: memory.created_at >= since)
    if before is not None:
        checks.append(lambda memory: memory.created_at < before)
    return lambda memory: all(check(memory) for check in checks)


def wants_past(given: Mapping[str, Any]) -> bool:
    """True if past memories are wanted. Memories in quarantine were never valid, so they are listed as past."""
    past, quarantined = given.get("include_past"), given.get("quarantined") or None
    return switch_from(past, "include_past") or switch_from(quarantined, "quarantined")


def _switched(name: str, wanted: Any, has: Filter) -> Filter:
    on = switch_from(wanted, name)
    return lambda memory: has(memory) == on


_CHECKS: dict[str, Callable[[Any], Filter]] = {
    "kind": lambda kind: lambda memory: memory.kind == kind,
    "topic": lambda topic: lambda memory: topic_of(memory) == topic,
    "person": lambda person: lambda memory: person_of(memory) == person,
    "app": lambda app: lambda memory: app_of(memory.source.client) == app_of(app),
    "model": lambda model: lambda memory: memory.source.model == model,
    "pinned": lambda wanted: _switched("pinned", wanted, lambda memory: memory.pinned),
    "private": lambda wanted: _switched("private", wanted, lambda memory: memory.private),
    "quarantined": lambda wanted: _switched("quarantined", wanted, lambda memory: memory.valid_to == NEVER),
}

FILTERS = frozenset((*_CHECKS, "since", "before")) - {"kind"}  # a store lists by kind itself
