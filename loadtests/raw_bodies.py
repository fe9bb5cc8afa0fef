"""What it costs to put the block and the model's name into a body of 100,000 tokens: spliced into the client's bytes,
and serialised anew, which loses spaces, escapes, large numbers and keys that come twice.

    python -m loadtests.raw_bodies

Both in turns in one run, so that the ratio holds on a busy machine. Times are microseconds of one call, the best of
`ROUNDS`; `parse` is what both need before."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from rememberd.dialects import body as json_body
from rememberd.dialects import chat
from rememberd.dialects.user_message import UserMessage

ROUNDS = 60
_CHARACTERS = 400_000  # about 100,000 tokens
_WORDS = [
    "memory",
    "proxy",
    "request",
    "answer",
    "stream",
    "block",
    "model",
    "token",
    "upstream",
    "client",
    "header",
    "body",
]
BLOCK = "<memory>\n" + "- 12 May: I moved to Oslo.\n" * 40 + "</memory>"


class Case(NamedTuple):
    name: str
    raw: bytes


class Measured(NamedTuple):
    """Microseconds; `ratio` below 1: splicing is cheaper."""

    name: str
    parse: float
    anew: float
    spliced: float

    @property
    def ratio(self) -> float:
        return self.spliced / self.anew


def cases() -> list[Case]:
    """Markdown and code, as one message that holds everything and as a conversation that ends in a short question."""
    chance = random.Random(1)
    texts = {"markdown": _markdown(chance), "code": _code(chance)}
    return [
        Case(f"{kind}, {shape}", _body(text, messages))
        for kind, text in texts.items()
        for shape, messages in (("one message", 1), ("100 messages and a question", 100))
    ]


def measure(case: Case) -> Measured:
    body = json_body.parse(case.raw)
    asked = chat.question(body)
    assert asked is not None
    ways: dict[str, Callable[[], object]] = {
        "parse": lambda: json_body.parse(case.raw),
        "anew": lambda: orjson.dumps(_injected(body, asked) | {"model": "up"}),
        "spliced": lambda: json_body.outgoing(
            case.raw, body, "up", chat.inject(case.raw, body, asked, BLOCK, "user")
        ),
    }
    assert orjson.loads(ways["anew"]()) == orjson.loads(ways["spliced"]())  # type: ignore[arg-type]
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            best[name] = min(best[name], (time.perf_counter() - began) * 1e6)
    return Measured(case.name, **best)


def _injected(body: dict[str, Any], asked: UserMessage) -> dict[str, Any]:
    messages = list(body["messages"])
    messages[asked.at] = messages[asked.at] | {"content": f"{BLOCK}\n\n{messages[asked.at]['content']}"}
    return body | {"messages": messages}


def _body(text: str, messages: int) -> bytes:
    size = len(text) // messages
    roles = ("user", "assistant")
    said = [{"role": roles[n % 2], "content": text[n * size : (n + 1) * size]} for n in range(messages)]
    if messages > 1:
        said.append({"role": "user", "content": "Where did I move in May?"})
    return orjson.dumps({"model": "asked-for", "messages": said, "stream": True})


def _markdown(chance: random.Random) -> str:
    lines = (" ".join(chance.choices(_WORDS, k=11)) + ' says "yes"' * (n % 5 == 0) for n in range(6_000))
    return "\n".join(lines)[:_CHARACTERS]


def _code(chance: random.Random) -> str:
    lines = (f'    print("{chance.choice(_WORDS)}", {{"a": "{chance.choice(_WORDS)}"}})' for _ in range(20_000))
    return "\n".join(lines)[:_CHARACTERS]


def main() -> None:
    print(f"{'a hit, 100,000 tokens':38} {'parse':>8} {'anew':>8} {'spliced':>8} {'ratio':>6}")
    for case in cases():
        found = measure(case)
        print(f"{found.name:38} {found.parse:8.0f} {found.anew:8.0f} {found.spliced:8.0f} {found.ratio:6.2f}")


if __name__ == "__main__":
    main()
