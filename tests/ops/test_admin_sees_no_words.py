"""The admin key shows who has memories and erases who asks for it; what people said it does not open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from rememberd.storage.spool import FileSpool
from rememberd.wiring.encryption import spool_of
from tests.support.fake_model import FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered
from tests.support.queue_contract import turn

ADMIN = "sk-admin"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    with running_here(tmp_path_factory.mktemp("own"), {"model-a": upstream.url}, admin_key=ADMIN) as proxy:
        yield proxy


@pytest.fixture
def admin(own: Proxy) -> Iterator[httpx.Client]:
    with own.client(key=ADMIN) as client:
        yield client


def test_the_admin_key_reads_no_memory_and_asks_no_model(
    own: Proxy, admin: httpx.Client, upstream: FakeModel
) -> None:
    """On no path of ours that knows people, whomever it names; nor is anything forwarded."""
    before = len(upstream.requests)
    admin.headers["X-Memory-User"] = "ada"
    assert ask(admin, "Hi").status_code == 401
    for method, path in (
        ("GET", "/v1/memories"),
        ("GET", "/v1/memories/export"),
        ("POST", "/v1/memories/search"),
        ("POST", "/v1/memories/import"),
        ("POST", "/v1/memories"),
        ("DELETE", "/v1/memories"),
        ("GET", "/v1/memories/x"),
        ("PATCH", "/v1/memories/x"),
        ("DELETE", "/v1/memories/x"),
        ("GET", "/v1/receipts/x"),
        ("GET", "/v1/models"),
        ("POST", "/v1/embeddings"),
        ("GET", "/v1/files"),
    ):
        assert admin.request(method, path).status_code == 401, (method, path)
    assert len(upstream.requests) == before


def test_the_admin_sees_that_there_are_memories_and_no_word_of_them(own: Proxy, admin: httpx.Client) -> None:
    """Users by name with their scopes, how many memories and of when; a page at a time."""
    with own.client("words/ada") as ada, own.client("words/bob") as bob:
        ada.post("/v1/memories", json={"text": "I play the zither."}).raise_for_status()
        ada.post("/v1/memories", json={"text": "I lead the zeppelin project."}, headers={"X-Memory-Scope": "work"})
        bob.post("/v1/memories", json={"text": "I collect zircons."}).raise_for_status()
        newest = max(memory["created_at"] for memory in memories(bob))
    listed = admin.get("/admin/users").raise_for_status()
    users = {user["id"]: user for user in listed.json()["data"]}
    assert users["words/ada"]["memories"] == 2
    assert users["words/ada"]["scopes"] == ["default", "work"]
    assert users["words/bob"] == {
        "object": "user",
        "id": "words/bob",
        "scopes": ["default"],
        "memories": 1,
        "newest_at": newest,
    }
    for word in ("zither", "zeppelin", "zircons"):
        assert word not in listed.text
    everybody = list(users)
    for place, user in enumerate(everybody):
        after = admin.get("/admin/users", params={"after": user}).json()["data"]
        assert [each["id"] for each in after] == everybody[place + 1 :]


def test_the_admin_can_erase_a_user_whole(own: Proxy, admin: httpx.Client) -> None:
    """Every scope, what the chat left, and nobody else; a name may hold a slash."""
    with own.client("gone/ada") as ada, own.client("gone/bob") as bob:
        ask(ada, "I live in Ghent.")
        ask(bob, "I live in Bruges.")
        remembered(ada, "Ghent", "fact")
        remembered(bob, "Bruges", "fact")
        erased = admin.delete("/admin/users/gone%2Fada").raise_for_status().json()
        assert erased["object"] == "user.erased"
        assert erased["deleted"] >= 2
        assert memories(ada) == []
        assert memories(bob) != []
    listed = admin.get("/admin/users").text
    assert "gone/ada" not in listed
    assert "gone/bob" in listed


def test_an_erasure_is_proved_file_by_file(own: Proxy, admin: httpx.Client) -> None:
    """All texts are looked for in all files of the data directory; what is found is told by file, not by its words.
    Here nothing is encrypted, so the mark that keeps late turns out has the name."""
    with own.client("proof-of-ada") as ada:
        ada.post("/v1/memories", json={"text": "I collect zircons and zithers."}).raise_for_status()
    answer = admin.delete("/admin/users/proof-of-ada", params={"verify": "true"}).raise_for_status()
    proof = answer.json()["proof"]
    assert proof["texts"] == 2
    assert proof["files"] > 5
    assert any("the name" in each["found"] for each in proof["left"] if each["file"].startswith("queue.db"))
    assert "zithers" not in answer.text


async def test_dead_letters_are_told_without_their_words_and_replayed(own: Proxy, admin: httpx.Client) -> None:
    """Of an error its kind alone: the rest may quote the turn."""
    said = replace(turn("dead-1", "dora"), user_text="I keep zebra finches.", created_at=1_700_000_000_000)
    spool = FileSpool(spool_of(own.data))
    await spool.dead_letter(said, "ValueError: zebra")
    listed = admin.get("/admin/dead").raise_for_status()
    assert listed.json()["total"] == 1
    assert listed.json()["data"] == [
        {
            "object": "dead_letter",
            "id": "dead-1",
            "user": "dora",
            "scope": "default",
            "created_at": "2023-11-14T22:13:20.000Z",
            "attempts": 1,
            "error": "ValueError",
        }
    ]
    assert "zebra" not in listed.text
    assert admin.post("/admin/dead/replay").json() == {"object": "dead_letters.replayed", "count": 1}
    assert admin.get("/admin/dead").json()["total"] == 0
    with own.client("dora") as dora:
        remembered(dora, "zebra finches")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/keys"),
        ("POST", "/admin/keys"),
        ("DELETE", "/admin/keys/x"),
        ("GET", "/admin/users"),
        ("DELETE", "/admin/users/ada"),
        ("GET", "/admin/dead"),
        ("POST", "/admin/dead/replay"),
        ("GET", "/metrics"),
    ],
)
def test_nobody_else_is_the_admin(own: Proxy, proxy: Proxy, method: str, path: str) -> None:
    """Not the holder of a key, trusted or not; and without an admin key there is no admin."""
    for key in ("sk-alice", "sk-webui", "", "sk-admi", "sk-admin2"):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        assert httpx.request(method, own.url + path, headers=headers).status_code == 401
        assert httpx.request(method, proxy.url + path, headers=headers).status_code == (
            200 if path == "/metrics" else 403
        )


def test_an_unknown_admin_path_is_404(own: Proxy, admin: httpx.Client) -> None:
    """And an unknown method 405."""
    assert admin.get("/admin/nothing").status_code == 404
    assert admin.put("/admin/keys").status_code == 405


def test_an_erasure_needs_a_name(admin: httpx.Client) -> None:
    """A script whose variable is empty is told so, not that somebody was erased."""
    reply = admin.delete("/admin/users/")
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "missing_user")


def test_a_key_that_the_admin_made_speaks_for_its_user(own: Proxy) -> None:
    """The one way to a user's memories, and it stands in the list of keys."""
    with own.client(key=ADMIN) as admin:
        key = admin.post("/admin/keys", json={"name": "new", "user": "nina"}).json()["key"]
        assert {"name": "new", "user": "nina"}.items() <= admin.get("/admin/keys").json()["data"][-1].items()
    with own.client(key=key) as nina:
        eventually(lambda: nina.get("/v1/memories").status_code == 200)


def test_the_admin_alone_reads_the_metrics(own: Proxy) -> None:
    """No key of a user will do."""
    assert httpx.get(f"{own.url}/metrics").status_code == 401
    for key, status in (("sk-alice", 401), (ADMIN, 200)):
        assert httpx.get(f"{own.url}/metrics", headers={"x-api-key": key}).status_code == status
