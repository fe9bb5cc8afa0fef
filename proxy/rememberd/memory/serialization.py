"""Turns as bytes, the same for every queue; memories from the JSON that stores keep."""

from collections.abc import Mapping
from typing import Any

import orjson

from rememberd.types import Evidence, Fact, Memory, Source, Space, Turn


def turn_to_json(turn: Turn) -> bytes:
    """Raises `TypeError` for text that is not valid Unicode (a lone surrogate)."""
    data = orjson.dumps(turn, default=list)  # a Space, being a tuple, comes out as a list
    return _without(_without(data, b',"doubtful":false}'), b',"contributor":null,"groups":[]}')


def turn_from_json(data: bytes) -> Turn:
    fields = orjson.loads(data)
    fields["space"] = Space(*fields["space"])
    fields["source"] = Source(**fields["source"])
    fields["recalled"], fields["earlier"] = tuple(fields["recalled"]), tuple(fields.get("earlier", ()))
    fields["forgotten"], fields["groups"] = tuple(fields.get("forgotten", ())), tuple(fields.get("groups", ()))
    fields["found"] = tuple(Fact(**fact) for fact in fields.get("found", ()))
    return Turn(**fields)


def memory_to_json(memory: Memory) -> bytes:
    return _without(orjson.dumps(memory), b',"group":null,"contributor":null,"told":[]}')


def memory_of(stored: Mapping[str, Any]) -> Memory:
    """The `Memory` from its JSON."""
    evidence = stored["evidence"]
    return Memory(
        **{
            **stored,
            "evidence": evidence and Evidence(**evidence),
            "source": Source(**stored["source"]),
            "told": tuple(stored.get("told", ())),
        }
    )


def _without(data: bytes, end: bytes) -> bytes:
    """Without these fields, so that version 0.1, which does not know them, can read it."""
    return data.removesuffix(end) + b"}" if data.endswith(end) else data
