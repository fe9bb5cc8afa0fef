"""A backup made while people chat and edit is restored elsewhere with every memory; erased users stay erased."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pyrage
import pytest

from rememberd.access.client_keys import CLIENT_KEYS_FILE, ClientKeys, load_secret
from rememberd.access.groups import Group
from rememberd.cli import backup
from rememberd.cli.main import main
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.ids import fact_id
from rememberd.processes.run import prepare
from rememberd.processes.scratch import BACKUP, scratch_folder
from rememberd.settings.schema import load
from rememberd.storage.changes import Change, Removal
from rememberd.storage.sqlite.changes import SqliteChangeLog
from rememberd.storage.sqlite.database import Database
from rememberd.types import Memory, Role, Space
from rememberd.wiring.encryption import open_encryption
from rememberd.wiring.erasure import opened_erasure
from tests.support.fake_model import FakeModel
from tests.support.proxy_server import PATIENCE, Proxy, ask, eventually, memories, remembered, running
from tests.support.redis_process import RedisServer, redis_running

MASTER = base64.b64encode(b"m" * 32).decode()


@contextmanager
def chatting(proxy: Proxy, user: str) -> Iterator[list[str]]:
    """Turns of `user` in the background; the list grows by each that was acknowledged."""
    told: list[str] = []
    stop = threading.Event()

    def chat() -> None:
        with proxy.client(user) as client:
            while not stop.is_set():
                text = f"I saw bird number {len(told)} in the park."
                ask(client, text).raise_for_status()
                told.append(text)

    thread = threading.Thread(target=chat)
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join()


def listed(proxy: Proxy, user: str) -> list[dict[str, object]]:
    with proxy.client(user) as client:
        return sorted(memories(client), key=lambda each: str(each["id"]))


def apps(client: httpx.Client) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.get("/v1/memories/apps").raise_for_status().json()["data"]
    return found


def missing(told: list[str], found: list[dict[str, object]]) -> list[str]:
    return [text for text in told if not any(text in str(each["text"]) for each in found)]


def cli(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.mark.parametrize("master", [None, MASTER])
@pytest.mark.slow
def test_a_backup_under_load_is_whole(
    tmp_path: Path, upstream: FakeModel, capsys: pytest.CaptureFixture[str], master: str | None
) -> None:
    """Every memory that was there before it began comes back as it was, with its receipts and made keys; every turn
    that was acknowledged before is there too. Who was erased afterwards is not."""
    memory = {"deadline_ms": 5000, "encryption": {"master_key": master}}
    first, second = tmp_path / "first", tmp_path / "second"
    file, config = tmp_path / "b.backup", first / "rememberd.yaml"
    with running(first, {"model-a": upstream.url}, memory=memory) as proxy:
        for user in ("ada", "eve"):
            with proxy.client(user) as client:
                lines = b"\n".join(json.dumps({"text": f"{user} likes tea {n}."}).encode() for n in range(40))
                client.post("/v1/memories/import", content=lines).raise_for_status()
                ask(client, "I live in Oslo.")
                remembered(client, "I live in Oslo", "episode")
                (app,) = eventually(partial(apps, client))
                client.patch("/v1/memories/apps", json={"name": app["name"], "scope": "work"}).raise_for_status()
        assert cli("keys", "create", "made", "--user", "ada", "--config", config) == 0
        key = capsys.readouterr().out.strip()
        before = listed(proxy, "ada")
        with chatting(proxy, "bob") as told:
            eventually(lambda: len(told) > 5)
            certain = list(told)
            assert cli("backup", file, "--config", config) == 0
        with proxy.client("eve") as client:
            client.delete("/v1/memories").raise_for_status()
        audit = (first / "data" / "audit.jsonl").read_bytes()
        assert [each.name for each in (first / "data").glob("*backup*")] == []
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    (tmp_path / "audit.jsonl").write_bytes(audit)
    assert cli("restore", file, "--data-dir", second / "data", "--dry-run") == 0
    assert not second.exists()
    assert "come back" in capsys.readouterr().out
    assert cli("restore", file, "--data-dir", second / "data", "--erasures", tmp_path / "audit.jsonl") == 0
    assert "users erased after that: 1;" in capsys.readouterr().out
    with running(second, {"model-a": upstream.url}, memory=memory) as proxy:
        assert listed(proxy, "ada") == before
        assert listed(proxy, "eve") == []
        with proxy.client("eve") as client:
            assert "work" not in [each["scope"] for each in apps(client)]
        with proxy.client("bob") as client:
            eventually(
                lambda: (
                    {text for text in certain if any(text in str(m["text"]) for m in memories(client))} == {*certain}
                )
            )
        with proxy.client("ada") as client:
            assert client.get("/v1/receipts").json()["data"]
            assert [each["scope"] for each in apps(client)] == ["work"]
        eventually(lambda: httpx.get(f"{proxy.url}/v1/models", headers={"x-api-key": key}).status_code == 200)


@pytest.mark.slow
def test_a_backup_of_a_stopped_proxy(tmp_path: Path, upstream: FakeModel, capsys: pytest.CaptureFixture[str]) -> None:
    """Encrypted to a public key, or with a passphrase; what is damaged, or opened by another key, is refused with the
    reason, and nothing is left behind."""
    with running(tmp_path / "first", {"model-a": upstream.url}) as proxy, proxy.client("ada") as client:
        client.post("/v1/memories", json={"text": "I live in Oslo."}).raise_for_status()
    config, target = tmp_path / "first" / "rememberd.yaml", tmp_path / "second"
    identity, stranger = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    (tmp_path / "key.txt").write_text(f"# a comment\n{identity}\n")
    (tmp_path / "other.txt").write_text(str(stranger))
    (tmp_path / "phrase").write_text("correct horse\n")
    sealed, phrased, plain = (tmp_path / name for name in ("sealed", "phrased", "plain"))
    assert cli("backup", sealed, "--recipient", identity.to_public(), "--config", config) == 0
    assert cli("backup", phrased, "--passphrase-file", tmp_path / "phrase", "--config", config) == 0
    assert cli("backup", plain, "--config", config) == 0
    for file in (sealed, phrased):
        assert file.read_bytes().startswith(b"age-encryption.org/")
    whole = plain.read_bytes()
    for name, content in {"cut": whole[: len(whole) // 2], "changed": changed(whole), "none": b"hello"}.items():
        (tmp_path / name).write_bytes(content)
        assert cli("restore", tmp_path / name, "--data-dir", target) == 1, name
    assert cli("restore", sealed, "--data-dir", target) == 1
    assert cli("restore", sealed, "--data-dir", target, "--identity", tmp_path / "other.txt") == 1
    assert cli("restore", plain, "--data-dir", tmp_path / "first" / "data") == 2
    said = capsys.readouterr().err
    for reason in ("not a complete", "give --identity or --passphrase-file", "cannot be opened", "is not empty"):
        assert reason in said
    assert {each.name for each in tmp_path.iterdir() if each.name.startswith((".", "second"))} == set()
    assert cli("restore", sealed, "--data-dir", target, "--identity", tmp_path / "key.txt") == 0
    assert cli("restore", phrased, "--data-dir", tmp_path / "3", "--passphrase-file", tmp_path / "phrase") == 0
    assert "1 points, all as they were saved" in capsys.readouterr().out


def test_what_a_qdrant_server_still_has_to_delete_is_saved(tmp_path: Path) -> None:
    """Deleted memories stay away after a restore, although the server had not deleted them at the backup; a proxy
    that had keys stays closed to those without one; and who is known by their provider's key is the same user."""
    data, removal = tmp_path / "first", Removal("c", "ada", "default", ["p1"], 7)
    config = tmp_path / "rememberd.yaml"
    settings = {"data_dir": str(data), "memory": {"store": {"url": "http://127.0.0.1:1"}}}
    config.write_text(json.dumps(settings))

    async def record() -> None:
        changes = SqliteChangeLog(Database(data / "changes.db"))
        await changes.record("c ada", [Change("p1", "deleted", 7)], removal)
        await changes.close()

    async def kept() -> tuple[list[Removal], list[Change]]:
        changes = SqliteChangeLog(Database(tmp_path / "second" / "changes.db"))
        found = [*(await changes.waiting()).values()], (await changes.since("c ada", "")).changes
        await changes.close()
        return found

    asyncio.run(record())
    (data / "keys-were-made").touch()
    known = ClientKeys(load_secret(data / CLIENT_KEYS_FILE)).principal("sk-of-ada")
    assert cli("backup", tmp_path / "b", "--config", config) == 0
    assert cli("restore", tmp_path / "b", "--data-dir", tmp_path / "second") == 0
    assert asyncio.run(kept()) == ([removal], [Change("p1", "deleted", 7)])
    assert (tmp_path / "second" / "keys-were-made").exists()
    assert ClientKeys(load_secret(tmp_path / "second" / CLIENT_KEYS_FILE)).principal("sk-of-ada") == known


