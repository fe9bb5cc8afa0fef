"""What people complain of in memory tools, one test a complaint, on a real proxy. tests/README.md lists them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.fake_model import Behaviour, FakeModel, event, newest_user_text
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered, running

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "tests" / "README.md"
KEY = "sk-proj-" + "a1B2c3D4" * 6

CHATTER = (
    "ok thanks!", "What is the capital of Mongolia?", "Translate 'I am hungry' into German.", "lol",
    "If I lived in Paris, would I need a car?", "Write a story: my name is Zorg and I live on Mars.",
    "Fix this: ```name = 'I live in a test'```", "My friend says: I hate my job.", "Could you make it shorter?",
)  # fmt: skip
STATED = (
    "I'm allergic to peanuts.", "By the way, I am allergic to peanuts!", "i'm allergic to peanuts btw",
    "I like hiking.", "I really love hiking!", "Just so you know, I enjoy hiking.",
)  # fmt: skip


def facts(client: httpx.Client) -> list[str]:
    return sorted(each["text"] for each in memories(client, "fact"))


def told(client: httpx.Client, text: str) -> None:
    """Said, and learned."""
    ask(client, text).raise_for_status()
    remembered(client, text, "episode")


def prompt(upstream: FakeModel) -> str:
    return newest_user_text(upstream.chats[-1].json)


def block(upstream: FakeModel) -> str:
    return prompt(upstream).rpartition("</memory>")[0]


def test_memory_does_not_fill_with_junk(proxy: Proxy, user: str) -> None:
    """Small talk, questions, fiction, code, quotes and other people make no fact about the user."""
    with proxy.client(user) as client:
        for text in CHATTER:
            told(client, text)
        told(client, "I live in Oslo.")
        eventually(lambda: facts(client))
        assert facts(client) == ["I live in Oslo."]


def test_memory_does_not_fill_with_duplicates(proxy: Proxy, user: str) -> None:
    """The same in other words, case or punctuation is one memory, and so is a client's retry."""
    with proxy.client(user) as client:
        for text in (*STATED, *STATED):
            told(client, text)
        told(client, "I live in Oslo.")
        eventually(lambda: "I live in Oslo." in facts(client))
        assert len(facts(client)) == 3


