"""JSON as clients write it: any spacing, any escapes, keys that come twice, numbers that no 64 bits hold."""

from __future__ import annotations

import json
import random
from typing import Any, NamedTuple

import orjson

from rememberd.dialects.formats.raw_json import splice
from rememberd.dialects.registry import Dialect
from rememberd.dialects.user_message import UserMessage


class Pairs(tuple[tuple[str, Any], ...]):
    """An object whose keys may come twice."""


class Number(NamedTuple):
    """A number as it is written."""

    text: str


def injected(body: dict[str, Any], dialect: Dialect, asked: UserMessage, block: str, placement: str) -> Any:
    """What the provider would read of `body` with the block in it."""
    raw = json.dumps(body).encode()
    return orjson.loads(splice(raw, dialect.inject(raw, body, asked, block, placement)))


def pairs(raw: bytes) -> Any:
    """`raw` with nothing lost: objects as `Pairs`, numbers as they are written."""
    return json.loads(raw, object_pairs_hook=Pairs, parse_int=Number, parse_float=Number)


PLAIN = "MODEL-"  # a string that begins like this is written without escapes


def written(value: Any, chance: random.Random, escapes: float) -> str:
    """`value` as JSON text; each letter of a string is an escape with the probability `escapes`."""

    def space() -> str:
        return chance.choice(("", "", "", " ", "\n  ", "\t", "\r\n"))

    def string(text: str) -> str:
        return f'"{text if text.startswith(PLAIN) else "".join(letter(each) for each in text)}"'

    def letter(each: str) -> str:
        if chance.random() < escapes and ord(each) < 0x10000:
            return chance.choice((f"\\u{ord(each):04x}", f"\\u{ord(each):04X}"))
        return json.dumps(each, ensure_ascii=chance.random() < escapes)[1:-1]

    def write(value: Any) -> str:
        match value:
            case Pairs():
                inside = ",".join(f"{space()}{string(k)}{space()}:{write(v)}" for k, v in value)
                return f"{space()}{{{inside}{space()}}}{space()}"
            case Number(text):
                return f"{space()}{text}{space()}"
            case list():
                return f"{space()}[{','.join(write(each) for each in value)}{space()}]{space()}"
            case str():
                return f"{space()}{string(value)}{space()}"
            case _:
                return f"{space()}{json.dumps(value)}{space()}"

    return write(value)
