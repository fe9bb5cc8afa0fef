"""`check` changes nothing, covers what `serve` reads, and asks the proxy that runs."""

from __future__ import annotations

import base64
import json
import socket
from pathlib import Path

import httpx
import pytest

from rememberd.cli.main import main
from rememberd.errors import ConfigError
from rememberd.settings.loader import iter_fields
from rememberd.settings.schema import Settings, load
from tests.support.command_line import check
from tests.support.fake_model import FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import ask, entry, eventually, remembered
from tests.support.redis_process import redis_running

MASTER = base64.b64encode(b"m" * 32).decode()


def config(folder: Path, **settings: object) -> Path:
    path = folder / "rememberd.yaml"
    path.write_text(json.dumps({"data_dir": str(folder / "data"), "server": {"port": 0}} | settings))
    return path


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.mark.parametrize("master", [None, MASTER])
def test_check_before_the_first_start_makes_nothing(tmp_path: Path, upstream: FakeModel, master: str | None) -> None:
    """`check` makes neither a folder nor a file, so that a master key can still be set afterwards."""
    memory = {"encryption": {"master_key": master}}
    path = config(tmp_path, model_list=[entry("model-a", "openai/model-a", upstream.url)], memory=memory)
    code, said = check(path)
    assert code == 0, said
    assert [each.name for each in tmp_path.iterdir()] == ["rememberd.yaml"]


@pytest.mark.parametrize(
    "given", [{"admin_key": "sk-admin"}, {"sign_in": {"issuer": "http://127.0.0.1:1", "client_id": "c"}}]
)
def test_check_says_when_a_key_is_needed_before_one_was_created(tmp_path: Path, given: dict[str, object]) -> None:
    """An admin key and a sign-in close the proxy, even on this machine."""
    assert "no key is needed" in check(config(tmp_path))[1]
    said = check(config(tmp_path, **given))[1]
    assert "no key is needed" not in said
    assert "create one by `rememberd keys create`" in said


@pytest.mark.parametrize("master", [None, pytest.param(MASTER, marks=pytest.mark.slow)])
def test_check_changes_nothing_that_is_there(tmp_path: Path, upstream: FakeModel, master: str | None) -> None:
    """Of a stopped proxy, with keys, memories and receipts in its folder; sealed or not."""
    memory = {"deadline_ms": 5000, "encryption": {"master_key": master}}
    with running_here(tmp_path, {"model-a": upstream.url}, keys=None, memory=memory) as proxy:
        with httpx.Client(base_url=proxy.url, timeout=120) as local:
            ask(local, "Hi, I live in Oslo.")
            remembered(local, "Oslo", "episode")
        assert main(["keys", "create", "ada", "--user", "ada", "--config", str(tmp_path / "rememberd.yaml")]) == 0
    before = contents(tmp_path)
    code, said = check(tmp_path / "rememberd.yaml")
    assert code == 0, said
    assert "keys       ada" in said
    assert contents(tmp_path) == before


