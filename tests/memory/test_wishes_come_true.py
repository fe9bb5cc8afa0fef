"""Asked in the chat itself, the memory shows what it knows, really forgets, and keeps a conversation to itself."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.fake_model import FakeModel, newest_user_text
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered


def outcome(client: httpx.Client, reply: httpx.Response) -> dict[str, Any]:
    """The receipt of `reply`, once the writer is done with it."""
    path = f"/v1/receipts/{reply.headers['X-Memory-Receipt']}"
    found = eventually(lambda: (receipt := client.get(path).json())["write"] != "pending" and receipt)
    assert isinstance(found, dict)
    return found


def test_what_do_you_know_about_me_shows_every_fact(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """Also those that no single question would find together."""
    with proxy.client(user) as client:
        for text in ("I live in Oslo.", "I am allergic to peanuts.", "My favourite colour is teal."):
            client.post("/v1/memories", json={"text": text})
        reply = ask(client, "What do you know about me?")
        assert (reply.headers["X-Memory-Status"], reply.headers["X-Memory-Count"]) == ("hit", "3")
        for word in ("Oslo", "peanuts", "teal"):
            assert word in newest_user_text(upstream.chats[-1].json)
        assert outcome(client, reply)["write"] == "nothing"


def test_what_do_you_know_about_me_shows_news_that_is_no_fact(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """After many facts, too; not the questions of other chats, nor an exchange that its fact covers."""
    with proxy.client(user) as client:
        for number in range(60):
            client.post("/v1/memories", json={"text": f"My cousin number {number} plays the trombone in a band."})
        for text, kind in (("I live in Oslo.", "fact"), ("How is glue made?", "episode")):
            ask(client, text)
            remembered(client, text, kind)
        ask(client, "It looks as if Oslo and I are about to part ways for a year or so.")
        remembered(client, "part ways", "episode")
        ask(client, "What do you know about me?")
        block = newest_user_text(upstream.chats[-1].json)
        assert block.count("Oslo") == 2
        assert "part ways" in block
        assert "glue" not in block
        assert "trombone" in block


def test_forget_that_deletes_and_the_receipt_names_what(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """The fact, the exchange it came from, and the request to forget itself."""
    with proxy.client(user) as client:
        ask(client, "I live in Oslo and I work at Globex.")
        fact = remembered(client, "Oslo", "fact")
        receipt = outcome(client, ask(client, "Please forget that I live in Oslo."))
        assert receipt["write"] == "forgotten"
        assert fact["id"] in [memory["id"] for memory in receipt["written"]]
        assert all(memory.get("deleted") for memory in receipt["written"])
        kept = [memory["text"] for memory in memories(client)]
        assert not any("Oslo" in text for text in kept)
        assert any("Globex" in text for text in kept)
        ask(client, "Which city do I live in?")
        assert "Oslo" not in newest_user_text(upstream.chats[-1].json)


def test_forgetting_what_was_never_known_changes_nothing(proxy: Proxy, user: str) -> None:
    """And is not remembered either."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I live in Oslo."})
        assert outcome(client, ask(client, "Forget that I play the banjo."))["write"] == "nothing"
        assert [memory["text"] for memory in memories(client)] == ["I live in Oslo."]


def test_do_not_remember_this_conversation_forgets_it_so_far_and_from_then_on(proxy: Proxy, user: str) -> None:
    """Without a conversation id: the messages themselves say what belongs to it."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I like tea."})
        history: list[dict[str, str]] = []

        def say(text: str) -> httpx.Response:
            history.append({"role": "user", "content": text})
            reply = client.post("/v1/chat/completions", json={"model": "model-a", "messages": history})
            history.append({"role": "assistant", "content": "I see."})
            return reply

        say("I live in Hamar.")
        remembered(client, "Hamar", "fact")
        receipt = outcome(client, say("Please don't remember this conversation."))
        assert receipt["write"] == "forgotten"
        assert [memory["text"] for memory in memories(client)] == ["I like tea."]
        assert say("I also have a boat in Moss.").headers["X-Memory-Write"] == "off"
        ask(client, "I also own a kayak.")  # another conversation
        remembered(client, "kayak")
        kept = " ".join(memory["text"] for memory in memories(client))
        assert "Moss" not in kept
        assert "conversation" not in kept
