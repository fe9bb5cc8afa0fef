"""The evidence that reaches the model: conversations are imported into a running proxy, questions are chats, and what
counts is the block in the request that the upstream received."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from loadtests.quality.baselines import text_of
from loadtests.quality.datasets.conversation import Conversation, Question
from loadtests.quality.measure import BUDGETS, Answered, Progress
from loadtests.quality.person import Person
from loadtests.quality.served.reader import chat, imported, served
from rememberd.memory.recall.block import tokens

WAY = "through the proxy"
NAME = "recorder"
_BLOCK = re.compile(r"<memory>.*?</memory>", re.DOTALL)
# What a line of the block has besides the words of its turn.
_FRAME = re.compile(r"^- |^User: | Assistant: .*|\[pasted: |\]|…")


class Recorder:
    """A model that answers "Noted." and keeps the last request that it received."""

    def __init__(self) -> None:
        self.received: dict[str, Any] = {}

    async def answer(self, request: Request) -> JSONResponse:
        self.received = orjson.loads(await request.body())
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Noted."}}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        made = {"id": "chatcmpl-recorder", "object": "chat.completion", "created": 0, "model": NAME}
        return JSONResponse(made | {"choices": [choice], "usage": usage})

    def block(self) -> str:
        """The block of the last request, "" without one."""
        found = _BLOCK.search(self.received["messages"][-1]["content"])
        return found[0] if found else ""


@contextmanager
def recorder() -> Iterator[tuple[Recorder, str]]:
    """And its API base, on a free loopback port."""
    model = Recorder()
    app = Starlette(routes=[Route("/v1/chat/completions", model.answer, methods=["POST"])])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        running = threading.Thread(target=server.run, args=([listening],))
        running.start()
        try:
            yield model, f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            running.join()


def through_the_proxy(
    folder: Path, conversations: Sequence[Conversation], progress: Progress, budgets: Sequence[int] = BUDGETS
) -> list[Answered]:
    """Every question that has gold turns, at each budget, which is a setting of the proxy's: so one proxy a budget.

    `ms` is the whole chat, with the recorder's answer. The days of "yesterday" in a question count from today, not
    from the end of the conversation."""
    answers = []
    with recorder() as (model, base):
        for budget in budgets:
            with served(folder / f"served-{budget}", base, NAME, budget_tokens=budget) as url:
                for spoken in conversations:
                    with Person(url) as person:
                        imported(person, spoken)
                        for question in spoken.questions:
                            if question.gold:
                                answers.append(_asked(person, model, spoken, question, budget))
                                progress(1)
    return answers


def _asked(person: Person, model: Recorder, spoken: Conversation, question: Question, budget: int) -> Answered:
    began = time.perf_counter()
    chat(person.http, NAME, [{"role": "user", "content": question.text}], memory="read")
    ms = (time.perf_counter() - began) * 1000
    block = model.block()
    lines = [Counter(_words(each)) for each in block.splitlines()]
    gold = [Counter(_words(text_of(turn))) for turn in spoken.turns if turn.id in question.gold]
    found = sum(any(_is_of(line, words) for line in lines) for words in gold)
    return Answered(WAY, budget, question.category, found / len(gold), tokens(block) if block else 0, ms)


def _is_of(line: Counter[str], turn: Counter[str]) -> bool:
    """Does the line say what the turn said? It may be cut. One or two words ("Yes.") would be of any turn."""
    return not line - turn and (line.total() > 2 or line.total() * 2 >= turn.total())


def _words(line: str) -> list[str]:
    return re.findall(r"\w+", _FRAME.sub(" ", line).casefold())
