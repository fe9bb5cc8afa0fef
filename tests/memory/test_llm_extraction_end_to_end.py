"""A real proxy with a model that extracts: what it finds is recalled, whatever happens to it or to the writer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from rememberd.cli.main import CONFIG_ERROR
from rememberd.memory.learn.rules.extract import extract
from rememberd.memory.learn.rules.judge import judging
from rememberd.ports.retry_policy import MAX_ATTEMPTS
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.extraction_queue import SqliteExtractionQueue
from tests.memory.test_memory_history import add, current, edit, history
from tests.ops.test_demo_and_check import config, deployment, run
from tests.support.command_line import check
from tests.support.decision_rig import asks_to_decide, decisions
from tests.support.extraction_rig import FOUND, SAID, said
from tests.support.fake_model import Behaviour, FakeModel, newest_user_text
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered, running
from tests.support.queue_contract import turn

EXTRACT = {"extract": {"model": "extractor", "idle_seconds": 1}}
ANSWERED = 'rememberd_extractions_total{outcome="answered"}'


def answer(body: Any) -> str:
    """As the extractor the one fact above, wherever its evidence stands, which replaces what it is next to; as any
    other model an echo."""
    if body["model"] != "extractor":
        return newest_user_text(body)
    if asks_to_decide(body):
        return decisions("replaces")
    return said(*([FOUND] if FOUND["evidence"] in body["messages"][-1]["content"] else []))


@pytest.fixture(scope="module")
def model() -> Iterator[FakeModel]:
    model = FakeModel(default=Behaviour(answer))
    asyncio.run(model.__aenter__())
    yield model
    asyncio.run(model.__aexit__())


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, model: FakeModel) -> Iterator[Proxy]:
    models = {"model-a": model.url, "extractor": model.url}
    with running_here(tmp_path_factory.mktemp("reader"), models, memory=EXTRACT) as proxy:
        yield proxy


def calls(model: FakeModel) -> list[Any]:
    return [chat.json for chat in model.chats if chat.json["model"] == "extractor"]


def metric(proxy: Proxy, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", httpx.get(f"{proxy.url}/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def test_no_rule_makes_a_fact_of_what_the_model_reads() -> None:
    """Else it would stand beside the model's wherever tests count facts."""
    assert not await judging(lambda: extract(SAID, 0))


def test_what_the_model_finds_is_recalled(reader: Proxy, model: FakeModel, user: str) -> None:
    """In the next session; the receipt of the turn names it beside the episode, the metrics what it cost. The chat's
    model never answered for the extractor, and no memory went to it."""
    with reader.client(user, **{"X-Conversation-Id": "one"}) as client:
        before = metric(reader, "rememberd_extraction_tokens_total")
        told = ask(client, SAID)
        assert told.headers["X-Memory-Write"] == "on"
        kept = remembered(client, "bassoon in my orchestra", "fact")
        assert kept["evidence"]["text"] == FOUND["evidence"]
        assert kept["source"]["conversation"] == "one"
        receipt = f"/v1/receipts/{told.headers['X-Memory-Receipt']}"
        eventually(lambda: kept["id"] in str(client.get(receipt).json()["written"]))
        eventually(lambda: metric(reader, "rememberd_extraction_tokens_total") >= before + 10)
        ask(client, "Which instrument do I play in the orchestra?", temperature=0)
        chats = [chat.json for chat in model.chats if chat.json["model"] == "model-a"]
        assert "bassoon" in newest_user_text(chats[-1]).partition("</memory>")[0]
    assert not [call for call in calls(model) if "<memory>" in str(call)]


def test_what_the_model_calls_replaced_is_past_and_can_be_brought_back(reader: Proxy, user: str) -> None:
    """In the history, with the time at which it ended; undone, both hold: the model was wrong about them."""
    clarinet = "I play the clarinet in my orchestra."
    with reader.client(user) as client:
        old = add(client, clarinet)
        ask(client, SAID)
        eventually(lambda: current(client) == {FOUND["text"]})
        assert history(client)[clarinet]["valid_to"] == history(client)[FOUND["text"]]["valid_from"]
        eventually(lambda: metric(reader, 'rememberd_decisions_total{outcome="replaces"}') >= 1)
        edit(client, old, valid_to=None)
        assert current(client) == {clarinet, FOUND["text"]}


@pytest.mark.slow
def test_a_writer_that_is_killed_while_the_model_thinks_asks_again(tmp_path: Path, model: FakeModel) -> None:
    """The turn waits on disk; after the restart its fact is there, once."""
    before, models = len(calls(model)), {"model-a": model.url, "extractor": model.url}
    model.default = Behaviour(answer, delay_first=0.5)
    try:
        with running(tmp_path, models, memory=EXTRACT) as proxy, proxy.client("ada") as client:
            ask(client, SAID)
            eventually(lambda: len(calls(model)) > before)
            proxy.kill("writer")
            remembered(client, "bassoon in my orchestra", "fact")
            assert len(memories(client)) == 2
    finally:
        model.default = Behaviour(answer)


