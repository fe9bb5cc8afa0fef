"""One request of the attack, and what may come of it."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson

from loadtests.attack.leaks import OPEN
from loadtests.attack.people import AWAY, Person
from loadtests.attack.wire import Header, request

READ: Header = ("X-Memory", "read")
QUESTION = "Where does my passport lie?"
QUESTIONS = (QUESTION, "What is my favourite song called?", "What do you know about me?")


@dataclass(frozen=True, slots=True)
class Attempt:
    """`owner` is whose markers may come back (None: nobody's), `kinds` which of them. Any status of `expected` will
    do, 0 being a closed connection. `honest`: the owner's marker must come back, or the attack proves nothing.
    `holds` must stand in the answer, `withheld` must not."""

    data: bytes
    owner: int | None
    kinds: str = OPEN
    expected: Sequence[int] = (200,)
    honest: bool = False
    holds: bytes = b""
    withheld: bytes | None = None


@dataclass(frozen=True, slots=True)
class Game:
    """The attackers, their victims, and the random choices of the attack."""

    me: Person
    victim: Person
    chance: random.Random
    extra: Sequence[Person]  # those who are erased and written again all the time: nobody's markers
    names: Collection[bytes] = ()  # everybody's


def ask(method: str, path: str, headers: Sequence[Header], body: Any = None) -> bytes:
    return request(method, path, headers, b"" if body is None else orjson.dumps(body))


def chat(
    headers: Sequence[Header], text: str, model: str = AWAY, fields: Mapping[str, Any] = MappingProxyType({})
) -> bytes:
    """The body of a chat that is not streamed, with these additional `fields`."""
    messages = [{"role": "user", "content": text}]
    return ask("POST", "/v1/chat/completions", headers, {"model": model, "messages": messages, **fields})


def any_read(game: Game, headers: Sequence[Header]) -> bytes:
    """One of the requests that read memories."""
    way = game.chance.randrange(6)
    if way == 0:
        return chat([*headers, READ], game.chance.choice(QUESTIONS))
    if way == 1:
        return ask("POST", "/v1/memories/search", headers, {"query": QUESTION})
    paths = ("/v1/memories?limit=500", "/v1/memories/export", f"/v1/memories/{game.victim.ids[0]}", "/v1/receipts")
    return ask("GET", paths[way - 2], headers)