def test_check_asks_the_running_proxy(tmp_path: Path, upstream: FakeModel) -> None:
    """Whose models may come from another environment. What else listens there is named as such."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running_here(tmp_path, {"model-a": upstream.url}, server={"port": port}, keys=None) as proxy:
        bare = tmp_path / "bare"
        bare.mkdir()
        path = config(bare, data_dir=str(proxy.data), server={"port": port}, model_list=[])
        code, said = check(path)
        assert code == 0, said
        assert "running and ready" in said
        assert "of the running server: model-a" in said
        assert main(["keys", "create", "ada", "--user", "ada", "--config", str(path)]) == 0
        eventually(lambda: httpx.get(f"{proxy.url}/v1/models").status_code == 401)
        code, said = check(path)
        assert code == 0, said
        assert "set REMEMBERD_KEY" in said
    other = config(bare, server={"port": int(upstream.url.split(":")[2].partition("/")[0])}, model_list=[])
    code, said = check(other)
    assert code == 1
    assert "another program has this port" in said


def test_check_names_a_redis_that_is_away_once(tmp_path: Path) -> None:
    """Instead of "no answer" for each part that is there; where it answers, all of them are examined."""
    queue = {"memory": {"queue": {"url": "redis://127.0.0.1:1/0"}}}
    code, said = check(config(tmp_path, **queue))
    assert code == 1
    assert "WRONG  Redis      Redis: Error 111 connecting to 127.0.0.1:1" in said
    assert not [line for line in said.splitlines() if line.split()[1] in ("keys", "queue", "encryption")]
    with redis_running(tmp_path, "--maxmemory-policy", "allkeys-lru") as redis:
        queue["memory"]["queue"]["url"] = redis.url
        said = check(config(tmp_path, **queue))[1]
    assert "ok     Redis      answers" in said
    assert "ok     keys" in said
    assert "WRONG  queue      turns could be lost: Redis evicts keys" in said


def test_check_asks_the_provider_of_the_sign_in(tmp_path: Path) -> None:
    """Its address may be mistyped; `serve` finds out when somebody wants to sign in."""
    sign_in = {"issuer": "http://127.0.0.1:1/realm", "client_id": "c"}
    code, said = check(config(tmp_path, sign_in=sign_in, model_list=[]))
    assert code == 1
    assert "WRONG  sign-in    http://127.0.0.1:1/realm: the sign-in provider does not answer" in said
    assert not (tmp_path / "data").exists()


def test_check_covers_aliases_and_fallbacks(tmp_path: Path, upstream: FakeModel) -> None:
    """Each in a line; one that leads nowhere is wrong, as `serve` would find."""
    models = [entry(name, f"openai/{name}", upstream.url) for name in ("model-a", "model-b")]
    code, said = check(config(tmp_path, model_list=models, aliases={"fast": "model-a"},
                              fallbacks=[{"model-a": ["model-b"]}]))  # fmt: skip
    assert code == 0, said
    assert "fast -> model-a" in said
    assert "model-a -> model-b" in said
    for wrong in ({"aliases": {"fast": "model-z"}}, {"fallbacks": [{"model-a": ["model-z"]}]}):
        code, said = check(config(tmp_path, model_list=models, **wrong))
        assert code == 1
        assert "model-z" in said


def test_check_says_that_all_keys_are_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise it would say that no key is needed."""
    path = config(tmp_path, model_list=[])
    assert main(["keys", "create", "ada", "--user", "ada", "--config", str(path)]) == 0
    assert main(["keys", "revoke", "ada", "--config", str(path)]) == 0
    _, said = check(path)
    assert "WRONG  keys" in said
    assert "no key is valid" in said
    capsys.readouterr()


def numbers() -> list[str]:
    """Every setting that is a number, as `server.port`."""
    return [".".join(path) for path, item in iter_fields(Settings) if str(item.type).startswith("int")]


def test_no_number_may_be_negative(tmp_path: Path) -> None:
    """This holds for every setting."""
    path, accepted = tmp_path / "rememberd.yaml", []
    for name in numbers():
        *tables, last = name.split(".")
        value: dict[str, object] = {last: -1}
        for table in reversed(tables):
            value = {table: value}
        path.write_text(json.dumps(value))
        try:
            load(path, {})
            accepted.append(name)
        except ConfigError as error:
            if f"{name} must be" not in str(error):
                accepted.append(name)
    assert not accepted


def test_a_missing_model_of_meaning_is_named(
    tmp_path: Path, upstream: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer goes on without it, so that nobody would see it otherwise."""
    monkeypatch.setattr("rememberd.cli.check.MULTILINGUAL", tmp_path / "gone")
    code, said = check(config(tmp_path, model_list=[entry("model-a", "openai/model-a", upstream.url)]))
    assert code == 1
    assert "WRONG  statements cannot load the model" in said, said
