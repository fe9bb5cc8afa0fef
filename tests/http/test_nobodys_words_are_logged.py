"""Nobody's words reach the log, whatever a provider sends back through the translate lane."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from typing import Any

import pytest

from rememberd.errors import RequestError
from rememberd.telemetry.logs import Json, Text
from tests.support.fake_model import Behaviour, FakeModel, anthropic_stream
from tests.support.proxy_server import Proxy, eventually

WORDS = "Kongsvinger"  # what the person says, and what each provider's fault quotes

ERROR = json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": f"{WORDS} is too much"}})
CHUNK = json.dumps({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": WORDS}}]})
ANTHROPIC = anthropic_stream("claude-x", f"{WORDS} is far")[:2]
OPENAI = [f"data: {CHUNK}\n\n".encode()]
ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": f"I live in {WORDS}."}]},
    "/v1/messages": {"max_tokens": 9, "messages": [{"role": "user", "content": f"I live in {WORDS}."}]},
    "/v1/responses": {"input": f"I live in {WORDS}."},
}
# A path that each model's provider does not have, so that litellm translates; and how its streams begin.
TRANSLATED = [
    ("/v1/chat/completions", "claude", ANTHROPIC),
    ("/v1/responses", "claude", ANTHROPIC),
    ("/v1/messages", "model-a", OPENAI),
]


def event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()


def faults(begun: list[bytes]) -> list[tuple[bool, Behaviour]]:
    """Refusals with and without JSON, broken JSON, JSON of another shape, streams that err or break."""
    bodies = [
        ERROR.encode(),
        f"<h1>{WORDS}</h1>".encode(),
        f'{{"content": "{WORDS}'.encode(),
        json.dumps({"content": [{"type": WORDS, WORDS: WORDS}], "usage": WORDS}).encode(),
        json.dumps({"choices": [{"message": WORDS}]}).encode(),
        json.dumps([WORDS]).encode(),
    ]
    streams = [
        [],
        [event("error", ERROR)],
        [f"data: {ERROR}\n\n".encode()],
        [event("content_block_delta", f'{{"type": "content_block_delta", "delta": "{WORDS}"')],
        [event("content_block_delta", json.dumps({"type": "content_block_delta", "delta": WORDS}))],
        [f'data: {{"choices": [{{"delta": {{"content": 5}}, "index": "{WORDS}"}}]}}\n\n'.encode()],
        [f"{WORDS}\n\n".encode()],
    ]
    plain = [Behaviour(status=status, body=body) for status in (200, 400, 429, 500) for body in bodies]
    return [
        *((streamed, behaviour) for behaviour in plain for streamed in (False, True)),
        *((True, Behaviour(stream=[*head, *stream])) for stream in streams for head in (begun, [])),
        *((True, Behaviour(stream=begun, drop_after=number)) for number in (0, 1, 2)),
        (False, Behaviour(drop_after=-1)),
    ]


@pytest.mark.parametrize(("path", "model", "begun"), TRANSLATED)
def test_a_fault_of_a_translated_provider_quotes_nobody(
    served: Proxy, upstream: FakeModel, user: str, path: str, model: str, begun: list[bytes]
) -> None:
    """After all of them, what the processes wrote is read: stderr and stdout."""
    with served.client(user, **{"X-Memory": "off"}) as client:
        for streamed, behaviour in faults(begun):
            upstream.script(behaviour)
            client.post(path, json={"model": model, "stream": streamed, **ASKED[path]})
        client.post(path, json={"model": model, "messages": [WORDS], "input": [WORDS]})
    eventually(lambda: any("is tried last for" in line or "broke off" in line for line in served.log))
    assert [line for line in [*served.log, *_stdout(served)] if WORDS in line] == []


@pytest.mark.parametrize("formatter", [Text(), Json()], ids=["text", "json"])
def test_a_traceback_shows_where_and_not_what(formatter: logging.Formatter) -> None:
    """The text of an exception of a library may quote what it was given; ours say what to do."""
    try:
        try:
            int(WORDS)
        except ValueError as error:
            raise RequestError(400, "code", "send a number") from error
    except RequestError:
        record = logging.LogRecord("rememberd", logging.ERROR, __file__, 1, "it failed", (), sys.exc_info())
    written = formatter.format(record)
    assert WORDS not in written
    assert "ValueError" in written
    assert "send a number" in written
    assert "test_nobodys_words_are_logged.py" in written


def test_what_nobody_caught_becomes_a_line_that_quotes_nobody() -> None:
    """A warning, an error in a thread, in a task, in a callback and at the end: Python writes them all to stderr."""
    done = subprocess.run([sys.executable, "-c", _FAILS_IN_EVERY_WAY], capture_output=True, text=True, check=False)
    written = done.stdout + done.stderr
    assert WORDS not in written
    for shown in ("UserWarning at", "ValueError", "KeyError", "TypeError", "LookupError", "Task exception was never"):
        assert shown in written


_FAILS_IN_EVERY_WAY = f"""
import asyncio, gc, logging, threading, warnings
from rememberd.telemetry import logs

async def fails():
    raise KeyError({WORDS!r})

def throws(words):
    raise TypeError(words)

async def main():
    asyncio.get_running_loop().call_soon(throws, {WORDS!r})
    task = asyncio.create_task(fails())
    await asyncio.sleep(0.01)
    del task
    gc.collect()

logging.basicConfig()
logs.configure("text")
warnings.warn({WORDS!r})
thread = threading.Thread(target=lambda: int({WORDS!r}))
thread.start()
thread.join()
asyncio.run(main())
raise LookupError({WORDS!r})
"""


def _stdout(proxy: Proxy) -> list[str]:
    """What was written there since the start, without waiting for more."""
    assert proxy.process.stdout is not None
    descriptor = proxy.process.stdout.fileno()
    os.set_blocking(descriptor, False)
    try:
        return os.read(descriptor, 2**20).decode().splitlines()
    except BlockingIOError:
        return []
    finally:
        os.set_blocking(descriptor, True)
