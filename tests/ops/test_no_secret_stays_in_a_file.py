"""A secret that is told in a chat stands in no file, not even while its turn waits to be learned."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import httpx
import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask, eventually, remembered, running
from tests.support.redis_process import redis_running

CASES = Path(__file__).parents[1] / "data" / "secrets.jsonl"
_ALPHABETS = {"a": "abcdefghijABCDEFGHIJ0123456789", "h": "0123456789abcdef", "u": "ABCDEFGHJKLMNPQRSTUVWXYZ234567"}
LONG = "Some words of a long text that was pasted. " * 200


def secrets() -> list[tuple[str, str]]:
    """Messages and the secret in each; `<a48>` in the file stands for 48 characters."""
    draw = random.Random(16)
    found: list[tuple[str, str]] = []
    for case in map(json.loads, CASES.read_text(encoding="utf-8").splitlines()):
        if not case["secret"]:
            continue
        message, secret = case["text"], case["secret"]
        for mark, alphabet, length in re.findall(r"(<([ahu])(\d+)>)", case["text"]):
            filling = "".join(draw.choices(_ALPHABETS[alphabet], k=int(length) - 1)) + "7"
            message, secret = message.replace(mark, filling), secret.replace(mark, filling)
        if len(secret) >= 8:  # shorter ones stand somewhere by chance
            found.append((message, secret))
    return found


def leaks(folder: Path, told: list[tuple[str, str]]) -> list[str]:
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return [f"{secret!r} in {name}" for _, secret in told for name, held in files.items() if secret.encode() in held]


def tell(proxy: Proxy, told: list[tuple[str, str]]) -> None:
    """The model repeats each message, so that the answer holds the secret too; every fifth stands in a long text."""
    with proxy.client("ada") as client:
        for number, (message, _) in enumerate(told):
            text = message if number % 5 else f"{message}\n{LONG}"
            assert ask(client, text, stream=number % 2 == 0).headers["X-Memory-Write"] == "on"
        lines = "\n".join(json.dumps({"user": f"Imported: {message}", "answer": message}) for message, _ in told)
        client.post("/v1/memories/import", content=lines).raise_for_status()


def learned(proxy: Proxy) -> None:
    with proxy.client("ada") as client:
        ask(client, "My cat is called Miso.")
        remembered(client, "Miso", "episode")
    eventually(lambda: re.search(r"^rememberd_queue_depth 0", httpx.get(f"{proxy.url}/metrics").text, re.MULTILINE))


@pytest.mark.slow
def test_no_secret_is_in_a_file_before_or_after_it_was_learned(tmp_path: Path, upstream: FakeModel) -> None:
    """Of every kind; told in a chat, repeated by the model, or imported."""
    told = secrets()[::2]
    assert len(told) > 20
    with running(tmp_path, {"model-a": upstream.url}) as proxy:
        tell(proxy, told)
        assert leaks(proxy.data, told) == []
        learned(proxy)
        assert leaks(proxy.data, told) == []


@pytest.mark.slow
def test_no_secret_is_in_redis_files(tmp_path: Path, upstream: FakeModel) -> None:
    """Its append-only file keeps what was put until it is rewritten."""
    told = secrets()[:20]
    with redis_running(tmp_path) as redis:
        memory = {"deadline_ms": 5000, "queue": {"url": redis.url}}
        with running(tmp_path / "proxy", {"model-a": upstream.url}, memory=memory) as proxy:
            tell(proxy, told)
            learned(proxy)
            assert leaks(tmp_path, told) == []