@pytest.mark.parametrize("master", [None, MASTER])
def test_what_erased_people_told_their_groups_is_not_restored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], master: str | None
) -> None:
    """It is erased, or loses the name, as the group's setting says; what others told stays. The audit log holds
    pseudonyms if there is a master key: without it `restore` makes no folder that would show what is erased."""
    config, restored = tmp_path / "rememberd.yaml", tmp_path / "restored.yaml"
    for file, folder in ((config, "first"), (restored, "second")):
        told = {"data_dir": str(tmp_path / folder), "memory": {"encryption": {"master_key": master}}}
        file.write_text(json.dumps(told))
    asyncio.run(tell_groups(config))
    assert cli("backup", tmp_path / "b", "--config", config) == 0
    assert cli("erase", "cleo", "--config", config) == 0
    given = (tmp_path / "b", "--data-dir", tmp_path / "second", "--erasures", tmp_path / "first" / "audit.jsonl")
    if master:
        whose = json.loads((tmp_path / "first" / "audit.jsonl").read_bytes().splitlines()[-1])["whose"]
        assert whose != "cleo"
        capsys.readouterr()
        assert cli("erase", whose, "--config", config) == 0
        assert "0 memories of cleo" in capsys.readouterr().out
        (tmp_path / "none.yaml").write_text("{}")
        assert cli("restore", *given, "--config", tmp_path / "none.yaml") == 2
        assert "--config" in capsys.readouterr().err
        assert not (tmp_path / "second").exists()
    assert cli("restore", *given, "--config", config) == 0
    assert "that are not restored: 3" in capsys.readouterr().out
    found, members = asyncio.run(told_groups(restored))
    assert found == {"goes": [("teal", "dan")], "stays": [("Marmot", None), ("teal", "dan")]}
    assert members == {"dan"}


