"""Keys come and go while it runs: made, limited, expired and revoked, in every web process, and never on disk."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from rememberd.access.identity import identify
from rememberd.access.rate_limit import RateLimits
from rememberd.cli.main import main
from rememberd.errors import ConfigError, RequestError
from rememberd.settings.schema import load
from rememberd.types import Principal
from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask, eventually, running

ADMIN = "sk-admin"
HASHED = "a key that only its holder has"
NUTS = "I am allergic to Zwitscherling nuts."


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """With two web processes, and a key in the settings of which they hold the hash."""
    keys = [
        {"name": "hashed", "key_hash": f"sha256:{sha256(HASHED.encode()).hexdigest()}", "user": "hal"},
        {"name": "nora", "key": "sk-nora", "user": "nora"},
        {"name": "sensor", "key": "sk-sensor", "user": "nora", "memory": "write"},
    ]
    folder = tmp_path_factory.mktemp("own")
    with running(
        folder, {"model-a": upstream.url}, keys=keys, admin_key=ADMIN, server={"port": 0, "workers": 2}
    ) as proxy:
        yield proxy


def admin(proxy: Proxy) -> httpx.Client:
    return proxy.client(key=ADMIN)


def made(proxy: Proxy, **fields: Any) -> dict[str, Any]:
    with admin(proxy) as client:
        reply = client.post("/admin/keys", json=fields)
    assert reply.status_code == 201, reply.text
    found: dict[str, Any] = reply.json()
    return found


def statuses(proxy: Proxy, key: str, times: int = 8) -> set[int]:
    """Over connections of their own, so that every web process is asked."""
    headers = {"Authorization": f"Bearer {key}"}
    return {httpx.get(f"{proxy.url}/v1/models", headers=headers).status_code for _ in range(times)}


def everywhere(proxy: Proxy, key: str) -> bool:
    """Is this key in force in each web process? On a busy machine one of them may read its keys seconds after the
    other, and take few connections meanwhile: so many answers in a row must be good, at some distance."""
    for _ in range(5):
        if statuses(proxy, key, 10) != {200}:
            return False
        time.sleep(0.3)
    return True


def cli(proxy: Proxy, *words: str) -> int:
    return main(["keys", *words, "--config", str(proxy.data.parent / "rememberd.yaml")])


def test_a_made_key_holds_in_every_process_until_it_is_revoked(own: Proxy) -> None:
    """Within a second or two, without a restart; then it is as unknown as any other."""
    key = made(own, name="ada's", user="ada")
    eventually(lambda: statuses(own, key["key"]) == {200})
    with admin(own) as client:
        assert client.delete(f"/admin/keys/{key['id']}").status_code == 200
        assert client.delete(f"/admin/keys/{key['id']}").status_code == 404
    eventually(lambda: statuses(own, key["key"]) == {401})


def test_the_command_line_does_the_same(
    own: Proxy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the data directory of a proxy that runs; the key is all that goes to stdout."""
    assert cli(own, "create", "cleo", "--user", "cleo", "--model", "model-*") == 0
    key = capsys.readouterr().out.strip()
    eventually(lambda: statuses(own, key) == {200})
    assert cli(own, "create", "cleo", "--user", "eve") == 2
    assert "revoke it first" in capsys.readouterr().err
    assert cli(own, "create", "hashed", "--user", "eve") == 2
    assert cli(own, "create", "nobody's") == 2
    assert "names no user" in capsys.readouterr().err
    monkeypatch.delenv("COLUMNS", raising=False)
    assert cli(own, "list") == 0
    listed = capsys.readouterr().out
    assert re.search(r"in force +cleo +cleo .*model model-\*", listed)
    assert key not in listed
    assert cli(own, "revoke", "cleo") == 0
    eventually(lambda: statuses(own, key) == {401})


def test_a_key_is_nowhere_on_disk(own: Proxy) -> None:
    """A key is in no list. The settings may hold its hash instead."""
    key = made(own, name="secret's", user="ada")["key"]
    assert statuses(own, HASHED) == {200}
    files = [path for path in own.data.parent.rglob("*") if path.is_file()]
    assert own.data / "keys.db" in files
    for path in files:
        content = path.read_bytes()
        assert key.encode() not in content, path
        assert HASHED.encode() not in content, path
    with admin(own) as client:
        listed = client.get("/admin/keys").text
    assert key not in listed
    assert sha256(key.encode()).hexdigest() not in listed
    assert '"name":"hashed"' in listed


