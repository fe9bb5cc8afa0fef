"""A user sees which apps use their memory, switches the reading or the writing of one off, or gives it a scope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import pytest
from mcp.client.client import Client as McpClient
from mcp.client.streamable_http import streamable_http_client

from tests.support.fake_model import FakeModel, newest_user_text
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import KEYS, PATIENCE, Proxy, ask, eventually, remembered

ADMIN = "sk-admin-of-apps"
MASTER = "00" * 32


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """With encryption, under which an app's name is looked up by a pseudonym."""
    memory = {"deadline_ms": 5000, "encryption": {"master_key": MASTER}}
    folder = tmp_path_factory.mktemp("apps")
    with running_here(folder, {"model-a": upstream.url}, memory=memory, admin_key=ADMIN, keys=KEYS) as proxy:
        yield proxy


def named(proxy: Proxy, user: str, app: str, **headers: str) -> httpx.Client:
    return proxy.client(user, **{"User-Agent": f"{app}/1.2 (x)", **headers})


def app_of(client: httpx.Client, name: str) -> dict[str, Any]:
    """As it is listed, as soon as it is."""

    def look() -> dict[str, Any] | None:
        listed = client.get("/v1/memories/apps").raise_for_status().json()["data"]
        return next((each for each in listed if each["name"] == name), None)

    found = eventually(look)
    assert found is not None
    return found


def allow(client: httpx.Client, name: str, **rights: Any) -> dict[str, Any]:
    app_of(client, name)
    changed: dict[str, Any] = (
        client.patch("/v1/memories/apps", json={"name": name, **rights}).raise_for_status().json()
    )
    return changed


def test_an_app_is_listed_with_its_key_and_is_nobody_elses(own: Proxy, user: str) -> None:
    with named(own, user, "quill") as quill, own.client(f"not {user}") as other:
        ask(quill, "Hello.")
        listed = app_of(quill, "quill")
        assert listed["object"] == "memory.app"
        assert {name: listed[name] for name in ("reads", "writes", "scope", "key", "requests")} == {
            "reads": True,
            "writes": True,
            "scope": None,
            "key": "webui",
            "requests": 1,
        }
        assert listed["first_seen_at"] == listed["last_seen_at"]
        assert other.get("/v1/memories/apps").json()["data"] == []
        assert other.patch("/v1/memories/apps", json={"name": "quill", "reads": False}).status_code == 404


def test_each_app_reads_and_writes_as_it_may(own: Proxy, user: str, upstream: FakeModel) -> None:
    """The headers say so; other apps of the user go on as before."""
    question = "Am I allergic to peanuts?"
    with named(own, user, "quill") as quill, named(own, user, "pen") as pen:
        quill.post("/v1/memories", json={"text": "I am allergic to peanuts."}).raise_for_status()
        may = {(True, True): ("hit", "on"), (False, True): ("off", "on"), (True, False): ("hit", "off")}
        for (reads, writes), told in [*may.items(), ((False, False), ("off", "off"))]:
            ask(quill, question)
            assert allow(quill, "quill", reads=reads, writes=writes)["reads"] is reads
            answer = ask(quill, question).headers
            assert (answer["X-Memory-Status"], answer["X-Memory-Write"]) == told, (reads, writes)
            assert ("allergic to peanuts." in newest_user_text(upstream.chats[-1].json)) == (told[0] == "hit")
            other = ask(pen, question).headers
            assert (other["X-Memory-Status"], other["X-Memory-Write"]) == ("hit", "on")


def test_an_apps_scope_is_where_its_requests_name_none(own: Proxy, user: str) -> None:
    """A scope that the request names holds, and a key's own scopes do."""
    with named(own, user, "quill") as quill:
        ask(quill, "Hello.")
        allow(quill, "quill", scope="work")
        ask(quill, "I live in Tromsø.")
        with named(own, user, "pen", **{"X-Memory-Scope": "work"}) as pen:
            remembered(pen, "Tromsø")
        assert "Tromsø" not in quill.get("/v1/memories/export").text
        with named(own, user, "quill", **{"X-Memory-Scope": "home"}) as elsewhere:
            assert ask(elsewhere, "Where do I live?").headers["X-Memory-Status"] != "hit"
        assert ask(quill, "Where do I live?").headers["X-Memory-Status"] == "hit"


async def test_a_tool_of_mcp_does_no_more_than_its_app_may(own: Proxy, user: str) -> None:
    """Reading and writing are switched off there, too, and the app's scope holds."""
    headers = {"Authorization": "Bearer sk-webui", "X-Memory-User": user, "User-Agent": "quill/1.2"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        McpClient(streamable_http_client(f"{own.url}/mcp", http_client=http)) as mcp,
    ):
        added = await mcp.call_tool("add_memory", {"text": "I am allergic to peanuts."})
        assert not added.is_error
        with own.client(user) as page:
            allow(page, "quill", writes=False)
            assert (await mcp.call_tool("add_memory", {"text": "I keep bees."})).is_error
            assert not (await mcp.call_tool("search_memories", {"query": "peanuts"})).is_error
            allow(page, "quill", reads=False, writes=True)
            assert (await mcp.call_tool("search_memories", {"query": "peanuts"})).is_error
            again = await mcp.call_tool("add_memory", {"text": "I am allergic to PEANUTS"})
            assert "text" not in (again.structured_content or {})
            allow(page, "quill", reads=True, scope="work")
            assert not (await mcp.call_tool("add_memory", {"text": "I play the oboe."})).is_error
            assert "oboe" in page.get("/v1/memories/export", headers={"X-Memory-Scope": "work"}).text
            assert "oboe" not in page.get("/v1/memories/export").text


def test_what_cannot_be_set_is_refused_by_name(own: Proxy, user: str) -> None:
    with named(own, user, "quill") as quill, own.client(key="sk-work") as bound:
        ask(quill, "Hello.")
        app_of(quill, "quill")
        wrong: list[dict[str, Any]] = [
            {"reads": "no"},
            {"scope": "@team"},
            {"scope": ""},
            {"scope": 1},
            {"writes": None},
            {"colour": "red"},
        ]
        for given in wrong:
            refused = quill.patch("/v1/memories/apps", json={"name": "quill", **given})
            assert refused.status_code == 400, given
            assert next(iter(given)) in refused.json()["error"]["message"]
        assert quill.patch("/v1/memories/apps", json={"reads": False}).status_code == 404
        assert app_of(quill, "quill")["reads"]
        for answer in (bound.get("/v1/memories/apps"), bound.patch("/v1/memories/apps", json={"name": "x"})):
            assert answer.status_code == 403  # the key is for one scope; this is about all of the user


def test_the_admin_sees_and_sets_it_too_and_it_goes_with_the_user(own: Proxy, user: str) -> None:
    with named(own, user, "quill") as quill, own.client(key=ADMIN) as admin:
        ask(quill, "Hello.")
        app_of(quill, "quill")
        listed = admin.get("/admin/apps", params={"user": user}).raise_for_status().json()["data"]
        assert [each["name"] for each in listed] == ["quill"]
        admin.patch("/admin/apps", json={"user": user, "name": "quill", "reads": False}).raise_for_status()
        assert ask(quill, "Hello.").headers["X-Memory-Status"] == "off"
        assert quill.get("/admin/apps", params={"user": user}).status_code in (401, 403)
        assert admin.get("/admin/apps").status_code == 400
        assert admin.get("/v1/memories/apps").status_code == 401
        quill.delete("/v1/memories").raise_for_status()
        assert quill.get("/v1/memories/apps").json()["data"] == []
