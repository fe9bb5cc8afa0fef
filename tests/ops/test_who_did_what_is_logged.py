"""The audit log: who touched whose memories, and nothing of what they say; written whatever process does it."""

from __future__ import annotations

import json
import multiprocessing
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from prometheus_client import REGISTRY
from starlette.requests import Request
from starlette.responses import Response

from rememberd.access.audit_log import ACTIONS, PLACES, AuditLog
from rememberd.cli.main import main
from rememberd.http.exception_handlers import wrong_method
from rememberd.wiring.routes import Handlers, routes
from tests.support.fake_model import FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import KEYS, Proxy

ADMIN = "sk-admin"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("own")
    with running_here(folder, {"model-a": upstream.url}, keys=KEYS, admin_key=ADMIN) as proxy:
        yield proxy


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def of(proxy: Proxy, whose: str) -> list[dict[str, Any]]:
    return [entry for entry in entries(proxy.data / "audit.jsonl") if entry.get("whose") == whose]


def test_every_touch_of_a_memory_leaves_a_line_without_content(own: Proxy) -> None:
    """With the holder of the key, the user, the scope, the request, its outcome and how many memories it was about;
    for the owner's eyes only."""
    with own.client("ada") as ada:
        first = ada.post("/v1/memories", json={"text": "I play the zither."}).json()["id"]
        ada.post("/v1/memories", json={"text": "I breed zebus."}, headers={"X-Memory-Scope": "farm"})
        ada.get("/v1/memories")
        ada.get(f"/v1/memories/{first}")
        ada.get("/v1/memories/none")
        ada.patch(f"/v1/memories/{first}", json={"pinned": True})
        ada.post("/v1/memories/search", json={"query": "zither"})
        ada.get("/v1/memories/export")
        ada.post("/v1/memories/import", content=b'{"text": "I carve zinc."}\n')
        answer = ada.delete(f"/v1/memories/{first}", headers={"X-Request-Id": "my-request"})
        ada.delete("/v1/memories")
    found = of(own, "ada")
    assert [(entry["did"], entry["status"], entry.get("count")) for entry in found] == [
        ("add", 200, None),
        ("add", 200, None),
        ("list", 200, 1),
        ("read", 200, None),
        ("read", 404, None),
        ("change", 200, None),
        ("search", 200, 1),
        ("export", 200, 1),
        ("import", 200, 1),
        ("delete", 200, 1),
        ("erase", 200, 2),
    ]
    assert {entry["who"] for entry in found} == {"webui"}
    assert [entry["scope"] for entry in found[:3]] == ["default", "farm", "default"]
    assert found[-2]["request"] == answer.headers["x-request-id"] == "my-request"
    assert all(entry["at"] and entry["request"] for entry in found)
    path = own.data / "audit.jsonl"
    assert "zi" not in path.read_text()
    assert first not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_the_admin_does_is_there_too(own: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    """Over HTTP, and on the command line as the operator."""
    with own.client(key=ADMIN) as admin:
        key = admin.post("/admin/keys", json={"name": "bea's", "user": "bea"}).json()
        admin.delete(f"/admin/keys/{key['id']}")
        admin.get("/admin/users")
        admin.delete("/admin/users/bea")
    config = str(own.data.parent / "rememberd.yaml")
    assert main(["keys", "create", "again", "--user", "bea", "--config", config]) == 0
    assert main(["keys", "revoke", "again", "--config", config]) == 0
    found = of(own, "bea")
    assert [(entry["who"], entry["did"], entry.get("key")) for entry in found] == [
        ("admin", "keys.create", "bea's"),
        ("admin", "keys.revoke", "bea's"),
        ("admin", "erase", None),
        ("operator", "keys.create", "again"),
    ]
    text = (own.data / "audit.jsonl").read_text()
    assert key["key"] not in text
    assert capsys.readouterr().out.splitlines()[0] not in text
    assert {"users.list", "keys.revoke"} <= {entry["did"] for entry in entries(own.data / "audit.jsonl")}


def test_a_stranger_cannot_fill_it(own: Proxy) -> None:
    """Who shows no key leaves a count in the metrics, not a line on the disk; a known key that is refused does."""
    before = len(entries(own.data / "audit.jsonl"))
    for path in ("/v1/memories", "/v1/memories/export", "/admin/keys"):
        httpx.get(own.url + path, headers={"Authorization": "Bearer guess"})
    assert len(entries(own.data / "audit.jsonl")) == before
    with own.client() as nobody:
        assert nobody.get("/v1/memories").status_code == 403
    refused = entries(own.data / "audit.jsonl")[before:]
    assert [(entry["who"], entry["did"], entry["status"]) for entry in refused] == [("webui", "list", 403)]


def test_it_can_be_moved_away_while_it_runs(own: Proxy) -> None:
    """As logrotate does: the next line begins a new file, no signal needed."""
    path = own.data / "audit.jsonl"
    with own.client("cid") as cid:
        cid.get("/v1/memories")
        path.rename(own.data / "audit.jsonl.1")
        cid.get("/v1/memories")
    assert len(entries(path)) == 1


def test_a_line_that_cannot_be_written_is_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer is sent nevertheless: no request waits for the disk of the audit log."""
    log = AuditLog(tmp_path / "no such folder" / "audit.jsonl")
    lost = REGISTRY.get_sample_value("rememberd_audit_entries_total", {"outcome": "lost"}) or 0
    log.record({"who": "ada", "did": "erase"})
    assert REGISTRY.get_sample_value("rememberd_audit_entries_total", {"outcome": "lost"}) == lost + 1
    assert '"did":"erase"' in caplog.text


def test_a_pseudonym_can_stand_for_the_user(tmp_path: Path) -> None:
    """Where the store hides its users, the log must not name them: nor by a key that was made for them, nor as an
    admin who signed in."""
    log = AuditLog(tmp_path / "audit.jsonl", lambda user: f"u-{len(user)}", known=["webui"])
    log.record({"who": "webui", "did": "list", "whose": "ada"})
    log.record({"who": "admin", "did": "keys.create", "key": "ada's laptop", "whose": "ada"})
    log.record({"who": "ada's laptop", "did": "list", "whose": "ada"})
    log.record({"who": "sign-in:ada", "did": "users.list"})
    found = [tuple(entry.get(name) for name in ("who", "key", "whose")) for entry in entries(log.path)]
    assert found == [
        ("webui", None, "u-3"),
        ("admin", "u-12", "u-3"),
        ("u-12", None, "u-3"),
        ("sign-in:u-3", None, None),
    ]


class Anything:
    """Stands in for all handlers: it has a handler of any name."""

    def __getattr__(self, name: str) -> Any:
        async def handler(request: Request) -> Response:
            raise NotImplementedError

        return handler


def test_every_path_of_memories_and_of_the_admin_has_a_name_in_it() -> None:
    """What has none would leave no line."""
    served = [
        route for route in routes(Handlers._make([cast(Any, Anything())] * len(Handlers._fields))) if route.methods
    ]
    kept = [route for route in served if route.path.startswith(PLACES) and route.endpoint is not wrong_method]
    named = {f"{method} {route.path}" for route in kept for method in (route.methods or set()) - {"HEAD"}}
    assert named == ACTIONS.keys()


def test_who_changes_a_group_is_there(own: Proxy) -> None:
    """And whom they let in or put out; and each change to several memories at once."""
    before = len(entries(own.data / "audit.jsonl"))
    with own.client(key=ADMIN) as admin, own.client("gil") as gil:
        admin.post("/admin/groups", json={"name": "choir"}).raise_for_status()
        admin.put("/admin/groups/choir/members/gil").raise_for_status()
        added = gil.post("/v1/memories", json={"text": "We sing Zelenka."}, headers={"X-Memory-Scope": "@choir"})
        gil.post("/v1/memories/delete", json={"ids": [added.json()["id"]]}, headers={"X-Memory-Scope": "@choir"})
        admin.delete("/admin/groups/choir/members/gil").raise_for_status()
        admin.delete("/admin/groups/choir").raise_for_status()
    found = entries(own.data / "audit.jsonl")[before:]
    assert [(each["who"], each["did"], each.get("whose"), each["scope"]) for each in found] == [
        ("admin", "groups.create", None, "@choir"),
        ("admin", "groups.member.add", "gil", "@choir"),
        ("webui", "add", "gil", "@choir"),
        ("webui", "delete", "gil", "@choir"),
        ("admin", "groups.member.remove", "gil", "@choir"),
        ("admin", "groups.remove", None, "@choir"),
    ]


def append(path: Path, who: str) -> None:
    log = AuditLog(path)
    for _ in range(300):
        log.record({"who": who * 2000})


@pytest.mark.slow
def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    """Not even long lines."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append, args=(tmp_path / "audit.jsonl", who)) for who in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = entries(tmp_path / "audit.jsonl")
    assert len(found) == 900
    assert {len(set(entry["who"])) for entry in found} == {1}