@pytest.mark.slow
def test_the_hash_for_the_settings_is_printed() -> None:
    """Of the standard input: an argument would stand in the shell's history."""
    command = [sys.executable, "-m", "rememberd", "keys", "hash"]
    printed = subprocess.run(command, input=f"{HASHED}\n", capture_output=True, text=True, check=True).stdout
    assert printed.strip() == f"sha256:{sha256(HASHED.encode()).hexdigest()}"


def test_an_expired_key_is_refused(own: Proxy) -> None:
    """With a message of its own, so that nobody looks for a typing error."""
    key = made(own, name="old", user="ada", expires_at="2020-01-31")["key"]
    headers = {"x-api-key": key}
    eventually(lambda: "that API key has expired" in httpx.get(f"{own.url}/v1/models", headers=headers).text)
    assert statuses(own, key) == {401}


def test_a_key_is_rotated_with_an_overlap(own: Proxy) -> None:
    """Old and new open the same until the overlap is over; without one the old key is refused at once."""
    first = made(own, name="turning", user="ada")["key"]
    with admin(own) as client:
        second = client.post("/admin/keys/turning/rotate", json={"overlap_seconds": 3600}).json()["key"]
        eventually(lambda: (statuses(own, first), statuses(own, second)) == ({200}, {200}))
        third = client.post("/admin/keys/turning/rotate").json()["key"]
        eventually(lambda: (statuses(own, second), statuses(own, third)) == ({401}, {200}))
        assert statuses(own, first) == {200}
        assert client.post("/admin/keys/nobody/rotate").status_code == 404
        refused = client.post("/admin/keys/turning/rotate", json={"overlap_seconds": -1})
    assert refused.status_code == 400
    assert "overlap_seconds" in refused.json()["error"]["message"]


def test_a_limit_counts_over_all_processes(own: Proxy) -> None:
    """Exactly, whichever of them is asked; 429 in the dialect's shape says when to come back. Others go on."""
    key = made(own, name="slow", user="ada", requests_per_minute=5)["key"]
    later = made(own, name="later", user="ada")["key"]
    eventually(lambda: everywhere(own, later))  # where a later key is known, this one is
    with own.client(key=key, Connection="close") as client:
        asked = [ask(client, "Hi").status_code for _ in range(8)]
        assert sorted(asked) == [200] * 5 + [429] * 3
        refused = ask(client, "Hi")
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert 1 <= int(refused.headers["retry-after"]) <= 12
        anthropic = client.post("/v1/messages", json={"model": "model-a", "messages": []})
        assert anthropic.json()["error"]["type"] == "rate_limit_error"
    assert statuses(own, HASHED) == {200}


