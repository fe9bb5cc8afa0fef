"""The examples of deploy/internet, run before a proxy: TLS, streams token by token, the inside kept inside."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from loadtests.servers import free_port
from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import PATIENCE, Proxy, eventually

INTERNET = Path(__file__).parents[2] / "deploy" / "internet"
pytestmark = pytest.mark.slow


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: .ci/run installs it")
    return found


@contextmanager
def nginx(folder: Path, behind: str) -> Iterator[str]:
    """The example in an `http` block of our own, with ports, names and a certificate of this test."""
    cert, key, port = folder / "fullchain.pem", folder / "privkey.pem", free_port()
    request = [
        tool("openssl"),
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*request, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    example = (INTERNET / "nginx.conf").read_text()
    for old, new in (
        ("127.0.0.1:8787", behind),
        ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
        ("listen [::]:80;", ""),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{port} ssl http2;"),
        ("listen [::]:443 ssl http2;", ""),
        ("/etc/ssl/rememberd/fullchain.pem", str(cert)),
        ("/etc/ssl/rememberd/privkey.pem", str(key)),
    ):
        assert old in example
        example = example.replace(old, new)
    config = folder / "nginx.conf"
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}"
    config.write_text(f"{head} http {{ access_log off; {temporary} {example} }}")
    process = subprocess.Popen([tool("nginx"), "-c", str(config), "-p", str(folder)], stderr=subprocess.DEVNULL)
    try:
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextmanager
def caddy(folder: Path, behind: str) -> Iterator[str]:
    """The example by plain HTTP, for nobody gives this machine a certificate, and to one address."""
    port, example = free_port(), (INTERNET / "Caddyfile").read_text()
    begin, end = example.index("\t\tdynamic a {"), example.index("\t\tflush_interval")
    config = folder / "Caddyfile"
    config.write_text("{\n\tadmin off\n}\n" + example[:begin] + f"\t\tto {behind}\n" + example[end:])
    own = {"REMEMBERD_DOMAIN": f"http://127.0.0.1:{port}", "XDG_DATA_HOME": str(folder), "HOME": str(folder)}
    command = [tool("caddy"), "run", "--config", str(config), "--adapter", "caddyfile"]
    whole = subprocess.run(
        [tool("caddy"), "adapt", "--config", str(INTERNET / "Caddyfile"), "--adapter", "caddyfile"],
        env=own | {"REMEMBERD_DOMAIN": "chat.example.org"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert whole.returncode == 0, whole.stderr
    process = subprocess.Popen(command, env=own, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextmanager
def reached(front: object, folder: Path, proxy: Proxy) -> Iterator[httpx.Client]:
    assert callable(front)
    insecure = ssl.create_default_context()
    insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
    with (
        front(folder, proxy.url.removeprefix("http://")) as url,
        httpx.Client(base_url=url, verify=insecure, timeout=PATIENCE, trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize("front", [nginx, caddy], ids=["nginx", "caddy"])
def test_an_example_lets_in_what_clients_need_and_nothing_else(
    front: object, tmp_path: Path, proxy: Proxy, upstream: FakeModel, user: str
) -> None:
    """Chats and memories pass, a stream's tokens one by one; /admin, /metrics and /health are not there."""
    with reached(front, tmp_path, proxy) as client:
        client.headers.update({"Authorization": "Bearer sk-webui", "X-Memory-User": user})
        models = eventually(lambda: client.get("/v1/models"))
        assert models.status_code == 200
        assert models.headers["strict-transport-security"]
        for path in ("/metrics", "/health/ready", "/health/live", "/admin/keys", "/admin/usage"):
            assert client.get(path).status_code == 404, path
        client.post("/v1/memories", json={"text": "I live in Visby."}).raise_for_status()
        upstream.script(Behaviour(answer="one two three four five", delay_chunk=0.3))
        body = {"model": "model-a", "stream": True, "messages": [{"role": "user", "content": "Count."}]}
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            pieces = [piece for piece in answer.iter_raw() if piece]
        assert len(pieces) >= 5
        assert b"[DONE]" in pieces[-1]


@pytest.mark.parametrize("front", [nginx, caddy], ids=["nginx", "caddy"])
def test_no_address_of_a_person_reaches_the_provider(
    front: object, tmp_path: Path, proxy: Proxy, upstream: FakeModel, user: str
) -> None:
    """Neither the one that the example passes on nor the one that the client makes up, which changes nothing."""
    made_up = {"X-Forwarded-For": "203.0.113.7", "X-Real-IP": "203.0.113.7", "Forwarded": "for=203.0.113.7"}
    with reached(front, tmp_path, proxy) as client:
        body = {"model": "model-a", "messages": [{"role": "user", "content": "I own a kayak."}]}
        who = {"Authorization": "Bearer sk-webui", "X-Memory-User": user}
        answer = eventually(lambda: client.post("/v1/chat/completions", json=body, headers=who | made_up))
        assert (answer.status_code, answer.headers["X-Memory-Write"]) == (200, "on")
    sent = {name.lower(): value for name, value in upstream.chats[-1].headers.items()}
    assert not [name for name in sent if "forwarded" in name or name in ("x-real-ip", "via")]
    assert "203.0.113.7" not in str(sent) + "".join(proxy.log)


@pytest.mark.parametrize("front", [nginx, caddy], ids=["nginx", "caddy"])
def test_without_keys_nobody_comes_in_through_a_reverse_proxy(
    front: object, tmp_path: Path, upstream: FakeModel
) -> None:
    """To a proxy without keys everyone behind it would be the user `local`."""
    with running_here(tmp_path / "open", {"model-a": upstream.url}, keys=None) as proxy:
        httpx.post(f"{proxy.url}/v1/memories", json={"text": "I live in Visby."}).raise_for_status()
        with reached(front, tmp_path, proxy) as client:
            answer = eventually(lambda: client.get("/v1/memories"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_origin")
