"""`rememberd dead` shows the turns that could not be remembered, and sends them again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from rememberd.cli.main import main
from rememberd.ports.retry_policy import MAX_ATTEMPTS
from rememberd.settings.schema import load
from rememberd.storage.redis.client import RedisClient
from rememberd.storage.redis.extraction_queue import RedisExtractionQueue
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.extraction_queue import SqliteExtractionQueue
from rememberd.wiring.encryption import Encryption
from rememberd.wiring.queue import QueueBundle, open_queue
from tests.support.queue_contract import Clock, claimed, turn


@pytest.fixture(params=["sqlite", "redis"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    path = tmp_path / "rememberd.yaml"
    path.write_text(json.dumps({"data_dir": str(tmp_path / "data"), "memory": {"queue": {"url": url}}}))
    return path


def opened(config: Path) -> QueueBundle:
    return open_queue(load(config, {}), Encryption(None))


async def buried(config: Path) -> None:
    queue = opened(config).queue
    await queue.put(turn("t1", "ada", at=1_700_000_000_000))
    await queue.claim(1)
    await queue.dead_letter("t1", "ValueError: no such thing")
    await queue.close()


async def waiting(config: Path) -> list[str]:
    queue = opened(config).queue
    try:
        return await claimed(queue)
    finally:
        await queue.close()


async def unreadable(config: Path) -> None:
    """A model has answered nonsense about this turn, some years ago, as often as it is asked."""
    settings, clock = load(config, {}), Clock()
    url, file = settings.memory.queue.url, Database(settings.data_path / "queue.db")
    shared = RedisClient(url or "redis://nowhere", clock=clock)
    extraction_queue = (
        RedisExtractionQueue(shared, idle_ms=0) if url else SqliteExtractionQueue(file, idle_ms=0, clock=clock)
    )
    await extraction_queue.add(turn("t2", "bob", at=clock.now))
    for _ in range(MAX_ATTEMPTS):
        clock.now += 3_600_000
        await extraction_queue.fail([each.id for each in await extraction_queue.claim()], "the answer is not JSON")
    await shared.close()
    await file.close()


async def to_be_read(config: Path) -> list[str]:
    records = opened(config)
    try:
        return [each.id for each in await records.extraction_queue.claim()]
    finally:
        await records.queue.close()


def test_a_dead_letter_is_listed_and_replayed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whose it is, when it was said and why it failed; after the replay it waits as any other."""
    asyncio.run(buried(config))
    assert main(["dead", "list", "--config", str(config)]) == 0
    shown = capsys.readouterr().out
    for word in ("2023-11-14T22:13:20.000Z", "ada", "default", "ValueError: no such thing", "1 dead letters"):
        assert word in shown
    assert main(["dead", "replay", "--config", str(config)]) == 0
    assert "1 turns will be tried again" in capsys.readouterr().out
    assert main(["dead", "list", "--config", str(config)]) == 0
    assert capsys.readouterr().out == "0 dead letters\n"
    assert asyncio.run(waiting(config)) == ["t1"]


def test_a_turn_that_no_model_could_read_is_one_too(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Listed beside the others, and read anew after the replay."""
    asyncio.run(buried(config))
    asyncio.run(unreadable(config))
    assert main(["dead", "list", "--config", str(config)]) == 0
    shown = capsys.readouterr().out
    for word in ("ada", "bob", "ValueError: no such thing", "the answer is not JSON", "2 dead letters"):
        assert word in shown
    assert main(["dead", "replay", "--config", str(config)]) == 0
    assert "2 turns will be tried again" in capsys.readouterr().out
    assert asyncio.run(waiting(config)) == ["t1"]
    assert asyncio.run(to_be_read(config)) == ["t2"]


async def refused(config: Path) -> None:
    records = opened(config)
    await records.spool.dead_letter(turn("t3", "eve"), "OverflowError")
    await records.queue.close()


def test_a_turn_that_the_queue_refused_is_one_too(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Listed, and put into the queue by the replay."""
    asyncio.run(refused(config))
    assert main(["dead", "list", "--config", str(config)]) == 0
    shown = capsys.readouterr().out
    for word in ("eve", "OverflowError", "1 dead letters"):
        assert word in shown
    assert main(["dead", "replay", "--config", str(config)]) == 0
    assert "1 turns will be tried again" in capsys.readouterr().out
    assert asyncio.run(waiting(config)) == ["t3"]
