"""Making the first key says what ends and who owns what was remembered; nobody loses their memories by it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from loadtests.servers import free_port
from rememberd.cli.main import main
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.queue import SqliteQueue
from tests.support.fake_model import FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import ask, eventually, memories, remembered, running
from tests.support.queue_contract import turn


def keys(folder: Path, *words: str) -> int:
    return main(["keys", *words, "--config", str(folder / "rememberd.yaml")])


@pytest.mark.slow
def test_the_first_key_takes_nothing_from_anyone(
    tmp_path: Path, upstream: FakeModel, capfd: pytest.CaptureFixture[str]
) -> None:
    """It says that access without a key ends for good and that the memories are `local`'s. `--adopt-local` moves
    them, with their history and the settings of `local`, beside the running proxy. The next start says
    that a key is needed."""
    with running(tmp_path, {"model-a": upstream.url}, keys=None) as proxy:
        with httpx.Client(base_url=proxy.url, timeout=120) as local:
            ask(local, "Hi, my name is Ada. I live in Oslo.")
            remembered(local, "Oslo", "fact")
            remembered(local, "name is Ada", "fact")
            fact = local.post("/v1/memories", json={"text": "I play the cello."}).json()
            local.patch(f"/v1/memories/{fact['id']}", json={"text": "I play the viola."}).raise_for_status()
            local.post("/v1/memories", json={"text": "I plan."}, headers={"X-Memory-Scope": "work"})
            local.put("/v1/memories/settings", json={"paused": True, "time_zone": "Asia/Tokyo"}).raise_for_status()
            before = texts(memories(local))
        capfd.readouterr()
        assert keys(tmp_path, "create", "ada", "--user", "ada") == 0
        said = capfd.readouterr()
        assert "From now on every request needs a key" in said.err
        assert "`local`: its" in said.err
        assert "--user ada --adopt-local" in said.err
        first = said.out.strip()
        eventually(lambda: httpx.get(f"{proxy.url}/v1/models").status_code == 401)
        with proxy.client(key=first) as ada:
            assert memories(ada) == []
            assert keys(tmp_path, "create", "laptop", "--user", "ada", "--adopt-local") == 0
            assert "belong to ada now" in capfd.readouterr().err
            assert texts(memories(ada)) == before
            kept = ada.get("/v1/memories/settings").json()
            assert (kept["paused"], kept["time_zone"]) == (True, "Asia/Tokyo")
            viola = next(each for each in memories(ada) if each["text"] == "I play the viola.")
            changes = ada.get(f"/v1/memories/{viola['id']}/history").json()["data"]
            assert "I play the cello." in [each["text"] for each in changes]
            assert ada.get("/v1/memories", headers={"X-Memory-Scope": "work"}).json()["data"][0]["text"] == "I plan."
        assert keys(tmp_path, "create", "old", "--user", "local") == 0
        with proxy.client(key=capfd.readouterr().out.strip()) as local:
            eventually(lambda: local.get("/v1/models").status_code == 200)
            assert memories(local) == []
    ready = started_again(tmp_path)
    assert "no key needed" not in ready
    assert "`rememberd keys list`" in ready


def test_a_key_that_the_running_proxy_does_not_know_is_named_as_such(
    tmp_path: Path, upstream: FakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when the command is run in a container without the proxy's settings: it has another data directory."""
    port = free_port()
    with running_here(tmp_path, {"model-a": upstream.url}, server={"port": port}, keys=None) as proxy:
        assert keys(tmp_path, "create", "ada", "--user", "ada") == 0
        assert "does not accept this key" not in capsys.readouterr().err
        with proxy.client(key="sk-unknown") as unknown:  # until it has read the first key, it accepts any
            eventually(lambda: unknown.get("/v1/models").status_code == 401)
        other = tmp_path / "other"
        other.mkdir()
        settings = {"data_dir": str(other / "data"), "server": {"port": port}}
        (other / "rememberd.yaml").write_text(json.dumps(settings))
        for words in (("create", "eve", "--user", "eve"), ("rotate", "eve")):
            assert keys(other, *words) == 0
            said = capsys.readouterr().err
            assert f"The proxy at 127.0.0.1:{port} does not accept this key" in said
            assert str(other / "data") in said


