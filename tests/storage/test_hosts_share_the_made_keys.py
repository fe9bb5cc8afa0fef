"""Web processes of two hosts with one Redis: a key made or revoked at one is so at the other, whatever Redis does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from rememberd.cli.main import main
from tests.support.apart import Apart
from tests.support.fake_model import FakeModel
from tests.support.proxy_server import eventually
from tests.support.redis_process import RedisServer, redis_running

ADMIN = "sk-admin"
WEB = "web-0"


@contextmanager
def hosts(folder: Path, upstream: FakeModel, server: RedisServer, *names: str) -> Iterator[list[Apart]]:
    """Each with a data directory of its own and without keys in its settings."""
    memory = {"queue": {"url": server.url}}
    found = []
    for name in names:
        (folder / name).mkdir()
        found.append(Apart(folder / name, upstream.url, memory, keys=None, admin_key=ADMIN))
    try:
        for host in found:
            host.start(WEB)
        for host in found:
            eventually(lambda host=host: httpx.get(f"{host.urls[WEB]}/health/live"))  # type: ignore[misc]
        yield found
    finally:
        for host in found:
            host.close()


def made(host: Apart, name: str) -> httpx.Response:
    fields = {"name": name, "user": name}
    return httpx.post(f"{host.urls[WEB]}/admin/keys", json=fields, headers={"x-api-key": ADMIN}, timeout=120)


def status(host: Apart, key: str = "") -> int:
    return httpx.get(f"{host.urls[WEB]}/v1/models", headers={"x-api-key": key} if key else {}).status_code


def cli(host: Apart, *words: str) -> int:
    return main(["keys", *words, "--config", str(host.config)])


@pytest.mark.slow
def test_made_here_it_opens_there_and_revoked_there_it_is_refused_here(
    tmp_path: Path, upstream: FakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the admin API or the command, within two seconds. While Redis is down who was known is known and nobody
    else gets in, which each log says once."""
    with (
        redis_running(tmp_path, "--appendfsync", "always") as server,
        hosts(tmp_path, upstream, server, "a", "b") as (a, b),
    ):
        assert status(a) == status(b) == 401  # with an admin key, before any key was made
        ada = made(a, "ada").json()["key"]
        eventually(lambda: status(b, ada) == 200, 2)
        assert made(b, "ada").status_code == 409
        assert cli(b, "create", "bob", "--user", "bob") == 0
        bob = capsys.readouterr().out.strip()
        eventually(lambda: status(a, bob) == status(b, bob) == 200, 2)
        assert cli(a, "revoke", "bob") == 0
        eventually(lambda: status(a, bob) == status(b, bob) == 401, 2)
        server.kill(signal.SIGKILL)
        eventually(lambda: "created keys cannot be read" in log(a))
        assert {status(host, ada) for host in (a, b)} == {200}
        assert {status(host, key) for host in (a, b) for key in ("", bob, "sk-unknown")} == {401}
        server.start()
        eventually(lambda: "created keys can be read again" in log(a))
        assert {status(host, ada) for host in (a, b)} == {200}
        assert {status(host, key) for host in (a, b) for key in ("", bob)} == {401}
        assert log(a).count("created keys cannot be read") == 1
        assert not any((tmp_path / name / "data" / "keys.db").exists() for name in "ab")


@pytest.mark.slow
def test_a_host_that_starts_while_redis_is_away_lets_nobody_in_until_it_is_back(
    tmp_path: Path, upstream: FakeModel
) -> None:
    """Without keys in its settings it cannot know that none are needed. Nor is a key made meanwhile."""
    with redis_running(tmp_path, "--appendfsync", "always") as server, hosts(tmp_path, upstream, server, "a") as (a,):
        ada = made(a, "ada").json()["key"]
        server.kill(signal.SIGKILL)
        with hosts(tmp_path, upstream, server, "c") as (c,):
            assert {status(c, key) for key in ("", ada, "sk-unknown")} == {401}
            assert made(c, "cyd").status_code == 503
            server.start()
            eventually(lambda: status(c, ada) == 200, 5)
            assert status(c) == 401
            assert made(c, "cyd").status_code == 201


def log(host: Apart) -> str:
    return (host.folder / f"{WEB}.log").read_text()