@pytest.mark.parametrize("master", [None, MASTER])
def test_where_a_restore_does_not_reach_it_says_what_to_run(
    tmp_path: Path, redis_url: str, qdrant_url: str, capsys: pytest.CaptureFixture[str], master: str | None
) -> None:
    """Groups and memories on servers are saved and restored by those: then each line that `restore` prints erases
    somebody who had been erased, with what they had told their groups."""
    config = tmp_path / "rememberd.yaml"
    (tmp_path / "first").mkdir()
    memory = {
        "encryption": {"master_key": master},
        "queue": {"url": redis_url},
        "store": {"url": qdrant_url, "collection": f"restore-{bool(master)}"},
    }
    config.write_text(json.dumps({"data_dir": str(tmp_path / "first"), "memory": memory}))
    asyncio.run(tell_groups(config))
    assert cli("backup", tmp_path / "b", "--config", config) == 0
    assert cli("erase", "cleo", "--config", config) == 0
    asyncio.run(tell_groups(config, again=True))  # as the servers' own backups bring them back
    given = (tmp_path / "b", "--data-dir", tmp_path / "second", "--erasures", tmp_path / "first")
    capsys.readouterr()
    assert cli("restore", *given, "--config", config) == 0
    said = capsys.readouterr().out
    assert "keys and groups in Redis" in said
    (command,) = re.findall(r"^  rememberd (.*)$", said, re.M)
    assert (command == "erase cleo") is (master is None)
    assert cli(*shlex.split(command), "--config", config) == 0
    found, members = asyncio.run(told_groups(config))
    assert found == {"goes": [("teal", "dan")], "stays": [("Marmot", None), ("teal", "dan")]}
    assert members == {"dan"}


async def tell_groups(config: Path, *, again: bool = False) -> None:
    """Cleo and Dan contribute to two groups, one of which keeps contributions; Cleo has a memory of her own."""
    settings = load(config, {})
    async with open_encryption(settings) as encryption, opened_erasure(settings, encryption) as opened:
        for name, keeps in (("goes", False), ("stays", True)):
            if again:
                await opened.groups.set_member(name, "cleo", "writer")
            else:
                members: dict[str, Role] = {"cleo": "writer", "dan": "owner"}
                await opened.groups.create(Group(name, members, keep_contributions=keeps))
            for by, text in (("cleo", "Marmot"), ("dan", "teal")):
                space = Space.of_group(name)
                found = fact_id(space, text, contributor=by)
                memory = Memory(found, text, "fact", 1, 1, 1, group=name, contributor=by)
                await opened.store.put(space, [await to_point(memory, opened.embedder)])
        own = Memory(fact_id(Space("cleo"), "mine"), "mine", "fact", 1, 1, 1)
        await opened.store.put(Space("cleo"), [await to_point(own, opened.embedder)])


