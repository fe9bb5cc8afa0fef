"""Promise: a background task that an error ends is logged, counted and started again; no log line quotes anybody."""

from __future__ import annotations

import ast
import asyncio
import io
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from rememberd.access.api_keys import ApiKeyStore, KeyMark, KeyWatcher
from rememberd.access.auth import Auth
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.recall.recall import Recall
from rememberd.memory.safety.privacy import Privacy
from rememberd.telemetry import background, logs
from rememberd.telemetry.background import TASKS, keep_running
from rememberd.types import Space
from tests.support.fakes import EmbedderFake, MemoryStoreFake

WORDS = "my secret diagnosis"
PACKAGE = Path(background.__file__).parents[1]


def failures(task: str) -> float:
    return REGISTRY.get_sample_value("rememberd_background_failures_total", {"task": task}) or 0.0


@pytest.fixture
def log() -> Any:
    """What the operator reads."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.Text())
    logging.getLogger().handlers.insert(0, handler)  # the first to format an exception does it for all
    yield stream
    logging.getLogger().removeHandler(handler)


class Flaky:
    """Made keys whose first look-ups fail in a way that nobody foresaw."""

    def __init__(self) -> None:
        self.looked, self.recovered = 0, asyncio.Event()

    async def version(self) -> str:
        self.looked += 1
        if self.looked < 3:
            raise RuntimeError(WORDS)
        self.recovered.set()
        return "1"

    async def all(self) -> list[object]:
        return []


async def test_a_dead_key_watcher_comes_back(log: io.StringIO, tmp_path: Path) -> None:
    """Otherwise a key that was revoked would go on opening memories."""
    keys, before = Flaky(), failures("key_watcher")
    watcher = KeyWatcher(Auth({}, None), cast(ApiKeyStore, keys), KeyMark(tmp_path / "mark"))
    running = asyncio.create_task(keep_running("key_watcher", partial(watcher.run, 0.001), again_s=0.001))
    async with asyncio.timeout(120):
        await keys.recovered.wait()
    running.cancel()
    assert failures("key_watcher") == before + 2
    assert log.getvalue().count("the background task key_watcher failed") == 2
    assert "in version" in log.getvalue()
    assert WORDS not in log.getvalue()


async def test_a_task_that_is_done_is_not_started_again() -> None:
    """Nor one that is cancelled."""
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1

    await keep_running("reload", work)
    assert runs == 1
    running = asyncio.create_task(keep_running("reload", asyncio.Event().wait))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_defect_in_recall_shows_where(log: io.StringIO) -> None:
    """The chat flows without memory; the operator gets the traceback, and nobody's words."""

    async def defect(*_: object, **__: object) -> Any:
        raise KeyError(WORDS)

    embedder = cast(FastEmbedder, EmbedderFake())
    recall = Recall(MemoryStoreFake(), embedder, 600, 1000, Privacy(), cast(Callable[..., Any], defect))
    found = await recall.recall(Space("ann"), WORDS, now=1, turn_id=None, conversation=None)
    assert found.status == "degraded"
    assert "recall failed: KeyError" in log.getvalue()
    assert "in defect" in log.getvalue()
    assert WORDS not in log.getvalue()


def test_each_endless_task_is_kept_running() -> None:
    """Whoever starts a task that never returns does so through `keep_running`, under a name that has a counter."""
    named: set[str] = set()
    bare: list[str] = []
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        endless = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.AsyncFunctionDef)
            and any(
                isinstance(each, ast.While) and isinstance(each.test, ast.Constant) and not _leaves(each)
                for each in node.body
            )
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if _name(call.func) == "keep_running":
                named.add(cast(str, cast(ast.Constant, call.args[0]).value))
            started = call.args[0] if _name(call.func) == "create_task" else None
            if isinstance(started, ast.Call) and _name(started.func) in endless:
                bare.append(f"{path.name}:{call.lineno}")
    assert not bare
    assert named == set(TASKS)


def _leaves(loop: ast.While) -> bool:
    return any(isinstance(node, ast.Return | ast.Break) for node in ast.walk(loop))


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