def test_a_model_that_is_down_costs_nobody_anything(reader: Proxy, model: FakeModel, user: str) -> None:
    """Chats flow, the episode and the facts by rules are there, readiness is not touched; the rest follows."""

    def failing(body: Any) -> str:
        return "not JSON" if body["model"] == "extractor" else newest_user_text(body)

    model.default = Behaviour(failing)
    try:
        with reader.client(user) as client:
            assert ask(client, f"I live in Narvik. {SAID}").status_code == 200
            remembered(client, "I live in Narvik.", "fact")
            remembered(client, "User: I live in Narvik.", "episode")
            assert client.get("/health/ready").status_code == 200
            eventually(lambda: metric(reader, 'rememberd_extractions_total{outcome="retried"}') >= 1)
            model.default = Behaviour(answer)
            remembered(client, "bassoon in my orchestra", "fact")
    finally:
        model.default = Behaviour(answer)


def test_an_erased_user_stays_erased(reader: Proxy, model: FakeModel, user: str) -> None:
    """Also when the model was about to answer."""
    before, answered = len(calls(model)), metric(reader, ANSWERED)
    model.default = Behaviour(answer, delay_first=1.0)
    try:
        with reader.client(user) as client:
            ask(client, SAID)
            eventually(lambda: len(calls(model)) > before)
            client.delete("/v1/memories").raise_for_status()
            eventually(lambda: metric(reader, ANSWERED) > answered)
            ask(client, "I live in Narvik.")
            remembered(client, "I live in Narvik.", "fact")
            assert not [memory for memory in memories(client) if "bassoon" in memory["text"]]
    finally:
        model.default = Behaviour(answer)


def test_check_shows_the_spend_and_the_dead_letters(tmp_path: Path, model: FakeModel) -> None:
    """One line, and what is wrong in it."""
    path = config(tmp_path, model_list=[deployment("extractor", model.url)], memory=EXTRACT)
    code, said = check(path)
    assert code == 0
    assert "extractor: no turns yet" in said
    asyncio.run(_offer(tmp_path / "data" / "queue.db"))
    _, said = check(path)
    assert "extractor: 0 tokens today, at most 50,000 for each user; 1 turns waiting" in said
    asyncio.run(_bury(tmp_path / "data" / "queue.db"))
    code, said = check(path)
    assert code == 1
    (line,) = [line for line in said.splitlines() if "extraction" in line]
    assert line.startswith("WRONG")
    assert "1 turns are dead letters" in line
    assert "the answer is not JSON" in line


async def _offer(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    database = Database(path)
    await SqliteExtractionQueue(database, idle_ms=0, clock=lambda: 0).add(turn("t1", text="I live in Oslo."))
    await database.close()


async def _bury(path: Path) -> None:
    """The turn that `_offer` has left."""
    database = Database(path)
    now = 0
    extraction_queue = SqliteExtractionQueue(database, idle_ms=0, clock=lambda: now)
    for _ in range(MAX_ATTEMPTS):
        now += 3_600_000
        await extraction_queue.fail([each.id for each in await extraction_queue.claim()], "the answer is not JSON")
    await database.close()


@pytest.mark.slow
def test_same_extracts_with_the_model_that_answered(tmp_path: Path) -> None:
    """So that no other provider sees the words; and what it finds is a fact."""
    model_a, model_b = FakeModel(default=Behaviour(_same_answer)), FakeModel(default=Behaviour(_same_answer))
    extract = {"extract": {"model": "same", "idle_seconds": 1}}
    with serving(model_a), serving(model_b):
        models = {"model-a": model_a.url, "model-b": model_b.url}
        with running(tmp_path, models, memory=extract) as proxy, proxy.client("same") as client:
            ask(client, SAID, model="model-b")
            remembered(client, FOUND["text"], "fact")
        assert [_extracts(chat.json) for chat in model_b.chats] == [False, True]
        assert not model_a.chats


@contextmanager
def serving(model: FakeModel) -> Iterator[None]:
    asyncio.run(model.__aenter__())
    try:
        yield
    finally:
        asyncio.run(model.__aexit__())


def _same_answer(body: Any) -> str:
    return said(FOUND) if _extracts(body) else newest_user_text(body)


def _extracts(body: Any) -> bool:
    return "response_format" in body


@pytest.mark.slow
def test_a_model_that_is_not_listed_stops_the_start(tmp_path: Path, model: FakeModel) -> None:
    """With the near names; not a silent fallback to rules."""
    path = config(tmp_path, model_list=[deployment("model-a", model.url)], memory={"extract": {"model": "model-b"}})
    done = run("writer", "--config", path)
    assert done.returncode == CONFIG_ERROR
    assert "memory.extract.model: There is no model 'model-b' here. Did you mean model-a?" in done.stderr
    done = run("check", "--config", path)
    assert done.returncode == 1
    assert "memory.extract.model: There is no model 'model-b' here" in done.stdout
