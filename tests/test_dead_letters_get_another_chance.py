"""`rememberd dead` shows the turns that could not be remembered, and sends them again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.ports import TurnQueue
from proxy.queues import build_records
from proxy.sealing import Sealing
from proxy.settings import load
from tests.queue_contract import claimed, turn


@pytest.fixture(params=["sqlite", "redis"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    path = tmp_path / "rememberd.yaml"
    path.write_text(json.dumps({"data_dir": str(tmp_path / "data"), "memory": {"queue": {"url": url}}}))
    return path


def opened(config: Path) -> TurnQueue:
    return build_records(load(config, {}), Sealing(None)).queue


async def buried(config: Path) -> None:
    queue = opened(config)
    await queue.put(turn("t1", "ada", at=1_700_000_000_000))
    await queue.claim(1)
    await queue.bury("t1", "ValueError: no such thing")
    await queue.close()


async def waiting(config: Path) -> list[str]:
    queue = opened(config)
    try:
        return await claimed(queue)
    finally:
        await queue.close()


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
