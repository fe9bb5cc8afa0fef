"""With a master key, no byte on the disk and no line of the log tells what is remembered, or of whom."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from rememberd.errors import ConfigError
from rememberd.settings.schema import Encryption, Memory, Settings
from rememberd.wiring.encryption import open_encryption
from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered, running
from tests.support.sealing import NEW, OLD

ADMIN = "sk-admin-of-all"
USER = "ada.lovelace@example.org"
# Words of one user's messages, answers, edits and names; none of them is part of ours.
SAID = [
    "Zwitscherling",
    "Quastenflosser",
    "Lerchensporn",
    "Ziegenmelker",
    "Wachtelweizen",
    "Taubnessel",
    "Mauerlaeufer",
]
EMPTY_PAGE = bytes(4096)
NAMES = [USER, "lovelace", "Knabenkraut", "Siebenschlaefer"]  # the user, a scope, a conversation


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sealed")


@pytest.fixture(scope="module")
def sealed(folder: Path, upstream: FakeModel) -> Iterator[Proxy]:
    with running(folder, {"model-a": upstream.url}, memory=encrypted(OLD), admin_key=ADMIN) as proxy:
        yield proxy


def encrypted(master: str) -> dict[str, object]:
    return {"deadline_ms": 5000, "encryption": {"master_key": master}}


def left_behind(proxy: Proxy, words: list[str]) -> list[tuple[str, str]]:
    """Where which word stands, in any case; the log counts as a file."""
    files = {"the log": "".join(proxy.log).lower().encode()}
    for path in filter(Path.is_file, proxy.data.rglob("*")):
        with suppress(FileNotFoundError):  # the engine's temporary files come and go
            files[str(path)] = path.read_bytes().replace(EMPTY_PAGE, b"").lower()  # of 230 MB less than one is left
    return [(name, word) for name, data in files.items() for word in words if word.lower().encode() in data]


def test_nothing_said_is_on_the_disk(sealed: Proxy) -> None:
    """Chats, additions, edits, deletions, an import, the receipts and blocks of all that, and kill -9 of both kinds
    of process: everything is recalled, and no file holds a word of it."""
    scoped = {"X-Memory-Scope": "Knabenkraut", "X-Conversation-Id": "Siebenschlaefer"}
    with sealed.client(USER) as client, sealed.client(USER, **scoped) as work:
        ask(client, "I live in Zwitscherling and I like Quastenflosser.")
        ask(work, "My sister is called Lerchensporn.")
        remembered(client, "Zwitscherling", "fact")
        remembered(work, "Lerchensporn")
        added = client.post("/v1/memories", json={"text": "I play Ziegenmelker."}).json()["id"]
        client.patch(
            f"/v1/memories/{added}", json={"text": "I play Wachtelweizen.", "pinned": True}
        ).raise_for_status()
        deleted = client.post("/v1/memories", json={"text": "I hate Taubnessel."}).json()["id"]
        client.delete(f"/v1/memories/{deleted}").raise_for_status()
        line = json.dumps({"text": "I own a Mauerlaeufer.", "source": {"conversation": "Siebenschlaefer"}})
        client.post("/v1/memories/import", content=line).raise_for_status()
        sealed.kill("writer", signal.SIGKILL)
        sealed.kill("web", signal.SIGKILL)
        eventually(lambda: ask(client, "Where do I live?").headers["X-Memory-Status"] == "hit")
        answer = ask(client, "Where do I live, and what do I play and own?")
        assert "Zwitscherling" in answer.text
        shown = client.get(f"/v1/receipts/{answer.headers['X-Memory-Receipt']}").json()
        assert any("Zwitscherling" in memory["text"] for memory in shown["recalled"])
        eventually(lambda: client.get("/health/ready").status_code == 200)
        assert left_behind(sealed, SAID + NAMES) == []


def test_no_name_of_a_made_key_or_group_is_on_the_disk(sealed: Proxy) -> None:
    """While they are used, and after they were revoked and removed."""
    with sealed.client(key=ADMIN) as boss:
        fields = {"name": "Knabenkraut", "user": USER, "scopes": ["Siebenschlaefer"]}
        made = boss.post("/admin/keys", json=fields).raise_for_status().json()
        group = {"name": "Knabenkraut", "members": {USER: "owner"}}
        boss.post("/admin/groups", json=group).raise_for_status()
        with sealed.client(key=made["key"], **{"X-Memory-Scope": "Siebenschlaefer"}) as client:
            eventually(lambda: client.get("/v1/memories").status_code == 200)
        boss.post(f"/admin/keys/{made['id']}/rotate", json={}).raise_for_status()
        assert left_behind(sealed, NAMES) == []
        boss.delete("/admin/keys/Knabenkraut").raise_for_status()
        boss.delete("/admin/groups/Knabenkraut").raise_for_status()
        listed = boss.get("/admin/keys").json()["data"]
        assert {each["name"] for each in listed if not each["configured"]} == {"Knabenkraut"}
        assert left_behind(sealed, NAMES) == []


@pytest.mark.slow
def test_a_waiting_turn_is_sealed_too(folder: Path, upstream: FakeModel) -> None:
    """While no writer runs, the turn lies in the queue."""
    with running(folder / "waiting", {"model-a": upstream.url}, memory=encrypted(OLD)) as proxy:
        proxy.kill("writer", signal.SIGSTOP)
        with proxy.client(USER) as client:
            ask(client, "I live in Zwitscherling.")
            assert left_behind(proxy, SAID + NAMES) == []
        proxy.kill("writer", signal.SIGCONT)


@pytest.mark.slow
def test_what_waits_for_a_model_is_sealed_too(folder: Path, upstream: FakeModel) -> None:
    """A turn that a model is to read later lies in a table of its own, with all that was said; the audit log and the
    metrics of the processes are looked through with the rest."""
    memory = encrypted(OLD) | {"extract": {"model": "model-a", "idle_seconds": 3600}}
    with running(folder / "pending", {"model-a": upstream.url}, memory=memory) as proxy, proxy.client(USER) as client:
        ask(client, "I live in Zwitscherling, and my sister Lerchensporn keeps a Quastenflosser.")
        remembered(client, "Lerchensporn")
        client.get("/v1/memories/export").raise_for_status()
        eventually(lambda: waiting(proxy.data))
        assert (proxy.data / "audit.jsonl").read_text() != ""
        assert left_behind(proxy, SAID + NAMES) == []


def waiting(data: Path) -> int:
    db = sqlite3.connect(data / "queue.db")
    try:
        return int(db.execute("SELECT count(*) FROM readings").fetchone()[0])
    finally:
        db.close()


def test_another_user_is_not_found_by_what_is_stored(sealed: Proxy) -> None:
    """Isolation is as without encryption."""
    with sealed.client(USER) as client, sealed.client("bob") as other:
        client.post("/v1/memories", json={"text": "I play Ziegenmelker."})
        assert memories(other) == []
        assert ask(other, "What do I play?").headers["X-Memory-Status"] == "miss"


@pytest.mark.slow
def test_the_wrong_master_key_stops_the_start(sealed: Proxy, folder: Path, upstream: FakeModel) -> None:
    """The start fails with an error that names both keys, and never reads garbage. Without any key it fails, too."""
    sealed.url  # noqa: B018 - it has been started and has made its key
    for memory, message in ((encrypted(NEW), "needs the master key"), ({"deadline_ms": 5000}, "are encrypted: set")):
        with pytest.raises(AssertionError, match=message):  # noqa: SIM117
            with running(folder, {"model-a": upstream.url}, memory=memory):
                pass


async def test_a_master_key_that_is_refused_leaves_no_trace(tmp_path: Path) -> None:
    """Whoever takes it out again has the old memories as they were; no keyring says that they are encrypted."""
    (tmp_path / "queue.db").touch()
    plain = Settings(data_dir=str(tmp_path))
    with pytest.raises(ConfigError, match="are not encrypted: export those of each user"):
        async with open_encryption(replace(plain, memory=Memory(encryption=Encryption(master_key=OLD)))):
            pass
    async with open_encryption(plain) as seal:
        assert seal.keyring is None


@pytest.mark.slow
def test_what_was_kept_in_clear_text_is_not_mixed(tmp_path: Path, upstream: FakeModel) -> None:
    """A master key for a directory that has memories without one is refused, with the way on."""
    with running(tmp_path, {"model-a": upstream.url}) as proxy, proxy.client("ada") as client:
        client.post("/v1/memories", json={"text": "I live in Oslo."}).raise_for_status()
    with pytest.raises(AssertionError, match="not encrypted"):  # noqa: SIM117
        with running(tmp_path, {"model-a": upstream.url}, memory=encrypted(OLD)):
            pass


def test_an_erased_users_key_is_gone(sealed: Proxy) -> None:
    """From the keys' file and its log; what the user tells afterwards has a new key."""
    with sealed.client("cyd") as client:
        client.post("/v1/memories", json={"text": "I live in Lund."}).raise_for_status()
        before = wrapped(sealed.data)
        assert client.delete("/v1/memories").json()["deleted"] == 1
        (gone,) = before - wrapped(sealed.data)
        assert [path for path in sealed.data.glob("keyring.db*") if gone in path.read_bytes()] == []
        assert memories(client) == []
        client.post("/v1/memories", json={"text": "I live in Oslo."}).raise_for_status()
        assert len(wrapped(sealed.data) - before) == 1
        assert [each["text"] for each in memories(client)] == ["I live in Oslo."]


