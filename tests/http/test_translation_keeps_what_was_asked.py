"""What a client asks for survives translation where the provider has it; the rest is refused by name, or dropped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from rememberd.errors import RequestError
from rememberd.ports import Reply
from rememberd.types import CHAT, COUNT_TOKENS, MESSAGES, RESPONSES, Deployment
from rememberd.upstream.translate.litellm_lane import LitellmLane
from tests.support.fake_model import FakeModel
from tests.support.tables import each_row

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "of a city", "parameters": SCHEMA}


@pytest.fixture
async def upstream() -> AsyncIterator[FakeModel]:
    async with FakeModel() as upstream:
        yield upstream


def claude(upstream: FakeModel, **params: Any) -> Deployment:
    model = "claude-sonnet-4-5"  # litellm knows what it can do
    return Deployment("c", "anthropic", model, frozenset(), f"{upstream.origin}/v1", "sk-ant", params=params)


def gpt(upstream: FakeModel, **params: Any) -> Deployment:
    return Deployment("g", "openai", "gpt-4o", frozenset({CHAT}), upstream.url, "sk-up", params=params)


async def ask(deployment: Deployment, path: str, **body: Any) -> Reply:
    return await LitellmLane().send(deployment, path, orjson.dumps({"model": "x", **body}), [])


async def test_chat_to_claude(upstream: FakeModel) -> None:
    """Tools, a tool's result, an image, stop words, the system prompt and its cache mark, and the effort to think."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    said = [
        {
            "role": "system",
            "content": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Where is this?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    tools = [{"type": "function", "function": FUNCTION}]
    reply = await ask(claude(upstream), CHAT, messages=said, tools=tools, stop=["END"], tool_choice="required")
    sent = upstream.requests[-1].json
    assert reply.status == 200
    assert sent["system"] == [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    assert sent["messages"][0]["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": PIXEL}
    assert sent["messages"][1]["content"][-1]["input"] == {"city": "Oslo"}
    assert sent["messages"][2]["content"][0]["tool_use_id"] == "call_1"
    assert sent["tools"][0]["input_schema"]["properties"] == SCHEMA["properties"]
    assert (sent["stop_sequences"], sent["tool_choice"]["type"]) == (["END"], "any")
    await ask(claude(upstream), CHAT, messages=said[:2], reasoning_effort="low")
    assert upstream.requests[-1].json["thinking"]["type"] == "enabled"
    schema = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
    await ask(claude(upstream), CHAT, messages=said[:2], response_format=schema)
    assert (
        "city" in orjson.dumps(upstream.requests[-1].json.get("output_format", upstream.requests[-1].json)).decode()
    )


async def test_what_claude_cannot_is_dropped_or_named(upstream: FakeModel) -> None:
    """A hint such as `seed` is left out, and a header says so; what would change the answer's shape is 400."""
    said = [{"role": "user", "content": "Hi"}]
    for stream in (False, True):
        reply = await ask(claude(upstream), CHAT, messages=said, seed=7, presence_penalty=0.1, stream=stream)
        assert (reply.status, dict(reply.headers)["x-dropped-parameters"]) == (200, "seed, presence_penalty")
        assert not {"seed", "presence_penalty"} & upstream.requests[-1].json.keys()
        await reply.close()
    reply = await ask(claude(upstream), RESPONSES, input="Hi", text={"verbosity": "low"})
    assert (reply.status, dict(reply.headers)["x-dropped-parameters"]) == (200, "text.verbosity")
    seen = len(upstream.requests)
    with pytest.raises(RequestError, match="logprobs") as raised:
        await ask(claude(upstream), CHAT, messages=said, logprobs=True)
    assert (raised.value.status, len(upstream.requests)) == (400, seen)


async def test_openai_gets_nothing_that_litellm_made_up(upstream: FakeModel) -> None:
    """No thoughts with Anthropic's signatures, no nulls of the web search, one system text at the beginning."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    said = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "Hello"}]},
        {"role": "user", "content": "Again"},
    ]
    await ask(gpt(upstream), MESSAGES, messages=said, max_tokens=9)
    assert "sig" not in str(upstream.requests[-1].json)
    search = {"type": "web_search", "filters": None, "user_location": None, "search_context_size": None}
    items = [{"role": "developer", "content": "B"}, {"role": "user", "content": "Hi"}]
    await ask(gpt(upstream), RESPONSES, instructions="A", input=items, tools=[search])
    sent = upstream.requests[-1].json
    assert sent["web_search_options"] == {}
    assert sent["messages"][0] == {"role": "system", "content": "A\n\nB"}
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]


async def test_tokens_of_a_translated_model_are_estimated(upstream: FakeModel) -> None:
    """Claude Code asks for them before it sends; nobody else has that path."""
    said = [{"role": "user", "content": "word " * 700}]
    reply = await ask(gpt(upstream), COUNT_TOKENS, messages=said, system="Be brief.")
    counted = orjson.loads(b"".join([chunk async for chunk in reply.chunks()]))["input_tokens"]
    assert 700 < counted < 1400
    assert upstream.requests == []


async def test_messages_to_chat(upstream: FakeModel) -> None:
    """Claude Code's kind of request: system blocks, tools, their results, an image, stop sequences."""
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    said = [
        {"role": "user", "content": [{"type": "text", "text": "Where is this?"}, image]},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"}]},
    ]
    tools: list[Any] = [{"name": "weather", "description": "of a city", "input_schema": SCHEMA}]
    system = [{"type": "text", "text": "Be brief."}]
    limits: dict[str, Any] = {
        "max_tokens": 50,
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "metadata": {"user_id": "u"},
    }
    reply = await ask(
        gpt(upstream), MESSAGES, messages=said, system=system, tools=tools, tool_choice={"type": "any"}, **limits
    )
    sent = upstream.requests[-1].json
    assert (reply.status, upstream.requests[-1].path) == (200, "/v1/chat/completions")
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert sent["messages"][1]["content"][1]["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"
    assert orjson.loads(sent["messages"][2]["tool_calls"][0]["function"]["arguments"]) == {"city": "Oslo"}
    assert (sent["messages"][3]["tool_call_id"], sent["messages"][3]["content"]) == ("toolu_1", "rain")
    assert sent["tools"][0]["function"]["parameters"] == SCHEMA
    assert (sent["tool_choice"], sent["stop"], sent["temperature"]) == ("required", ["END"], 0.5)
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 50


async def test_responses_to_chat(upstream: FakeModel) -> None:
    """Items, instructions, tools and their outputs, an image, a schema, the effort to reason."""
    said = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Where is this?"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "low"},
            ],
        },
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Oslo"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
    ]
    text = {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}}
    usual = {"store": False, "include": [], "prompt_cache_key": "k", "metadata": {"a": "b"}, "user": "ann"}
    reply = await ask(
        gpt(upstream),
        RESPONSES,
        input=said,
        instructions="Be brief.",
        tools=[{"type": "function", **FUNCTION, "strict": False}],
        text=text,
        max_output_tokens=50,
        **usual,
    )
    sent = upstream.requests[-1].json
    assert (reply.status, upstream.requests[-1].path) == (200, "/v1/chat/completions")
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert sent["messages"][0]["content"] == "Be brief."
    assert sent["messages"][1]["content"][1]["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"
    assert sent["messages"][2]["tool_calls"][0]["function"]["name"] == "weather"
    assert sent["messages"][3]["tool_call_id"] == "call_1"
    assert sent["tools"][0]["function"]["parameters"] == SCHEMA
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 50
    assert "ann" not in orjson.dumps(sent).decode()


@each_row("name", ["previous_response_id", "conversation", "background", "prompt"])
async def test_what_a_provider_would_have_to_store_is_refused(upstream: FakeModel, name: str) -> None:
    """A chat-only provider keeps no responses: 400 says so by name, better than an answer without its history."""
    with pytest.raises(RequestError, match=name) as raised:
        await ask(gpt(upstream), RESPONSES, input="Hi", **{name: "x"})
    assert (raised.value.status, raised.value.param) == (400, name)


@pytest.mark.parametrize("path", [MESSAGES, RESPONSES])
@pytest.mark.parametrize(
    "name",
    [
        *("api_base", "base_url", "api_key", "mock_response", "fallbacks", "model_list", "custom_llm_provider"),
        *(
            "extra_headers",
            "extra_body",
            "timeout",
            "litellm_params",
            "litellm_metadata",
            "drop_params",
            "max_retries",
        ),
    ],
)
async def test_a_client_cannot_steer_litellm(upstream: FakeModel, path: str, name: str) -> None:
    """In these dialects neither: refused by name, and nothing is sent anywhere."""
    said: dict[str, Any] = {"input": "Hi", "messages": [{"role": "user", "content": "Hi"}]}
    body = {"messages": said["messages"]} if path == MESSAGES else {"input": "Hi"}
    with pytest.raises(RequestError) as raised:
        await ask(gpt(upstream), path, **body, **{name: upstream.url})
    assert (raised.value.status, raised.value.param) == (400, name)
    assert upstream.requests == []


_SAID = [{"role": "user", "content": "x"}]
_WRONG: list[tuple[str, dict[str, Any]]] = [
    *((MESSAGES, {"messages": wrong}) for wrong in ("Hi", [], [1], [{"role": "user", "content": 5}], None)),
    (MESSAGES, {"messages": _SAID, "tools": "x"}),
    (MESSAGES, {"messages": _SAID, "tools": [1]}),
    (MESSAGES, {"messages": _SAID, "tools": [{}]}),
    *((RESPONSES, {"input": wrong}) for wrong in (7, None, [1], [{"type": "function_call_output"}])),
    (RESPONSES, {"input": "x", "tools": "x"}),
    (RESPONSES, {"input": "x", "tools": [1]}),
]


@pytest.mark.parametrize(("path", "wrong"), _WRONG)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_malformed_request_is_the_clients_fault(
    upstream: FakeModel, path: str, wrong: dict[str, Any], stream: bool
) -> None:
    """Refused with a 4xx, or passed on as litellm makes sense of it; never a crash."""
    try:
        status = (await ask(gpt(upstream), path, **wrong, stream=stream)).status
    except RequestError as error:
        status = error.status
    assert status in (200, 400, 404, 500)
    assert status != 500 or upstream.requests  # the fake provider's own
