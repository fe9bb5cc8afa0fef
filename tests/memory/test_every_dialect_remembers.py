"""What is told in one dialect comes back in the others, through their own SDKs, as bytes or translated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fake_model import FakeModel, newest_user_text
from tests.support.proxy_server import Proxy, memories, remembered

if TYPE_CHECKING:
    import anthropic
    import openai

Say = Callable[["Sdks", str, str], str]


@dataclass
class Sdks:
    """The two official clients, as one user."""

    openai: openai.OpenAI
    anthropic: anthropic.Anthropic


@pytest.fixture
def sdks(proxy: Proxy, user: str) -> Iterator[Sdks]:
    import anthropic
    import openai

    given: Any = {"api_key": "sk-webui", "default_headers": {"X-Memory-User": user}, "max_retries": 0}
    with (
        openai.OpenAI(base_url=f"{proxy.url}/v1", **given) as one,
        anthropic.Anthropic(base_url=proxy.url, **given) as other,
    ):
        yield Sdks(one, other)


def chat(sdks: Sdks, model: str, text: str) -> str:
    answer = sdks.openai.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content or ""


def chat_stream(sdks: Sdks, model: str, text: str) -> str:
    said: Any = [{"role": "user", "content": text}]
    chunks = sdks.openai.chat.completions.create(model=model, messages=said, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def responses(sdks: Sdks, model: str, text: str) -> str:
    return sdks.openai.responses.create(model=model, input=text).output_text


def responses_stream(sdks: Sdks, model: str, text: str) -> str:
    events = sdks.openai.responses.create(model=model, input=text, stream=True)
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def messages(sdks: Sdks, model: str, text: str) -> str:
    said: Any = [{"role": "user", "content": text}]
    answer = sdks.anthropic.messages.create(model=model, max_tokens=64, messages=said)
    return "".join(block.text for block in answer.content if block.type == "text")


def messages_stream(sdks: Sdks, model: str, text: str) -> str:
    said: Any = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    with sdks.anthropic.messages.stream(model=model, max_tokens=64, messages=said) as stream:
        return "".join(stream.text_stream)


DIALECTS = [chat, chat_stream, responses, responses_stream, messages, messages_stream]


@pytest.mark.parametrize("model", ["open", "model-a", "claude"])
@pytest.mark.parametrize("say", DIALECTS, ids=lambda say: say.__name__)
def test_a_fact_told_in_chat_comes_back_in_every_dialect(
    proxy: Proxy, upstream: FakeModel, sdks: Sdks, user: str, model: str, say: Say
) -> None:
    """The SDK gets a whole, well-formed answer, and the model the block before the question."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I live in Oslo."}).raise_for_status()
    answer = say(sdks, model, "Which city do I live in?")
    prompt = newest_user_text(upstream.chats[-1].json)
    block, end, question = prompt.partition("</memory>")
    assert block.startswith("<memory>")
    assert "Oslo" in block
    assert (end, question.strip()) == ("</memory>", "Which city do I live in?")
    assert answer == prompt  # the fake model echoes


@pytest.mark.parametrize("model", ["open", "model-a"])
@pytest.mark.parametrize("say", DIALECTS, ids=lambda say: say.__name__)
def test_what_is_told_in_any_dialect_is_remembered(proxy: Proxy, sdks: Sdks, user: str, model: str, say: Say) -> None:
    """The question and the answer, streamed or not, with the name of the model that was asked."""
    say(sdks, model, "My cat is called Miso.")
    with proxy.client(user) as client:
        kept = remembered(client, "Miso", "episode")
        assert remembered(client, "Miso", "fact")["evidence"]["text"].rstrip(".") == "My cat is called Miso"
    assert kept["text"].count("My cat is called Miso") == 2  # the fake model echoes
    assert kept["source"]["model"] == model


def test_a_conversation_keeps_its_memory_from_chat_to_messages_to_responses(
    proxy: Proxy, upstream: FakeModel, sdks: Sdks, user: str
) -> None:
    """Begun on chat, gone on over Messages with another model, ended on Responses with a third."""
    chat(sdks, "model-a", "I work as a beekeeper.")
    with proxy.client(user) as client:
        remembered(client, "beekeeper", "fact")
        messages_stream(sdks, "claude", "My bees live in Tromsø. What do I work as?")
        assert "beekeeper" in newest_user_text(upstream.chats[-1].json).partition("</memory>")[0]
        remembered(client, "Tromsø")
        responses_stream(sdks, "open", "What do I work as, and where do my bees live?")
    block = newest_user_text(upstream.chats[-1].json).partition("</memory>")[0]
    assert "beekeeper" in block
    assert "Tromsø" in block


def test_a_tool_loop_over_messages_is_one_turn_with_one_block(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """As Claude Code does it: the cache mark moves on, results come in the user's role; the block stays the same."""
    mark = {"cache_control": {"type": "ephemeral"}}
    said = {"role": "user", "content": [{"type": "text", "text": "Where do I live, and what is my job?", **mark}]}
    plain = {"role": "user", "content": [{"type": "text", "text": "Where do I live, and what is my job?"}]}
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "ls", "input": {}}]}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "I live in Rome.", **mark}
    reminder = {"type": "text", "text": "<system-reminder>I live in Paris.</system-reminder>"}
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I live in Tromsø."})
        asked = {"model": "claude", "max_tokens": 9}
        client.post("/v1/messages", json=asked | {"messages": [said]}).raise_for_status()
        first = upstream.chats[-1].json["messages"]
        client.post("/v1/memories", json={"text": "My job is beekeeping, where I live."})
        loop = [plain, call, {"role": "user", "content": [result, reminder]}]
        client.post("/v1/messages", json=asked | {"messages": loop}).raise_for_status()
        looped = upstream.chats[-1].json["messages"]
        assert looped[0]["content"][0] == first[0]["content"][0]
        assert "Tromsø" in looped[0]["content"][0]["text"]
        assert looped[1:] == loop[1:]
        client.post("/v1/messages", json=asked | {"messages": [{"role": "user", "content": "a later turn"}]})
        remembered(client, "a later turn", "episode")
        assert len([m for m in memories(client, "episode") if "what is my job" in m["text"]]) == 1
        assert not any(place in m["text"] for m in memories(client, "fact") for place in ("Rome", "Paris"))


def test_a_tool_loop_over_responses_keeps_its_block(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """With the items sent again the block is the same; the results alone ask nothing."""
    said = {"role": "user", "content": [{"type": "input_text", "text": "Where do I live?"}]}
    call = {"type": "function_call", "call_id": "c", "name": "ls", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": "I live in Rome."}
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I live in Tromsø."})
        client.post("/v1/responses", json={"model": "open", "input": [said]}).raise_for_status()
        first = upstream.chats[-1].json["input"]
        client.post("/v1/memories", json={"text": "I live in a house by the sea."})
        client.post("/v1/responses", json={"model": "open", "input": [said, call, result]}).raise_for_status()
        assert upstream.chats[-1].json["input"] == [*first, call, result]
        further = {"model": "open", "input": [result]}
        reply = client.post("/v1/responses", json=further)
        assert upstream.chats[-1].json == further | {"model": "open-x"}
    assert reply.headers["X-Memory-Status"] == "skipped"
