"""Turns as bytes, the same for every queue; memories from the JSON that stores keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from rememberd.types import Evidence, Fact, Memory, Source, Space, Turn


def turn_to_json(turn: Turn) -> bytes:
    """Raises `TypeError` for text that is no valid Unicode (a lone surrogate)."""
    return orjson.dumps(turn, default=list)  # a Space, being a tuple, comes out as a list


def turn_from_json(data: bytes) -> Turn:
    fields = orjson.loads(data)
    fields["space"] = Space(*fields["space"])
    fields["source"] = Source(**fields["source"])
    fields["recalled"], fields["earlier"] = tuple(fields["recalled"]), tuple(fields.get("earlier", ()))
    fields["forgotten"] = tuple(fields.get("forgotten", ()))
    fields["found"] = tuple(Fact(**fact) for fact in fields.get("found", ()))
    return Turn(**fields)


def memory_of(stored: Mapping[str, Any]) -> Memory:
    """The memory in any JSON of a `Memory`."""
    evidence = stored["evidence"]
    return Memory(
        **{
            **stored,
            "evidence": evidence and Evidence(**evidence),
            "source": Source(**stored["source"]),
        }
    )
