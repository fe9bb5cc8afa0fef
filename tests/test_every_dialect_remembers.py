"""What is told in one dialect comes back in the others, through their own SDKs, as bytes or translated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest

from tests.fake_model import FakeModel, newest_user_text
from tests.proxy_server import Proxy, remembered

Say = Callable[["Sdks", str, str], str]


@dataclass
class Sdks:
    """The two official clients, as one user."""

    openai: openai.OpenAI
    anthropic: anthropic.Anthropic


@pytest.fixture
def sdks(proxy: Proxy, user: str) -> Iterator[Sdks]:
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
    said = [{"role": "user", "content": text}]
    chunks = sdks.openai.chat.completions.create(model=model, messages=said, stream=True)  # type: ignore[call-overload]
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