def test_a_contradiction_is_resolved(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """The model gets the value that holds, and the former one at most as something said on an earlier day."""
    with proxy.client(user) as client:
        told(client, "I live in Oslo.")
        told(client, "Actually, I live in Bergen now.")
        eventually(lambda: facts(client) == ["I live in Bergen now."])
        ask(client, "Which city do I live in?", "model-b")
        assert "- I live in Bergen now." in block(upstream)
        assert "- I live in Oslo" not in block(upstream)


@pytest.mark.slow
def test_no_write_is_lost_silently(tmp_path: Path, upstream: FakeModel) -> None:
    """What was answered is remembered, though the writer was killed before it could; the receipt says when it is."""
    with running(tmp_path, {"model-a": upstream.url}) as proxy, proxy.client("ada") as client:
        proxy.kill("writer")
        reply = ask(client, "My boat is called Halcyon.")
        assert (reply.status_code, reply.headers["X-Memory-Write"]) == (200, "on")
        receipt = f"/v1/receipts/{reply.headers['X-Memory-Receipt']}"
        written = eventually(lambda: (found := client.get(receipt).json()).get("write") == "written" and found)
        assert isinstance(written, dict)
        assert any("Halcyon" in each["text"] for each in written["written"])


def test_tool_calls_and_streams_stay_whole(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """With a memory in the prompt: tools reach the model as they are, its stream the client byte for byte."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": None, "tool_calls": [{"index": 0, **call}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ' "Oslo ☂"}'}}]},
    ]
    stream = [b": ping\n\n", *(event({"choices": [{"index": 0, "delta": each}]}) for each in deltas)]
    stream += [event({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}), b"data: [DONE]\n\n"]
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I live in Oslo."}).raise_for_status()
        upstream.script(Behaviour(stream=stream))
        reply = ask(client, "How is the weather where I live?", stream=True, tools=tools, tool_choice="auto")
        assert reply.headers["X-Memory-Status"] == "hit"
        assert reply.content == b"".join(stream)
        sent = upstream.chats[-1].json
        assert (sent["tools"], sent["tool_choice"], sent["stream"]) == (tools, "auto", True)


def test_the_providers_prompt_cache_stays_warm(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """Everything before the newest user message goes out as it came in, and a tool loop repeats its own prefix."""
    history = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello, do I live in Oslo?"},
        {"role": "assistant", "content": "You do."},
        {"role": "user", "content": "And what is the weather where I live?"},
    ]
    step = [
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "rain"},
    ]  # fmt: skip
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I live in Oslo."}).raise_for_status()
        for messages in (history, history + step):
            body = {"model": "model-a", "messages": messages}
            client.post("/v1/chat/completions", json=body).raise_for_status()
            client.post("/v1/memories", json={"text": "I live near the harbour of Oslo."}).raise_for_status()
        first, second = (chat.json["messages"] for chat in upstream.chats[-2:])
        assert first[:-1] == history[:-1]
        assert "<memory>" in first[-1]["content"]
        assert second == first + step


def test_users_are_never_mixed_up(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """Not by name, not by scope, not by an id, not by a request that claims to be somebody else."""
    with proxy.client(user) as one, proxy.client(f"{user}.") as other, proxy.client(user, key="sk-bob") as liar:
        told(one, "My bank is the Quetzal Credit Union.")
        theirs = remembered(one, "Quetzal", "episode")
        for stranger in (other, liar):
            ask(stranger, "What is my bank?", user=user, safety_identifier=user)
            assert "Quetzal" not in prompt(upstream)
            assert stranger.get(f"/v1/memories/{theirs['id']}").status_code == 404
            assert "Quetzal" not in stranger.get("/v1/memories/export").text
        other.delete("/v1/memories").raise_for_status()
        assert one.get(f"/v1/memories/{theirs['id']}").status_code == 200


def test_what_is_deleted_stays_deleted(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """The fact, the exchange it was said in, and the answer that repeated it; then all the rest."""
    with proxy.client(user) as client:
        told(client, "My safe word is Xanadu.")
        fact = remembered(client, "Xanadu", "fact")
        told(client, "What is my safe word?")
        client.delete(f"/v1/memories/{fact['id']}").raise_for_status()
        ask(client, "Tell me my safe word.")
        assert "Xanadu" not in prompt(upstream)
        assert client.delete("/v1/memories").json()["object"] == "user.erased"
        assert client.get("/v1/memories/export").text == ""


def test_no_secret_is_stored(proxy: Proxy, user: str) -> None:
    """Whoever said it, in whichever way it would come in."""
    secrets = (KEY, "hunter2-Zebra!", "4111 1111 1111 1111")
    with proxy.client(user) as client:
        told(client, "I use no password at home.")
        ask(client, f"My password is {secrets[1]} and my card is {secrets[2]}.")
        ask(client, f"Why does {KEY} fail?")
        client.post("/v1/memories", json={"text": f"My key is {KEY}."}).raise_for_status()
        client.post("/v1/memories/import", content=json.dumps({"text": f"password: {secrets[1]}"}).encode())
        eventually(lambda: len(memories(client, "episode")) == 3)
        stored = client.get("/v1/memories/export").text
        assert "[redacted: OpenAI key]" in stored
        assert not [secret for secret in secrets if secret in stored]


def test_the_document_names_a_test_for_every_complaint() -> None:
    """Each of them exists under that name."""
    table = DOCUMENT.read_text().partition("| complaint | promise | tests |\n|---|---|---|\n")[2].partition("\n\n")[0]
    named = re.findall(r"`(test_\w+)(?:\.py)?(?:::(test_\w+))?`", table)
    assert len(table.splitlines()) == 9
    assert len(named) == 2 * 9
    for file, name in named:
        (path,) = (ROOT / "tests").rglob(f"{file}.py")
        text = path.read_text()
        assert f"def {name}(" in text, (file, name)
