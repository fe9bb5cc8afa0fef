"""`rememberd demo`: one person, two sessions, two models, one memory. Needs no key and no network."""

import asyncio
import json
import os
import re
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import click
import orjson
import uvicorn
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from rememberd.cli import command as a_command
from rememberd.cli.demo_memories import remember_examples
from rememberd.cli.terminal.client import Client, ProxyError
from rememberd.cli.terminal.own_server import serving
from rememberd.errors import ConfigError
from rememberd.upstream.catalog import defaults

EXAMPLES = """\
  rememberd demo
  rememberd demo --page                   # the memory page, to try it in a browser
  OPENAI_API_KEY=… rememberd demo         # with two of its models
"""

TOLD = "Hi, I'm Ada. I live in Oslo, I work at Globex and I'm allergic to peanuts."
ASKED = "Which snacks should I avoid, and in which city would I buy them?"
STAND_INS = ("stand-in-a", "stand-in-b")
ABOUT_THE_PAGE = (
    "It shows the memories of somebody called Ada. Tell it more in the chat; Ctrl-C stops it and deletes everything."
)
_REAL = {
    "OPENAI_API_KEY": ("gpt-4o-mini", "gpt-4.1-mini"),
    "ANTHROPIC_API_KEY": ("claude-haiku-4-5", "claude-sonnet-4-5"),
    "GEMINI_API_KEY": ("gemini-2.5-flash", "gemini-2.5-pro"),
}
_WAIT_SECONDS = 90
_WORD_SECONDS = 0.02  # slow enough to be seen streaming


@a_command("demo", EXAMPLES)
@click.option("--page", "with_page", is_flag=True, help="keep running, to try the memory page in a browser")
def command(with_page: bool) -> int:
    """Has no `--config`: the demo uses its own folder and can run at the same time as a proxy."""
    return asyncio.run((page if with_page else demo)(os.environ))


async def demo(environ: Mapping[str, str]) -> int:
    """Returns the exit code. Uses real models if the environment has a provider's key and the provider answers."""
    models = real_models(environ)
    if models:
        try:
            return await _play(models, None)
        except ProxyError as error:
            print(f"\n{models} did not answer ({error}); the built-in stand-ins are used instead.\n")
    async with stand_in() as server:
        return await _play(STAND_INS, server)


async def page(environ: Mapping[str, str]) -> int:
    """Serves the memory page with the same models until it is interrupted. Then everything is deleted."""
    models = real_models(environ)
    async with stand_in() as server:
        with _proxy(models or STAND_INS, None if models else server) as url:
            await asyncio.to_thread(remember_examples, Client(url, {}))
            _say(f"The memory page: {url}/\n{ABOUT_THE_PAGE}")
            await asyncio.Event().wait()
    return 0