def test_a_call_of_a_tool_counts_once(own: Proxy) -> None:
    """Though it is answered by asking the memory API."""
    key = made(own, name="tool", user="ada", requests_per_minute=3)["key"]
    later = made(own, name="after the tool's", user="ada")["key"]
    eventually(lambda: everywhere(own, later))
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_memories", "arguments": {}}}
    accepted = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
    with own.client(key=key, **accepted) as client:
        answers = [client.post("/mcp", json=call) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert not any(answer.json()["result"]["isError"] for answer in answers[:3])


def test_the_limit_lets_through_what_it_says(tmp_path: Path) -> None:
    """A burst, then one in each interval; counted by two processes, kept apart for two keys, and a clock that was
    set back locks nobody out."""
    one, two = RateLimits(tmp_path / "limits"), RateLimits(tmp_path / "limits")
    key, other = b"k" * 16, b"o" * 16
    assert [(one, two)[n % 2].take(key, 6, 100.0) for n in range(7)] == [None] * 6 + [10]
    assert two.take(other, 6, 100.0) is None
    assert two.take(key, 6, 109.0) == 1
    assert two.take(key, 6, 110.0) is None
    assert one.take(key, 6, 110.0) == 10
    assert one.take(key, 6, 1000.0) is None
    assert one.take(key, 6, 5.0) is None
    for limits in (one, two):
        limits.close()


def test_a_key_for_a_scope_stays_in_it(own: Proxy) -> None:
    """The key's scope is used without being named. The key cannot name another scope, nor erase the user in all
    scopes."""
    key = made(own, name="worker", user="wendy", scopes=["work", "team"])["key"]
    eventually(lambda: everywhere(own, key))
    with own.client(key=key) as client:
        client.post("/v1/memories", json={"text": "I plan the launch."}).raise_for_status()
        assert client.get("/v1/memories", headers={"X-Memory-Scope": "default"}).status_code == 403
        assert client.get("/v1/memories", headers={"X-Memory-Scope": "team"}).json()["data"] == []
        assert len(client.get("/v1/memories", headers={"X-Memory-Scope": "work"}).json()["data"]) == 1
        assert ask(client, "Hi").status_code == 200
        client.headers["X-Memory-Scope"] = "home"
        assert ask(client, "Hi").status_code == 403
        assert client.delete("/v1/memories", headers={"X-Memory-Scope": "work"}).status_code == 403


def test_scopes_bind_every_identity() -> None:
    """A request that names its user cannot name a scope beyond those of its key."""
    held = Principal("app", trust_identity=True, scopes=("work",))
    found = identify(held, {"x-memory-user": "ada"}, {})
    assert found is not None
    assert found.scope == "work"
    with pytest.raises(RequestError, match="may not use the scope 'home'"):
        identify(held, {"x-memory-user": "ada", "x-memory-scope": "home"}, {})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": "x"},
        {"name": "", "user": "u"},
        {"name": "x", "user": 7},
        {"name": "x", "user": "u", "models": "gpt"},
        {"name": "x", "user": "u", "scopes": ["a b"]},
        {"name": "x", "user": "u", "requests_per_minute": 0},
        {"name": "x", "user": "u", "requests_per_minute": True},
        {"name": "x", "user": "u", "expires_at": "soon"},
        {"name": "x", "user": "u", "jwt_secret": "s"},
    ],
)
def test_a_key_that_makes_no_sense_is_400(own: Proxy, fields: dict[str, Any]) -> None:
    """The error says what to write instead. A `jwt_secret` would have to be stored unencrypted."""
    with admin(own) as client:
        reply = client.post("/admin/keys", json=fields)
    assert reply.status_code == 400
    assert "`" in reply.json()["error"]["message"] or "names no user" in reply.json()["error"]["message"]


@pytest.mark.slow
def test_once_a_key_was_made_the_proxy_stays_closed(tmp_path: Path, upstream: FakeModel) -> None:
    """Without keys it serves this machine as `local`; revoking the last made key must not open it again."""
    with running(tmp_path, {"model-a": upstream.url}, keys=None) as proxy:
        assert httpx.get(f"{proxy.url}/v1/models").status_code == 200
        assert cli(proxy, "create", "ada", "--user", "ada") == 0
        eventually(lambda: httpx.get(f"{proxy.url}/v1/models").status_code == 401)
        assert cli(proxy, "revoke", "ada") == 0
        proxy.kill("web")
        eventually(lambda: httpx.get(f"{proxy.url}/v1/models").status_code == 401)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("[{name: a, user: u}]", "either `key` or `key_hash`"),
        ("[{name: a, user: u, key: k, key_hash: 'sha256:00'}]", "either `key` or `key_hash`"),
        ("[{name: a, user: u, key_hash: 'md5:00'}]", "key_hash must be"),
        ("[{name: a, user: u, key: k}, {name: b, user: v, key: k}]", "give each its own key"),
        ("[{name: a, user: u, key: sk-admin}]", "give each its own key"),
        ("[{name: a, user: u, key: k, scopes: [a b]}]", "'a b'"),
        ("[{name: a, user: u, key: k, expires_at: soon}]", "expires_at"),
    ],
)
def test_the_settings_refuse_the_same(tmp_path: Path, keys: str, said: str) -> None:
    """Before anything starts."""
    path = tmp_path / "rememberd.yaml"
    path.write_text(f"admin_key: sk-admin\nkeys: {keys}\n")
    with pytest.raises(ConfigError, match=said):
        load(path, {})


def test_a_date_in_the_settings_needs_no_quotes(tmp_path: Path) -> None:
    """YAML would read it as a date; the setting keeps it as text."""
    path = tmp_path / "rememberd.yaml"
    path.write_text("keys: [{name: a, user: u, key: k, expires_at: 2027-01-31}]\n")
    keys = load(path, {}).keys
    assert keys is not None
    assert keys[0].expires_at == "2027-01-31"


