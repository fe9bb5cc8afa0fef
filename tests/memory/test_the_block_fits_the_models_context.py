"""The proxy's own block never makes a request overflow: it shrinks, if need be to nothing; the receipt says so."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import tiktoken

from rememberd.dialects.formats.token_estimate import estimated_tokens, most_tokens
from rememberd.errors import ConfigError
from rememberd.types import Deployment
from rememberd.upstream.catalog import Catalog
from rememberd.upstream.context_limit import context_limit
from tests.memory.test_block_token_estimate import ENGLISH, OTHERS
from tests.support.fake_model import FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import Proxy, ask, entry, eventually

LIMIT = 4_000
MEMORY = {"deadline_ms": 5000, "encryption": {"master_key": base64.b64encode(b"m" * 32).decode()}}
DISHES = ("ramen", "paella", "goulash", "pierogi", "laksa", "ceviche", "moussaka", "risotto", "injera", "bibimbap")
QUESTION = "Which dishes have I cooked for my friends?"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """Encrypted. `falls` is a large model that nobody serves, with a small one behind it."""
    others = [
        entry("small", "hosted_vllm/small-x", upstream.url, max_input_tokens=LIMIT),
        entry("unknown", "hosted_vllm/unknown-x", upstream.url),
        entry("falls", "hosted_vllm/large-x", "http://127.0.0.1:9/v1", max_input_tokens=1_000_000),
    ]
    falls = [{"falls": ["small"]}]
    settings: dict[str, Any] = {"memory": MEMORY, "fallbacks": falls}
    with running_here(tmp_path_factory.mktemp("context"), {}, others=others, **settings) as proxy:
        with proxy.client("ann") as client:
            for dish in DISHES:
                text = f"I have cooked {dish} for my friends, with a great many spices from the market in Bergen."
                client.post("/v1/memories", json={"text": text}).raise_for_status()
        yield proxy


def test_the_block_shrinks_to_what_the_model_has_room_for(
    served: Proxy, upstream: FakeModel, tokenizers: list[tiktoken.Encoding]
) -> None:
    """From nothing in the way to more than fits by itself; the receipt and a header tell how much there was."""
    blocks: list[int] = []
    with served.client("ann", **{"X-Memory": "read"}) as client:
        for filler in range(0, 15_000, 1_500):
            said = [{"role": "user", "content": prose(filler)}, {"role": "assistant", "content": "I see."}]
            messages = [*said, {"role": "user", "content": QUESTION}]
            answered = sent(client, messages, "small")
            text, tokens = upstream.chats[-1].json["messages"][-1]["content"], int(answered["X-Memory-Tokens"])
            blocks.append(tokens)
            receipt = receipt_of(client, answered)
            assert len(receipt["recalled"]) == int(answered["X-Memory-Count"]) == text.count("I have cooked")
            assert str(receipt["context_room"]) == answered.get("X-Memory-Room", "None")
            if tokens:
                assert tokens <= (receipt["context_room"] or 600)
                assert all(counted(each, upstream.chats[-1].json) <= LIMIT for each in tokenizers)
            else:
                assert answered["X-Memory-Status"] == "miss"
                assert text == QUESTION
    assert blocks == sorted(blocks, reverse=True)
    assert blocks[0] > blocks[-1] == 0
    assert any(0 < each < blocks[0] for each in blocks)


def test_no_answer_may_be_pushed_out_either(served: Proxy) -> None:
    """What the client lets the answer have is not there for the block, under any of its names."""
    with served.client("ann", **{"X-Memory": "read"}) as client:
        for name in ("max_tokens", "max_completion_tokens"):
            assert sent(client, QUESTION, "small", **{name: 16})["X-Memory-Status"] == "hit"
            assert sent(client, QUESTION, "small", **{name: LIMIT - 50})["X-Memory-Count"] == "0"


def test_a_model_of_unknown_size_is_as_before(served: Proxy) -> None:
    """The block goes in however long the conversation is."""
    messages = [{"role": "user", "content": prose(50_000)}, {"role": "user", "content": QUESTION}]
    with served.client("ann", **{"X-Memory": "read"}) as client:
        answered = sent(client, messages, "unknown")
    assert answered["X-Memory-Status"] == "hit"
    assert "X-Memory-Room" not in answered


def test_a_smaller_model_behind_the_one_asked_gets_no_block_that_is_too_long(
    served: Proxy, upstream: FakeModel
) -> None:
    """The receipt is about the answer that came."""
    messages = [{"role": "user", "content": prose(10_200)}, {"role": "user", "content": QUESTION}]
    with served.client("ann", **{"X-Memory": "read"}) as client:
        answered = sent(client, messages, "falls")
        assert receipt_of(client, answered)["recalled"] == []
    assert upstream.chats[-1].json["messages"][-1]["content"] == QUESTION
    assert answered["X-Memory-Count"] == answered["X-Memory-Tokens"] == "0"


def test_a_block_that_shrank_is_not_kept_for_a_larger_model(served: Proxy) -> None:
    """The same words, asked again of another model, get the whole block; and a smaller one no longer block."""
    messages = [{"role": "user", "content": prose(10_200)}, {"role": "user", "content": f"{QUESTION} Tell me!"}]
    with served.client("ann", **{"X-Memory": "read", "X-Conversation-Id": "switching"}) as client:
        counts = [int(sent(client, messages, model)["X-Memory-Count"]) for model in ("small", "unknown", "small")]
    assert counts[0] < counts[1] > counts[2]


def test_what_is_asked_of_the_memory_is_done_without_room_for_a_word_about_it(served: Proxy) -> None:
    """Only the confirmation is left out."""
    with served.client("bea") as client:
        client.post("/v1/memories", json={"text": "My locker code is on the green card."}).raise_for_status()
        wish = "Forget that my locker code is on the green card."
        messages = [{"role": "user", "content": prose(14_000)}, {"role": "user", "content": wish}]
        assert sent(client, messages, "small")["X-Memory-Tokens"] == "0"
        eventually(lambda: client.get("/v1/memories?kind=fact").json()["data"] == [])


def test_the_estimate_is_never_below_what_tokenizers_count(tokenizers: list[tiktoken.Encoding]) -> None:
    """In any language, for code, tables, hashes and base64; nor is it far above."""
    pick = random.Random(1)
    texts = {"English": ENGLISH} | OTHERS
    texts["hashes"] = "\n".join(f"--hash=sha256:{pick.randbytes(32).hex()} \\" for _ in range(50))
    texts["numbers"] = " ".join(str(pick.random()) for _ in range(200))
    texts["base64"] = base64.b64encode(pick.randbytes(3_000)).decode()
    texts["source"] = Path(__file__).read_text()
    misses = []
    for name, text in texts.items():
        body = {"messages": [{"role": "user", "content": text * 20}]}
        real = max(len(each.encode(text * 20)) for each in tokenizers)
        estimate = estimated_tokens(body)
        if not real <= estimate <= 2.5 * real or most_tokens(json.dumps(body).encode(), body) < estimate:
            misses.append(f"{name}: {estimate} for {real}")
    assert not misses


def test_pictures_are_not_counted_as_text() -> None:
    """A picture of a megabyte costs as much as a small one, in every dialect."""
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(1_000_000)).decode()
    parts: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "input_image", "image_url": f"data:image/png;base64,{data}"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    ]
    for part in parts:
        assert 1_600 < estimated_tokens({"messages": [{"role": "user", "content": [part]}]}) < 8_000
    assert 1_600 < estimated_tokens({"messages": [{"role": "user", "content": "", "images": [data]}]}) < 8_000


def test_the_limit_is_what_the_operator_says_or_else_litellms_map() -> None:
    """A model that nobody knows has none, and what is no number is refused."""
    assert context_limit(Deployment("x", "openai", "gpt-4o")) == 128_000
    assert context_limit(Deployment("x", "openai", "gpt-4o", max_input_tokens=9)) == 9
    assert context_limit(Deployment("x", "openai", 'no "such" model')) is None
    with pytest.raises(ConfigError, match="max_input_tokens"):
        Catalog([entry("a", "openai/a", "http://127.0.0.1:9/v1", max_input_tokens="8k")], {})


@pytest.fixture
def tokenizers(monkeypatch: pytest.MonkeyPatch) -> list[tiktoken.Encoding]:
    """Their files come with litellm."""
    package = find_spec("litellm")
    assert package
    assert package.origin
    folder = Path(package.origin).parent / "litellm_core_utils" / "tokenizers"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
    return [tiktoken.get_encoding(name) for name in ("cl100k_base", "o200k_base")]


def prose(characters: int) -> str:
    return (ENGLISH * (characters // len(ENGLISH) + 1))[:characters]


def counted(encoding: tiktoken.Encoding, body: Any) -> int:
    return sum(len(encoding.encode(each["content"])) + 4 for each in body["messages"])


def sent(client: httpx.Client, messages: Any, model: str, **more: Any) -> httpx.Headers:
    if isinstance(messages, str):
        return ask(client, messages, model, **more).raise_for_status().headers
    body = {"model": model, "messages": messages} | more
    return client.post("/v1/chat/completions", json=body).raise_for_status().headers


def receipt_of(client: httpx.Client, headers: httpx.Headers) -> Any:
    """The API itself waits a moment for a receipt that is not stored yet."""
    found = eventually(lambda: [client.get(f"/v1/receipts/{headers['X-Memory-Receipt']}").raise_for_status().json()])
    return found[0]
