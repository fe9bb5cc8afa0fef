"""An operator sees what was used, by key, user, model and day, and what it cost; a key may have a daily limit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rememberd.telemetry.usage.answers import Tokens, estimated, reported
from rememberd.telemetry.usage.prices import look_up
from tests.support.fake_model import FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import Proxy, ask, entry, eventually

ADMIN = {"Authorization": "Bearer sk-admin"}
KEYS = [
    {"name": "webui", "key": "sk-webui", "trust_identity": True},
    {"name": "small", "key": "sk-small", "user": "sam", "tokens_per_day": 15},
]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    others = [
        entry("claude", "anthropic/claude-sonnet-4-5", upstream.origin),
        entry("gpt", "openai/gpt-4o", upstream.url),
    ]
    folder = tmp_path_factory.mktemp("usage")
    with running_here(folder, {"model-a": upstream.url}, others=others, keys=KEYS, admin_key="sk-admin") as proxy:
        yield proxy


def usage(proxy: Proxy, **query: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{proxy.url}/admin/usage", params=query, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


def test_each_dialect_is_counted_streamed_or_not(counted: Proxy) -> None:
    """Tokens as the answers say them; those of a stream that says nothing are an estimate, and said to be one."""
    message = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
    with counted.client("dora", **{"anthropic-version": "2023-06-01"}) as client:
        for body in ({}, {"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}):
            client.post("/v1/chat/completions", json={"model": "gpt", **message, **body}).raise_for_status()
        for body in ({}, {"stream": True}):
            client.post("/v1/messages", json={"model": "claude", **message, **body}).raise_for_status()
        client.post(
            "/v1/chat/completions", json={"model": "gpt", **message}, headers={"X-Memory": "off"}
        ).raise_for_status()
        client.post("/v1/embeddings", json={"model": "gpt", "input": "Hi"}).raise_for_status()
        assert client.post("/v1/chat/completions", json={"model": "nobody", **message}).status_code == 404

    def rows() -> dict[str, dict[str, Any]]:
        found = usage(counted, by="user,model")
        return {each["model"]: each for each in found if each["user"] == "dora"}

    found = eventually(lambda: (each := rows()) and sum(row["requests"] for row in each.values()) == 7 and each)
    assert (found["gpt"]["requests"], found["gpt"]["estimated_requests"]) == (5, 1)
    assert (found["claude"]["requests"], found["claude"]["estimated_requests"]) == (2, 0)
    assert (found["claude"]["input_tokens"], found["claude"]["output_tokens"]) == (14, 6)
    assert found["claude"]["cost_usd"] == pytest.approx(14 * 3e-6 + 6 * 15e-6)
    assert found["gpt"]["cost_usd"] > 0


def test_a_key_that_has_used_its_tokens_waits_until_tomorrow(counted: Proxy) -> None:
    """The answer is 429 with the time until the end of the day; other keys are still served."""
    with counted.client(key="sk-small") as client:

        def refused() -> httpx.Response | None:
            answer = ask(client, "Hi")
            return answer if answer.status_code == 429 else None

        answer = eventually(refused)
        assert answer is not None
        assert answer.json()["error"]["code"] == "token_limit_exceeded"
        assert 0 < int(answer.headers["retry-after"]) <= 86_400
        assert client.get("/v1/memories").status_code == 429
    with counted.client("dora") as client:
        assert ask(client, "Hi").status_code == 200


def test_the_command_and_the_metrics_say_the_same(counted: Proxy) -> None:
    """Prometheus by model and key, never by user; the command reads the files also while the proxy runs."""
    with counted.client("erna") as client:
        ask(client, "Hi")
    eventually(lambda: [row for row in usage(counted, by="user") if row["user"] == "erna"])
    metrics = httpx.get(f"{counted.url}/metrics", headers=ADMIN).text
    assert re.search(r'rememberd_usage_tokens_total\{key="webui",kind="input",model="model-a"\} [1-9]', metrics)
    assert not re.search(r"rememberd_usage.*(erna|dora)", metrics)
    command = [sys.executable, "-m", "rememberd", "usage", "--by", "user,key", "--json"]
    config = counted.data.parent / "rememberd.yaml"
    done = subprocess.run([*command, "--config", str(config)], capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert ("erna", "webui") in {(row["user"], row["key"]) for row in rows}


def test_an_erased_users_name_is_gone_from_the_usage(counted: Proxy) -> None:
    with counted.client("frida") as client:
        ask(client, "Hi")
        eventually(lambda: [row for row in usage(counted, by="user") if row["user"] == "frida"])
        before = sum(row["requests"] for row in usage(counted, by="key"))
        client.delete("/v1/memories").raise_for_status()
    assert "frida" not in {row["user"] for row in usage(counted, by="user")}
    assert sum(row["requests"] for row in usage(counted, by="key")) == before


def test_only_the_admin_key_opens_it_and_bad_questions_are_named(counted: Proxy) -> None:
    url = f"{counted.url}/admin/usage"
    assert httpx.get(url, headers={"Authorization": "Bearer sk-webui"}).status_code == 401
    for query, parameter in (({"by": "colour"}, "by"), ({"since": "yesterday"}, "since")):
        answer = httpx.get(url, params=query, headers=ADMIN)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, parameter)


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        (
            {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}},
            Tokens(9, 3, 4),
        ),
        (
            {
                "input_tokens": 9,
                "cache_read_input_tokens": 5,
                "cache_creation_input_tokens": 6,
                "output_tokens": 3,
            },
            Tokens(20, 3, 5),
        ),
        ({"prompt_eval_count": 9, "eval_count": 3}, Tokens(9, 3)),
        ({"text": 'he wrote "prompt_tokens": 99'}, None),
        ({}, None),
    ],
)
def test_tokens_are_read_in_each_dialect(answer: dict[str, Any], tokens: Tokens | None) -> None:
    usage = answer if "text" in answer or "eval_count" in answer else {"usage": answer}
    assert reported(json.dumps({"choices": [], **usage}).encode()) == tokens


def test_a_stream_that_says_nothing_is_estimated_by_its_events() -> None:
    event = b'data: {"choices":[{"delta":{"content":"word"}}]}\n\n'
    tokens = estimated(400, event * 20, len(event) * 100, streamed=True)
    assert tokens == Tokens(100, 100, estimated=True)


def test_prices_are_those_of_litellm_and_unknown_models_have_none() -> None:
    prices = look_up(["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "openai/my-own"])
    assert set(prices) == {"openai/gpt-4o", "anthropic/claude-sonnet-4-5"}
    assert prices["openai/gpt-4o"].cached < prices["openai/gpt-4o"].input < prices["openai/gpt-4o"].output


def test_looking_up_prices_imports_no_litellm(tmp_path: Path) -> None:
    code = (
        "import sys; from rememberd.telemetry.usage.prices import look_up; look_up(['openai/gpt-4o']);"
        " sys.exit('litellm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
