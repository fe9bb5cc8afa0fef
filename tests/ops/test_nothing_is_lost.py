"""Promise 4: what was acknowledged survives kill -9 of any process at any point, and is stored once."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask, eventually, memories, running

ROUNDS = 8
USERS = ("ada", "ben", "cid")
# Else they tell more in their few seconds than a writer that is killed again and again learns in a minute.
PAUSE_S = 0.03


def talk(proxy: Proxy, user: str, stop: threading.Event, told: list[str]) -> None:
    """Tells one fact after another; notes those whose answer came to its end. Retries as clients do."""
    number = 0
    with proxy.client(user) as client:
        while not stop.is_set():
            number += 1
            text = f"My badge number {number} is {user}-{number:04d}."
            while not stop.is_set():
                try:
                    reply = ask(client, text, stream=number % 2 == 0)
                except httpx.TransportError:
                    time.sleep(0.02)
                    continue
                if reply.status_code == 200 and (number % 2 or reply.text.endswith("data: [DONE]\n\n")):
                    told.append(text)
                    break
            stop.wait(PAUSE_S)


@pytest.mark.slow
def test_kill_9_at_random_points_loses_and_doubles_nothing(tmp_path: Path, upstream: FakeModel) -> None:
    """The writer and the web process in turn, while three users talk."""
    draw = random.Random(20261122)
    with running(tmp_path, {"model-a": upstream.url}) as proxy:
        stop, told = threading.Event(), {user: list[str]() for user in USERS}
        talkers = [threading.Thread(target=talk, args=(proxy, user, stop, told[user])) for user in USERS]
        for talker in talkers:
            talker.start()
        for number in range(ROUNDS):
            time.sleep(draw.uniform(0.3, 1.2))
            proxy.kill("web" if number % 4 == 3 else "writer")
        stop.set()
        for talker in talkers:
            talker.join()
        proxy.wait_ready()
        assert min(len(facts) for facts in told.values()) > 5
        for user, facts in told.items():
            with proxy.client(user) as client:
                eventually(lambda: not missing(client, facts), seconds=60)  # noqa: B023 - used in this round only
                episodes = [each["text"] for each in memories(client, "episode")]
                assert [
                    n for n in facts if sum(n in text.partition("\nAssistant:")[0] for text in episodes) != 1
                ] == []


def missing(client: httpx.Client, facts: list[str]) -> list[str]:
    text = " ".join(each["text"] for each in memories(client, "episode"))
    return [fact for fact in facts if fact not in text]