@pytest.mark.slow
def test_what_was_just_said_is_adopted_too(
    tmp_path: Path, upstream: FakeModel, capfd: pytest.CaptureFixture[str]
) -> None:
    """Turns wait for the writer when the key is made: nothing of them stays with `local`. Without a running proxy the
    command says that they wait."""
    with running(tmp_path, {"model-a": upstream.url}, keys=None) as proxy:
        with httpx.Client(base_url=proxy.url, timeout=120) as local:
            for number in range(12):
                ask(local, f"My cat number {number} is called Mia{number}.")
        # The port of `running` is a free one, which the command does not find in the settings.
        settings = json.loads((tmp_path / "rememberd.yaml").read_text())
        settings["server"] = {"port": int(proxy.url.rpartition(":")[2])}
        (tmp_path / "rememberd.yaml").write_text(json.dumps(settings))
        assert keys(tmp_path, "create", "ada", "--user", "ada", "--adopt-local") == 0
        said = capfd.readouterr()
        assert "not learned yet" not in said.err
        assert keys(tmp_path, "create", "loc", "--user", "local") == 0
        with proxy.client(key=said.out.strip()) as ada:
            assert len([each for each in memories(ada) if each["kind"] == "episode"]) == 12
        with proxy.client(key=capfd.readouterr().out.strip()) as left:
            eventually(lambda: left.get("/v1/models").status_code == 200)
            assert memories(left) == []
    queue = SqliteQueue(Database(tmp_path / "data" / "queue.db"))
    asyncio.run(queue.put(turn("f" * 32, user="local")))
    asyncio.run(queue.close())
    assert keys(tmp_path, "create", "laptop", "--user", "ada", "--adopt-local") == 0
    assert "not learned yet" in capfd.readouterr().err


def test_revoking_the_last_key_says_that_nobody_gets_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Revoking the last key does not open the proxy again."""
    config(tmp_path)
    assert keys(tmp_path, "create", "ada", "--user", "ada") == 0
    assert keys(tmp_path, "create", "eve", "--user", "eve") == 0
    assert keys(tmp_path, "revoke", "ada") == 0
    assert "no key is valid" not in capsys.readouterr().err
    assert keys(tmp_path, "revoke", "eve") == 0
    assert "no key is valid now: nobody can use the proxy" in capsys.readouterr().err


def test_the_list_says_what_each_key_may_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rights, times and state, in a table and as JSON; `rotate` leaves the old key in the list until it ends. What
    is piped into another command is not cut at the width of a terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)
    config(tmp_path)
    words = "--user ada --scope work --model gpt-* --requests-per-minute 7 --expires-at 2099-01-31"
    assert keys(tmp_path, "create", "ada", *words.split()) == 0
    assert keys(tmp_path, "rotate", "ada", "--overlap", "1h") == 0
    assert "the old key is accepted until" in capsys.readouterr().err
    assert keys(tmp_path, "rotate", "ada", "--overlap", "soon") == 2
    assert "30m, 1h or 2d" in capsys.readouterr().err
    assert keys(tmp_path, "list") == 0
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.split() == ["ID", "STATE", "NAME", "USER", "CREATED", "LAST", "USED", "EXPIRES", "RIGHTS"]
    assert ["2099-01-31" in row for row in rows] == [False, True]
    for row in rows:
        assert "in force" in row
        assert "scope work, model gpt-*, 7 requests a minute" in row
    assert keys(tmp_path, "list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)["data"]
    wanted = {"name": "ada", "user": "ada", "scopes": ["work"], "models": ["gpt-*"], "last_used_at": None}
    for each in listed:
        assert each.items() >= (wanted | {"state": "in force"}).items()


def texts(listed: list[dict[str, object]]) -> set[tuple[object, ...]]:
    return {tuple(each[name] for name in ("text", "kind", "created_at", "valid_from", "valid_to")) for each in listed}


def config(folder: Path) -> None:
    (folder / "rememberd.yaml").write_text(json.dumps({"data_dir": str(folder / "data"), "model_list": []}))


def started_again(folder: Path) -> str:
    """What `serve` prints when it is ready."""
    command = [sys.executable, "-m", "rememberd", "serve", "--config", str(folder / "rememberd.yaml")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "connect:" in line:
            break
    process.terminate()
    process.wait(120)
    process.stdout.close()
    return said