async def told_groups(config: Path) -> tuple[dict[str, list[tuple[str, str | None]]], set[str]]:
    """Texts and contributors of each group, and the members of all groups."""
    settings = load(config, {})
    async with open_encryption(settings) as encryption, opened_erasure(settings, encryption) as opened:
        groups = await opened.groups.made.all() if opened.groups.made else []
        found = {}
        for group in groups:
            known = await opened.store.all(Space.of_group(group.name), now=0, include_past=True)
            found[group.name] = sorted((each.text, each.contributor) for each in known)
        assert await opened.store.spaces("cleo") == []
        return found, {name for group in groups for name in (*group.members, *(group.former or ()))}


def test_redis_comes_back_from_its_file_as_documented(tmp_path: Path) -> None:
    """By the commands of OPERATIONS.md. A Redis that is started on the file as it always is would be empty."""
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "redis.rdb"
    text = (Path(__file__).parents[2] / "deploy" / "OPERATIONS.md").read_text()
    copying, starting, *rest = re.search(r"```sh\n(cp FILE .*?)```", text, re.DOTALL)[1].splitlines()  # type: ignore[index]
    for folder in (first, second):
        folder.mkdir()
    with redis_running(first, "--appendfsync", "always") as server:
        server.client().set("turn", "kept")
        subprocess.run(["redis-cli", "-p", str(server.port), "--rdb", str(file)], check=True, capture_output=True)
    subprocess.run(copying.replace("FILE", str(file)).replace("DIR", str(second)), shell=True, check=True)
    options = shlex.split(starting)[3:]
    assert options == ["--appendonly", "no"]
    restored = RedisServer(second, *options)
    restored.start()
    for command in rest:
        words = shlex.split(command, comments=True)
        if words[1] == "SHUTDOWN":
            eventually(lambda: not restored.client().info("persistence")["aof_rewrite_in_progress"])
        subprocess.run([words[0], "-p", str(restored.port), *words[1:]], check=True, capture_output=True)
    assert restored.process is not None
    restored.process.wait(PATIENCE)
    with redis_running(second, "--appendfsync", "always") as server:
        assert server.client().get("turn") == b"kept"


def test_a_machine_that_is_too_slow_for_a_passphrase_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And does not call the passphrase wrong. age judges that by how fast the machine is at that moment."""
    (tmp_path / "phrase").write_text("correct horse\n")
    lines = ("age-encryption.org/v1", f"-> scrypt {'A' * 22} 40", "A" * 43, f"--- {'A' * 43}", "sealed" * 9)
    (tmp_path / "b").write_text("\n".join(lines))
    given = ("--data-dir", tmp_path / "second", "--passphrase-file", tmp_path / "phrase")
    assert cli("restore", tmp_path / "b", *given) == 1
    said = capsys.readouterr().err
    assert "too busy or too slow" in said
    assert "cannot be opened with that" not in said


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is copied; and a dry run makes no directory."""
    data, config, away = tmp_path / "data", tmp_path / "rememberd.yaml", tmp_path / "away"
    (data / "spool").mkdir(parents=True)
    config.write_text(json.dumps({"data_dir": str(data)}))
    assert cli("backup", away / "b", "--config", config) == 2
    assert cli("backup", tmp_path / "b", "--config", config) == 0
    assert cli("restore", tmp_path / "b", "--data-dir", away / "data", "--dry-run") == 0
    assert not away.exists()
    assert cli("restore", tmp_path / "b", "--data-dir", "/proc/away") == 1
    said = capsys.readouterr().err
    assert str(away) in said
    assert "/proc/" in said
    assert "Traceback" not in said
    assert cli("restore", tmp_path / "b", "--data-dir", away / "data") == 0
    assert (away / "data").is_dir()


_STOPPED = """
import os, pathlib, sys
from rememberd.processes.scratch import BACKUP, scratch_folder
with scratch_folder(pathlib.Path(sys.argv[1]), BACKUP) as folder:
    (folder / "copy").write_text("I live in Oslo.")
    os.kill(os.getpid(), int(sys.argv[2]))
"""