def test_a_group_has_a_key_of_its_own_that_goes_with_it(sealed: Proxy) -> None:
    """What members told it is sealed with that and not with theirs."""
    with sealed.client(key=ADMIN) as boss, sealed.client("fay", **{"X-Memory-Scope": "@choir"}) as fay:
        boss.post("/admin/groups", json={"name": "choir", "members": {"fay": "owner"}}).raise_for_status()
        before = wrapped(sealed.data)
        fay.post("/v1/memories", json={"text": "We sing on Fridays."}).raise_for_status()
        (of_group,) = wrapped(sealed.data) - before
        boss.delete("/admin/groups/choir").raise_for_status()
        assert of_group not in wrapped(sealed.data)
        assert [path for path in sealed.data.glob("keyring.db*") if of_group in path.read_bytes()] == []


def wrapped(data: Path) -> set[bytes]:
    db = sqlite3.connect(data / "keyring.db")
    try:
        return {row[0] for row in db.execute("SELECT wrapped FROM keys")}
    finally:
        db.close()


def test_a_process_that_had_the_key_notices(sealed: Proxy) -> None:
    """Not even the block of a conversation under way is recalled after the erasure."""
    with sealed.client("dot") as client:
        client.post("/v1/memories", json={"text": "I live in Lund."})
        assert ask(client, "Where do I live?").headers["X-Memory-Status"] == "hit"
        client.delete("/v1/memories").raise_for_status()
        assert ask(client, "Where do I live?").headers["X-Memory-Status"] == "miss"
