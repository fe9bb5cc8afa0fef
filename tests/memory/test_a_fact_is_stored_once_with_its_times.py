"""A fact that is told in several chats is one memory, with the times when it was told."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import httpx

from rememberd.memory.recall.block import line
from tests.support.proxy_server import Proxy, eventually
from tests.support.retrieval_rig import DAY, NOW, memory


def facts(client: httpx.Client, said: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = client.get("/v1/memories", params={"kind": "fact"}).json()["data"]
    return [each for each in listed if each["text"] == said]


def knows(client: httpx.Client, said: str, times: int) -> bool:
    return [len(each.get("told_at", "1")) for each in facts(client, said)] == [times]


def told(client: httpx.Client, said: str, times: int) -> None:
    for number in range(times):
        body = {"model": "model-a", "messages": [{"role": "user", "content": said}]}
        client.post("/v1/chat/completions", json=body, headers={"X-Conversation-Id": f"c{number}"}).raise_for_status()
        eventually(partial(knows, client, said, number + 1))


def test_told_in_three_chats_it_is_one_memory(proxy: Proxy, user: str) -> None:
    """It has three times in their order, and exports and imports them; deleted, it is gone with all of them."""
    said = "I live in Porvoo."
    with proxy.client(user) as client, proxy.client(f"{user} elsewhere") as other:
        told(client, said, 3)
        (fact,) = facts(client, said)
        assert fact["told_at"] == sorted(set(fact["told_at"]))
        assert (fact["told_at"][0], fact["told_at"][-1]) == (fact["created_at"], fact["updated_at"])
        exported = client.get("/v1/memories/export").text
        for _ in range(2):  # one's own export changes nothing
            client.post("/v1/memories/import", content=exported).raise_for_status()
            assert facts(client, said) == [fact]
            assert client.get("/v1/memories/export").text == exported
        other.post("/v1/memories/import", content=exported).raise_for_status()
        assert facts(other, said)[0]["told_at"] == fact["told_at"]
        client.delete(f"/v1/memories/{fact['id']}").raise_for_status()
        left = [json.loads(each)["text"] for each in client.get("/v1/memories/export").text.splitlines()]
        assert [each for each in left if "Porvoo" in each] == []


def test_another_text_has_not_been_told_so_often(proxy: Proxy, user: str) -> None:
    """Whoever corrects a memory has said the new text once."""
    with proxy.client(user) as client:
        told(client, "I live in Porvoo.", 2)
        (fact,) = facts(client, "I live in Porvoo.")
        edited = client.patch(f"/v1/memories/{fact['id']}", json={"text": "I live in Loviisa."}).json()
        assert "told_at" not in edited


def test_the_block_says_how_often_in_a_few_words() -> None:
    """From three times on; a memory that was pinned since has not been told since."""
    once = memory("I live in Oslo.")
    first = once.created_at
    for times, shown in (
        ((), ""),
        ((first + 2 * DAY,), " (updated"),
        ((first + DAY, first + 2 * DAY), " (told 3 times, last"),
    ):
        again = line(replace(once, told=times, updated_at=max(times, default=first)))
        assert again.startswith(f"- I live in Oslo.{shown}"), again
    thrice = replace(once, told=(first + DAY, first + 2 * DAY), updated_at=first + 2 * DAY)
    assert line(replace(thrice, updated_at=NOW)) == line(thrice)
