"""`python -m loadtests units`: what a memory, a turn and a question cost. deploy/SCALING.md multiplies these."""

from __future__ import annotations

import asyncio
import http.client
import random
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import orjson

from loadtests import servers
from loadtests.exposition import drained
from loadtests.machine import cores, cpu_us, describe, rss_mb
from loadtests.preload import through_store
from loadtests.prompts import USER, memory, question
from loadtests.servers import Target, free_port
from loadtests.workers import models
from rememberd.storage.redis.client import RedisClient
from rememberd.storage.redis.queue import RedisQueue
from rememberd.storage.redis.records import RedisBlockCache, RedisReceipts
from rememberd.types import Receipt, Source, Space, Turn

MEMORIES, EACH = 40_000, 1_000  # in the store, and of each user
HITS, CHATS, TURNS = 200, 1_000, 200
KEPT = 2_000  # turns, receipts and blocks in Redis
PATIENCE = 60.0  # seconds
_ANSWER = "You keep it where you said, and you go there every week. " * 8  # some 100 tokens
_MODEL = "a"


class Unit(NamedTuple):
    what: str
    figure: float
    unit: str


def main(memories: int = MEMORIES) -> None:
    use = cores(True)
    with tempfile.TemporaryDirectory(prefix="loadtests-units-") as name, models(1, 0, use) as upstream:
        folder = Path(name)
        units: list[Unit] = []
        with servers.rememberd(folder / "proxy", upstream, [_MODEL], use) as target:
            units += _of_a_proxy(target, memories)
        if shutil.which("redis-server"):
            with _redis(folder) as url:
                units += asyncio.run(_of_redis(url))
    machine = describe()
    print(f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}\n\n| what | figure |\n|---|---|")
    for unit in units:
        print(f"| {unit.what} | {unit.figure:,.{0 if unit.figure >= 10 else 2}f} {unit.unit} |")


def _of_a_proxy(target: Target, memories: int) -> list[Unit]:
    assert target.data is not None
    idle_web, idle_writer = rss_mb(target.pids), rss_mb([target.writer])
    disk = _bytes_under(target.data / "qdrant")
    through_store(target, memories, max(1, memories // EACH))
    grown = (rss_mb([target.writer]) - idle_writer) * 1e6, _bytes_under(target.data / "qdrant") - disk
    chats = _cpu_of(target, CHATS, {"x-memory": "off"}, question)
    hits = _cpu_of(target, HITS, {"x-memory": "read"}, question)
    before = _database_bytes(target.data)
    turns = _cpu_of(target, TURNS, {"x-memory": "write"}, memory)
    writing = cpu_us([target.writer])
    drained(target, PATIENCE)
    writing = cpu_us([target.writer]) - writing + turns[1] * TURNS
    return [
        Unit("RAM of an idle web process", idle_web, "MB"),
        Unit("RAM of an idle writer with an embedded store", idle_writer, "MB"),
        Unit(f"RAM of a memory in the embedded store, the first {memories:,}", grown[0] / memories / 1e3, "KB"),
        Unit("disk of a memory in the embedded store", grown[1] / memories / 1e3, "KB"),
        Unit("CPU of a chat without memory, web", chats[0] / 1e3, "ms"),
        Unit("CPU of a chat with a new question, web", hits[0] / 1e3, "ms"),
        Unit("CPU of a chat with a new question, embedded store", hits[1] / 1e3, "ms"),
        Unit("CPU of remembering a turn, web", turns[0] / 1e3, "ms"),
        Unit("CPU of remembering a turn, writer and embedded store", writing / TURNS / 1e3, "ms"),
        Unit(
            "disk of a turn's receipt and the like, SQLite",
            (_database_bytes(target.data) - before) / TURNS / 1e3,
            "KB",
        ),
    ]


def _cpu_of(
    target: Target, chats: int, headers: Mapping[str, str], text: Callable[[random.Random], str]
) -> tuple[float, float]:
    """µs a chat, of the web process and of the writer, one chat after the other."""
    chance = random.Random(7)
    connection = http.client.HTTPConnection(target.host, target.port)
    web, writer = cpu_us(target.pids), cpu_us([target.writer])
    for number in range(chats):
        user = USER if headers["x-memory"] == "read" else f"unit-{number}"
        sent = {**target.headers, **headers, "x-memory-user": user, "content-type": "application/json"}
        body = {"model": _MODEL, "messages": [{"role": "user", "content": text(chance)}]}
        connection.request("POST", target.path, orjson.dumps(body), sent)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"a chat was answered {answer.status}")
    connection.close()
    return (cpu_us(target.pids) - web) / chats, (cpu_us([target.writer]) - writer) / chats


def _bytes_under(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def _database_bytes(data: Path) -> int:
    with sqlite3.connect(data / "queue.db") as database:
        pages, free, size = (
            int(database.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    process = subprocess.Popen([*command, "--appendonly", "yes"], stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


async def _of_redis(url: str) -> list[Unit]:
    shared, chance, units = RedisClient(url), random.Random(7), []
    queue, receipts, block_cache = RedisQueue(shared), RedisReceipts(shared), RedisBlockCache(shared)
    now = time.time_ns() // 1_000_000

    async def turn(number: int) -> None:
        kept = Turn(
            uuid4().hex, Space(f"unit-{number}"), now, memory(chance), _ANSWER, "rcpt_1", Source("c", "a", "b")
        )
        await queue.put(kept)

    async def receipt(number: int) -> None:
        recalled = tuple(uuid4().hex for _ in range(10))
        space, id = Space(f"unit-{number}"), f"rcpt_{uuid4().hex}"
        await receipts.put(Receipt(id, space, now, "hit", _MODEL, uuid4().hex, recalled, 300, 10.0, "pending"))

    async def block(number: int) -> None:
        await block_cache.put(Space(f"unit-{number}"), uuid4().hex, 1, (memory(chance) * 12).encode(), at=now)

    for what, put in (("a turn that waits", turn), ("a receipt", receipt), ("a cached block", block)):
        ram, spent = await _used(shared)
        for number in range(KEPT):
            await put(number)
        more, later = await _used(shared)
        units.append(Unit(f"RAM of {what}, Redis", (more - ram) / KEPT / 1e3, "KB"))
        units.append(Unit(f"CPU of putting {what}, Redis", (later - spent) / KEPT * 1e3, "ms"))
    await queue.close()
    return units


async def _used(shared: RedisClient) -> tuple[float, float]:
    """Bytes of data, and seconds of CPU."""
    told = await shared.client.info()
    return float(told["used_memory_dataset"]), float(told["used_cpu_sys"]) + float(told["used_cpu_user"])