def test_a_list_of_no_keys_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty answer looks like a failure."""
    monkeypatch.setenv("REMEMBERD_DATA_DIR", str(tmp_path))
    assert main(["keys", "list"]) == 0
    assert "rememberd keys create NAME --user USER" in capsys.readouterr().out


def test_a_key_may_be_for_reading_or_writing_alone(own: Proxy) -> None:
    """In chats, whatever X-Memory asks for, and in the memory API; `off` opens neither. All of one user here."""
    keys = {
        mode: made(own, name=f"may {mode}", user="mia", memory=mode)["key"] for mode in ("on", "read", "write", "off")
    }
    eventually(lambda: everywhere(own, keys["off"]))  # where the last key is known, the others are
    may = {"on": ("hit", "on"), "read": ("hit", "off"), "write": ("off", "on"), "off": ("off", "off")}
    with own.client(key=keys["on"]) as client:
        client.post("/v1/memories", json={"text": "I am allergic to peanuts."}).raise_for_status()
    for mode, (status, write) in may.items():
        with own.client(key=keys[mode]) as client:
            told = ask(client, "Am I allergic to peanuts?").headers
            assert (told["x-memory-status"], told["x-memory-write"]) == (status, write), mode
            reads = (client.get("/v1/memories"), client.post("/v1/memories/search", json={"query": "peanuts"}))
            assert {each.status_code for each in reads} == {200 if status == "hit" else 403}, mode
            added = client.post("/v1/memories", json={"text": "I keep bees."})
            assert added.status_code == (200 if write == "on" else 403), mode
            looks = client.post("/v1/memories/import?dry_run=1", json={"text": "I am allergic to soy."})
            assert looks.status_code == (200 if mode == "on" else 403), mode  # this key may read
    with own.client(key=keys["read"], **{"X-Memory": "write"}) as client:
        told = ask(client, "Am I allergic to peanuts?").headers
        assert (told["x-memory-status"], told["x-memory-write"]) == ("off", "off")
    with admin(own) as client:
        assert client.post("/admin/keys", json={"name": "x", "user": "x", "memory": "some"}).status_code == 400


def test_no_answer_to_a_write_holds_what_was_remembered(own: Proxy) -> None:
    """Each way to write is tried on a memory that another key has told; what it wrote itself it knows."""
    with own.client(key="sk-nora") as nora, own.client(key="sk-sensor") as sensor:
        id = nora.post("/v1/memories", json={"text": NUTS}).raise_for_status().json()["id"]
        file = {"command": "create", "path": "/memories/a.md", "file_text": NUTS}
        assert not nora.post("/v1/memories/files", json=file).json()["is_error"]
        whole = nora.post("/v1/memories/delete", json={"ids": [id], "dry_run": True}).json()["data"]
        assert whole[0]["text"] == NUTS
        asked: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "/v1/memories", {"text": NUTS.upper()}),
            ("PATCH", f"/v1/memories/{id}", {"private": False}),
            ("POST", "/v1/memories/import", {"text": NUTS.upper()}),
            ("POST", "/v1/memories/import?dry_run=1", {"text": NUTS.upper()}),
            ("POST", "/v1/memories/files", {"command": "view", "path": "/memories/a.md"}),
            ("POST", "/v1/memories/files", {"command": "insert", "path": "/memories/a.md", "insert_line": 0}),
            ("POST", "/v1/memories/delete", {"ids": [id], "dry_run": True}),
            ("POST", "/v1/memories/delete", {"ids": [id]}),
            ("POST", "/v1/memories/restore", {"memories": whole}),
            ("POST", "/v1/memories/move", {"ids": [id], "scope": "elsewhere"}),
            ("PATCH", f"/v1/memories/{id}", {"pinned": False}),
        ]
        for method, path, body in asked:
            answer = sensor.request(method, path, json=body)
            assert "Zwitscherling" not in answer.text, (method, path, body)
        back = nora.post("/v1/memories", json={"text": NUTS}).raise_for_status().json()
        deleted = sensor.post("/v1/memories/delete", json={"ids": [back["id"]]}).raise_for_status().json()
        assert deleted["data"] == [{"id": back["id"], "object": "memory", "asked": True}]
        assert nora.get(f"/v1/memories/{back['id']}").status_code == 404