def real_models(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """One model of each of two providers if there are two keys, otherwise two models of one provider."""
    found = [names for variable, names in _REAL.items() if environ.get(variable)]
    if not found:
        return None
    return (found[0][0], found[1][0]) if len(found) > 1 else found[0]


def stand_in_answer(messages: Sequence[Mapping[str, Any]]) -> str:
    """The stand-in's answer: the facts in its prompt, and nothing else."""
    prompt = str(messages[-1].get("content", ""))
    memory, _, question = prompt.rpartition("</memory>")
    given = [line.strip(" -*\t") for line in memory.splitlines()[2:] if line.strip()]
    facts = [line for line in given if re.search(r"\bI\b|\bmy\b|I'm", line) and "?" not in line]
    if facts:
        return "My prompt says: " + " ".join(dict.fromkeys(facts))
    if "?" in question or "?" in prompt:
        return "I cannot know that: nothing in my prompt says anything about you."
    return "Nice to meet you!"


@dataclass
class StandIn:
    """A model server that answers from its prompt and records the requests."""

    url: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        self.received.append(body)
        head = {"id": "demo", "created": 0, "model": body["model"]}
        answer = stand_in_answer(body["messages"])
        if body.get("stream"):
            return StreamingResponse(_events(head, answer), media_type="text/event-stream")
        message = {"role": "assistant", "content": answer}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return JSONResponse({**head, "object": "chat.completion", "choices": [choice]})


async def _events(head: Mapping[str, Any], answer: str) -> AsyncIterator[bytes]:
    for word in re.findall(r"\S+\s*", answer):
        choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
        yield f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n".encode()
        await asyncio.sleep(_WORD_SECONDS)
    yield b"data: [DONE]\n\n"


@asynccontextmanager
async def stand_in() -> AsyncIterator[StandIn]:
    server = StandIn()
    app = Starlette(routes=[Route("/v1/chat/completions", server.chat, methods=["POST"])])
    config = uvicorn.Config(app, lifespan="off", access_log=False, log_config=None, log_level="warning")
    running = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        task = asyncio.create_task(running.serve(sockets=[listener]))
        try:
            yield server
        finally:
            running.should_exit = True
            await task


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The demo handles the signals."""
        yield


@dataclass(frozen=True)
class Exchange:
    sent: str
    got: str
    answer: str
    headers: HTTPMessage


async def _play(models: tuple[str, str], server: StandIn | None) -> int:
    print(f"rememberd demo: two models, {models[0]} and {models[1]}", end="")
    print(" (built-in stand-ins: they only repeat what their prompt contains)" if server else "")
    with _proxy(models, server) as url:
        client = Client(url, {})
        _say(f"\n1. Session one, {models[0]}. The client sends:\n   {TOLD}")
        first = await _ask(client, server, models[0], TOLD)
        _say(f"   The model answers: {first.answer}")
        learned = await _learned(client, first)
        _say("   Remembered a moment later, after the answer:\n" + "\n".join(f"     - {t}" for t in learned))
        _say(f"\n2. Session two: a new conversation, another model, {models[1]}. Memory on:\n")
        _show(await _ask(client, server, models[1], ASKED))
        _say("\n3. The same question with `X-Memory: off`:\n")
        _show(await _ask(client, server, models[1], ASKED, memory="off"))
    _point()
    return 0


@contextmanager
def _proxy(models: tuple[str, str], server: StandIn | None) -> Iterator[str]:
    """A real `rememberd serve` with its own directory, on a free port."""
    listed = (
        defaults(os.environ, [])
        if server is None
        else [
            {
                "model_name": name,
                "litellm_params": {"model": f"openai/{name}", "api_base": server.url, "api_key": "not-needed"},
                "model_info": {"local": True},  # also where the environment names an HTTP proxy
            }
            for name in models
        ]
    )
    memory = {"deadline_ms": 2000}  # so that memory works on a busy machine, too
    with tempfile.TemporaryDirectory(prefix="rememberd-demo-") as folder:
        settings = {"server": {"port": 0}, "data_dir": folder, "model_list": listed, "memory": memory}
        config = Path(folder, "rememberd.yaml")
        config.write_text(json.dumps(settings))
        with serving(config, {}) as url:
            yield url


async def _ask(client: Client, server: StandIn | None, model: str, text: str, memory: str = "on") -> Exchange:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    answer, headers = await asyncio.to_thread(_chat, client, body, memory)
    got = str(server.received[-1]["messages"][-1]["content"]) if server else await _block(client, headers, text)
    return Exchange(text, got, answer["choices"][0]["message"]["content"], headers)


def _chat(client: Client, body: Mapping[str, Any], memory: str) -> tuple[Any, HTTPMessage]:
    headers = {"Content-Type": "application/json", "X-Memory": memory}
    with client.open("POST", "/v1/chat/completions", orjson.dumps(body), headers) as reply:
        return orjson.loads(reply.read()), reply.headers


async def _receipt(client: Client, headers: HTTPMessage) -> Any:
    """The receipt of an answer; None if there is none."""
    try:
        return await asyncio.to_thread(client.ask, "GET", f"/v1/receipts/{headers.get('X-Memory-Receipt', '')}")
    except ProxyError:
        return None


async def _block(client: Client, headers: HTTPMessage, text: str) -> str:
    """The text that a real model got, rebuilt from the receipt."""
    receipt = await _receipt(client, headers) or {}
    lines = [str(memory.get("text", "")) for memory in receipt.get("recalled", [])]
    return "\n".join(["<memory>", *lines, "</memory>", "", text]) if lines else text


async def _learned(client: Client, told: Exchange) -> list[str]:
    """The facts in the receipt, after the writer has processed the turn."""
    for _ in range(_WAIT_SECONDS * 10):
        receipt = await _receipt(client, told.headers)
        if receipt is not None and receipt["write"] != "pending":
            return [memory["text"] for memory in receipt["written"] if memory["kind"] == "fact"]
        await asyncio.sleep(0.1)
    raise ConfigError(f"nothing was remembered within {_WAIT_SECONDS} seconds; see `rememberd check`")


def _say(text: str) -> None:
    print(text, flush=True)


def _show(exchange: Exchange) -> None:
    """Prints the client's message, the model's input and the answer side by side."""
    console = Console(highlight=False)
    table = Table(box=box.ASCII2, expand=True, show_edge=False, pad_edge=False)
    for title in ("THE CLIENT SENT", "THE MODEL GOT", "WHAT CAME BACK"):
        table.add_column(title, ratio=1, overflow="fold")
    block, end, rest = exchange.got.partition("</memory>")
    got = Text.assemble((block + end, "black on yellow"), rest) if end else Text(exchange.got)
    table.add_row(Text(exchange.sent), got, Text(exchange.answer))
    console.print(table)
    said = exchange.headers
    print(
        f"memory: {said.get('X-Memory-Status')}, {said.get('X-Memory-Count')} memories, "
        f"{said.get('X-Memory-Tokens')} tokens; the proxy added {said.get('X-Proxy-Overhead-Ms')} ms "
        f"(recall {said.get('X-Memory-Recall-Ms')} ms)"
    )


def _point() -> None:
    _say(
        """
Now with your own client: start `rememberd serve` (it finds provider keys and a running Ollama) and change one thing,
the base URL.

  curl         curl http://127.0.0.1:8787/v1/chat/completions -H 'Content-Type: application/json' \\
                 -d '{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi, I am Ada"}]}'
  OpenAI SDK   client = OpenAI(base_url="http://127.0.0.1:8787/v1", api_key="local")
  Open WebUI   Settings > Connections > OpenAI API: http://127.0.0.1:8787/v1"""
    )
