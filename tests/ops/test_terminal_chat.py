"""A chat in a real terminal: answers stream, and under each stands what was recalled for it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_server import PATIENCE, Proxy

STREAMED = 'data: {{"choices":[{{"index":0,"delta":{{"content":{}}}}}]}}\n\n'
DONE = b"data: [DONE]\n\n"


def command(proxy: Proxy, user: str, *more: str) -> list[str]:
    who = ["--url", proxy.url, "--key", "sk-webui", "--user", user]
    return [sys.executable, "-m", "rememberd", "chat", *who, *more]


class Terminal:
    """What a person types and sees."""

    def __init__(self, process: subprocess.Popen[bytes], end: int) -> None:
        self.process, self.end, self.seen = process, end, ""

    def type(self, line: str) -> None:
        os.write(self.end, line.encode() + b"\r")

    def see(self, text: str) -> str:
        """Everything on the screen from the last sight up to and including `text`."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} did not come after: {self.seen}"
            if select.select([self.end], [], [], 0.2)[0]:
                self.seen += os.read(self.end, 65536).decode("utf-8", "replace")
        before, found, self.seen = self.seen.partition(text)
        return before + found


@contextmanager
def terminal(arguments: Sequence[str]) -> Iterator[Terminal]:
    end, inner = pty.openpty()
    environ = os.environ | {"TERM": "dumb", "COLUMNS": "80"}
    process = subprocess.Popen(
        arguments, stdin=inner, stdout=inner, stderr=inner, env=environ, start_new_session=True, close_fds=True
    )
    os.close(inner)
    try:
        yield Terminal(process, end)
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(end)


@pytest.fixture
def seat(proxy: Proxy, user: str) -> Iterator[Terminal]:
    with terminal(command(proxy, user, "--model", "model-a")) as seat:
        seat.see("you> ")
        yield seat


def streamed(*parts: str) -> Behaviour:
    return Behaviour(stream=[*(STREAMED.format(json.dumps(part)).encode() for part in parts), DONE], delay_chunk=0.05)


def test_an_answer_says_what_was_recalled_for_it(
    seat: Terminal, proxy: Proxy, user: str, upstream: FakeModel
) -> None:
    """Its words as they come, then the memories that stood in the prompt."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I live in Oslo."}).raise_for_status()
    upstream.script(streamed("Take ", "the \x1b[31mferry", "."))
    seat.type("What should I see in the city where I live?")
    shown = seat.see("you> ")
    assert "Take the [31mferry." in shown
    assert "\x1b[31m" not in shown
    assert re.search(r"memory: hit, 1 recalled, \d+ tokens\s+- I live in Oslo\.", shown)
    assert "<memory>" in upstream.chats[-1].json["messages"][-1]["content"]


def test_models_and_memory_are_switched_in_the_middle(seat: Terminal, upstream: FakeModel) -> None:
    """The conversation goes on with what was said before; a new one forgets it."""
    seat.type("Hello there")
    seat.see("you> ")
    seat.type("/model model-b")
    seat.see("model: model-b")
    seat.type("/memory off")
    seat.see("memory: off")
    seat.type("And now?")
    assert "memory: off, 0 recalled" in seat.see("recalled")
    sent = upstream.chats[-1].json
    assert (sent["model"], [each["role"] for each in sent["messages"]]) == ("model-b", ["user", "assistant", "user"])
    seat.type("/new")
    seat.type("Once more")
    seat.see("recalled")
    assert len(upstream.chats[-1].json["messages"]) == 1
    seat.type("/model")
    assert "claude" in seat.see("open")
    seat.type("/memory maybe")
    seat.see("it can be on, read, write, off")
    seat.type("/what")
    seat.see("begin a new conversation")
    seat.type("/quit")
    assert seat.process.wait(PATIENCE) == 0


def test_an_error_does_not_end_the_chat(seat: Terminal) -> None:
    """It says what to do, and the next message is a new chance."""
    seat.type("/model model-z")
    seat.see("you> ")
    seat.type("Hello")
    assert "model-z" in seat.see("you> ")
    seat.type("/model model-a")
    seat.type("Hello again")
    seat.see("recalled")


def test_ctrl_c_stops_an_answer_and_not_the_chat(seat: Terminal, upstream: FakeModel) -> None:
    """The model is told; what had come stays in the conversation."""
    upstream.script(
        Behaviour(stream=[STREAMED.format('"Once upon"').encode(), *[b": wait\n\n"] * 500], delay_chunk=0.1)
    )
    seat.type("Tell me a long story")
    seat.see("Once upon")
    seat.process.send_signal(signal.SIGINT)
    seat.see("(stopped)")
    seat.see("you> ")
    seat.type("Go on")
    seat.see("recalled")
    assert upstream.chats[-1].json["messages"][1] == {"role": "assistant", "content": "Once upon"}


def test_a_script_gets_one_json_object_for_each_line(proxy: Proxy, user: str, upstream: FakeModel) -> None:
    """And the first model of the list, if it names none."""
    upstream.script(streamed("Hi", "!"))
    done = subprocess.run(
        command(proxy, user, "--json"),
        input="Hello\n\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert (said["model"], said["user"], said["answer"]) == ("model-a", "Hello", "Hi!")
    assert said["memory"] == {"status": "miss", "tokens": 0, "recalled": []}
