"""`rememberd chat`: a chat in the terminal that shows below each answer which memories were recalled for it."""

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import click
import orjson

from rememberd.cli import command as a_command
from rememberd.cli.terminal.client import Client, ProxyError, Where, connect, proxy_options
from rememberd.cli.terminal.output import print_lines
from rememberd.memory.recall.block import clean

EXAMPLES = """\
  rememberd chat                                    # the first model; /model shows the others
  rememberd chat --model gpt-4o-mini --memory read
  echo "Where do I live?" | rememberd chat --json
"""

_HELP = """\
/model [NAME]      use another model; without a name, show them
/memory [on|read|write|off]   what memory may do from now on
/new               begin a new conversation
/quit              leave (or Ctrl-D); Ctrl-C stops an answer"""
_MODES = ("on", "read", "write", "off")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # an answer must not control the terminal


class Quit(Exception):
    pass


@a_command("chat", EXAMPLES)
@proxy_options
@click.option("--model", help="the model to ask (default: the first that the proxy lists)")
@click.option("--memory", type=click.Choice(_MODES), default="on", help="what memory may do (default: on)")
@click.option("--json", "as_json", is_flag=True, help="print each exchange as a line of JSON")
def command(where: Where, model: str | None, memory: str, as_json: bool) -> int:
    chat = Chat(connect(where), model, memory, as_json=as_json)
    if sys.stdin.isatty():
        with suppress(ImportError):
            import readline  # noqa: F401 - its import gives `input` a history and keys to edit with
    if not as_json:
        print(f"{chat.model}, memory {chat.memory}. /help lists the commands.")
    with suppress(Quit, EOFError, KeyboardInterrupt):
        while True:
            chat.take(input("you> " if sys.stdin.isatty() else ""))
    return 0


class Chat:
    """Raises `ProxyError` at the start. Later errors are printed, and the chat continues."""

    def __init__(self, proxy: Client, model: str | None, memory: str, *, as_json: bool) -> None:
        self.proxy, self.memory, self.as_json = proxy, memory, as_json
        self.model = model or self._models()[0]
        self.begin()

    def begin(self, _: str = "") -> None:
        self.messages: list[dict[str, str]] = []
        self.conversation = uuid4().hex

    def take(self, line: str) -> None:
        """A message, or a command that begins with a slash. Raises `Quit`."""
        name, _, rest = line.strip().partition(" ")
        commands = {
            "/model": self._use_model,
            "/memory": self._use_memory,
            "/new": self.begin,
            "/quit": _quit,
            "/help": _help,
        }
        try:
            if name.startswith("/"):
                commands.get(name, _help)(rest.strip())
            elif name:
                self._exchange(line)
        except ProxyError as error:
            print(f"rememberd: {error}", file=sys.stderr)

    def _exchange(self, said: str) -> None:
        asked = {"role": "user", "content": said}
        body = {"model": self.model, "messages": [*self.messages, asked], "stream": True}
        headers = {
            "X-Memory": self.memory,
            "X-Conversation-Id": self.conversation,
            "Content-Type": "application/json",
        }
        answer = self.proxy.open("POST", "/v1/chat/completions", orjson.dumps(body), headers)
        parts: list[str] = []
        with answer:
            try:
                for part in _contents(answer):
                    parts.append(part)
                    self._show(part)
            except KeyboardInterrupt:
                self._show(" (stopped)")
        text = "".join(parts)
        self.messages += [asked, {"role": "assistant", "content": text}]
        self._explain(said, text, dict(answer.headers.items()))

    def _show(self, part: str) -> None:
        if not self.as_json:
            print(_CONTROL.sub("", part), end="", flush=True)

    def _explain(self, said: str, text: str, headers: dict[str, str]) -> None:
        about = {name.lower(): value for name, value in headers.items()}
        recalled = self._recalled(about.get("x-memory-receipt"))
        status, tokens = about.get("x-memory-status", "off"), about.get("x-memory-tokens", "0")
        if self.as_json:
            memory = {"status": status, "tokens": int(tokens), "recalled": recalled}
            print(orjson.dumps({"model": self.model, "user": said, "answer": text, "memory": memory}).decode())
            return
        head = f"memory: {status}, {len(recalled)} recalled, {tokens} tokens"
        print()
        print_lines([head, *(f"  - {clean(each)}" for each in recalled)], style="dim")

    def _recalled(self, receipt_id: str | None) -> list[str]:
        """The texts of the memories in the block; empty if there is no receipt yet."""
        if receipt_id is None:
            return []
        try:
            receipt = self.proxy.ask("GET", f"/v1/receipts/{receipt_id}")
        except ProxyError as error:
            if error.status == 404:
                return []
            raise
        return [memory["text"] for memory in receipt["recalled"] if "text" in memory]

    def _models(self) -> list[str]:
        names = [model["id"] for model in self.proxy.ask("GET", "/v1/models")["data"]]
        if not names:
            raise ProxyError("the proxy has no model: see `rememberd check`, or name a model with --model")
        return names

    def _use_model(self, name: str) -> None:
        """Continue the conversation with this model."""
        if name:
            self.model = name
        print(f"model: {self.model}" if name else "\n".join(self._models()))

    def _use_memory(self, mode: str) -> None:
        if mode in _MODES:
            self.memory = mode
        print(f"memory: {self.memory}" + ("" if mode in ("", *_MODES) else f"; it can be {', '.join(_MODES)}"))


def _contents(answer: Any) -> Iterator[str]:
    """The texts of a stream of chat completions, as they arrive. Raises `ProxyError` for an error in the stream."""
    for line in answer:
        data = line.removeprefix(b"data:").strip()
        if not line.startswith(b"data:") or data == b"[DONE]":
            continue
        event = orjson.loads(data)
        if "error" in event:
            raise ProxyError(f"the model's answer was cut off: {event['error'].get('message')}")
        for choice in event.get("choices", []):
            if part := choice.get("delta", {}).get("content"):
                yield part


def _quit(_: str) -> None:
    raise Quit


def _help(_: str) -> None:
    print(_HELP)