def test_a_backup_that_is_stopped_leaves_no_copy_of_the_memories(tmp_path: Path) -> None:
    """After SIGTERM nothing; after SIGKILL until the next backup or start. The copies of one that runs stay."""
    data, config = tmp_path / "data", tmp_path / "rememberd.yaml"
    data.mkdir()
    config.write_text(json.dumps({"data_dir": str(data)}))

    def stopped_by(number: int) -> list[Path]:
        subprocess.run([sys.executable, "-c", _STOPPED, str(data), str(number)], check=False, timeout=PATIENCE)
        return [*data.glob("*/copy")]

    assert stopped_by(signal.SIGTERM) == []
    for command in (("keys", "list"), ("backup", tmp_path / "b")):
        assert len(stopped_by(signal.SIGKILL)) == 1
        assert cli(*command, "--config", config) == 0
        assert [*data.glob("*/copy")] == []
    with scratch_folder(data, BACKUP) as held:
        prepare(load(config, {}))
        assert held.exists()
    assert not held.exists()


def test_a_copy_that_cannot_be_deleted_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The proxy starts all the same. Here something else than a folder has the name of one."""
    (left := tmp_path / f"{BACKUP}x").write_text("I live in Oslo.")
    (config := tmp_path / "rememberd.yaml").write_text(json.dumps({"data_dir": str(tmp_path)}))
    prepare(load(config, {}))
    assert [record for record in caplog.records if str(left) in record.getMessage()]


def test_nothing_in_clear_is_ever_beside_an_encrypted_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of the backups may be somebody else's, and the command may be killed at any moment."""
    data, config, away = tmp_path / "data", tmp_path / "rememberd.yaml", tmp_path / "away"
    away.mkdir()
    data.mkdir()
    (tmp_path / "phrase").write_text("correct horse")
    config.write_text(json.dumps({"data_dir": str(data)}))
    seen = list[int]()

    def looked(*given: object) -> bytes:
        seen.append(sum(each.stat().st_size for each in away.iterdir()))
        return b""

    monkeypatch.setattr(pyrage, "encrypt_io", looked)
    monkeypatch.setattr(pyrage.passphrase, "encrypt", looked)
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    for lock in (("--recipient", recipient), ("--passphrase-file", tmp_path / "phrase")):
        assert cli("backup", away / "b", *lock, "--config", config) == 0
        (away / "b").unlink()
    assert seen == [0, 0]


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        (("--recipient", "age1mistyped"), "age1mistyped is not an age or SSH public key"),
        (("--recipient", "ssh-ed25519 AAAAmistyped"), "AAAAmistyped is not an age or SSH public key"),
        (("--passphrase-file", "empty"), "empty is empty"),
        (("--passphrase-file", "missing"), "missing cannot be read"),
    ],
)
def test_a_lock_that_is_none_is_refused_before_anything_is_copied(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    lock: tuple[str, str],
    said: str,
) -> None:
    """Copying may take an hour; also when a right key is named before the wrong one."""
    data, config = tmp_path / "data", tmp_path / "rememberd.yaml"
    data.mkdir()
    config.write_text(json.dumps({"data_dir": str(data)}))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").write_text("\n")
    monkeypatch.setattr(backup, "_collect", lambda *given: pytest.fail("it copies"))
    right = ("--recipient", str(pyrage.x25519.Identity.generate().to_public())) if lock[0] == "--recipient" else ()
    assert cli("backup", tmp_path / "b", *right, *lock, "--config", config) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_a_backup_of_a_later_version_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the old data directory is gone and the restored one does not start; both versions are named."""
    data, config = tmp_path / "data", tmp_path / "rememberd.yaml"
    data.mkdir()
    config.write_text(json.dumps({"data_dir": str(data)}))
    assert cli("keys", "create", "ada", "--user", "ada", "--config", config) == 0
    (data / "format.json").write_text(json.dumps({"format": 99, "version": "9.9.9"}))
    assert cli("backup", tmp_path / "b", "--config", config) == 0
    for more in (("--dry-run",), ()):
        assert cli("restore", tmp_path / "b", "--data-dir", tmp_path / "second", *more) == 2
        said = capsys.readouterr().err
        assert "rememberd 9.9.9" in said
        assert "this is rememberd 0." in said
    assert not (tmp_path / "second").exists()


def changed(whole: bytes) -> bytes:
    """Some bytes in the middle are others; a single one may unpack to the same zeros."""
    middle = len(whole) // 2
    return whole[:middle] + bytes(each ^ 0xFF for each in whole[middle : middle + 64]) + whole[middle + 64 :]
