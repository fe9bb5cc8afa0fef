"""People sign in at an OpenID provider: their session opens their own memories, and ends on the server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import pytest
from mcp.client.client import Client as McpClient
from mcp.client.streamable_http import streamable_http_client

from loadtests.servers import free_port
from tests.support.fake_model import FakeModel
from tests.support.openid_provider import Browser, Provider, provider_running
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import PATIENCE, Proxy, ask, eventually, remembered


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with provider_running() as provider:
        yield provider


PORT = free_port()


@pytest.fixture(scope="module")
def client(provider: Provider) -> dict[str, Any]:
    return provider.client(f"http://127.0.0.1:{PORT}")


@pytest.fixture(scope="module")
def home(client: dict[str, Any], upstream: FakeModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a proxy that people sign in to."""
    keys = [{"name": "cleo's script", "key": "sk-cleo", "user": "cleo"}]
    with running_here(
        tmp_path_factory.mktemp("signin"),
        {"model-a": upstream.url},
        server={"port": PORT},
        keys=keys,
        admin_key="sk-admin",
        sign_in=client,
        groups=[{"name": "kitchen", "claim_role": "writer"}, {"name": "cellar", "members": {"cleo": "owner"}}],
    ) as proxy:
        yield proxy.url


@pytest.fixture
def ada(home: str) -> Iterator[Browser]:
    yield from _signed_in(home, "ada")


@pytest.fixture
def cleo(home: str) -> Iterator[Browser]:
    yield from _signed_in(home, "cleo")


@pytest.fixture
def bob(home: str) -> Iterator[Browser]:
    yield from _signed_in(home, "bob")


def _signed_in(home: str, user: str) -> Iterator[Browser]:
    with Browser(home) as browser:
        browser.sign_in(user)
        yield browser


def test_a_session_opens_ones_own_memories(ada: Browser, bob: Browser) -> None:
    """The session opens the memories of this person only, whomever the request names."""
    ada.change("POST", "/v1/memories", json={"text": "I am allergic to peanuts."}).raise_for_status()
    session = ada.session()
    assert session.pop("csrf_token")
    assert session == {
        "object": "session",
        "available": True,
        "user": "ada",
        "admin": True,
        "groups": ["kitchen", "admins"],
    }
    for browser, found in ((ada, ["I am allergic to peanuts."]), (bob, [])):
        listed = browser.http.get("/v1/memories", headers={"X-Memory-User": "ada"}).raise_for_status().json()
        assert [each["text"] for each in listed["data"]] == found


def test_a_session_and_a_key_of_the_same_user_share_memories(home: str, cleo: Browser) -> None:
    """Keys stay as they are; a request that shows one is the key's, whatever cookie it has."""
    cleo.change("POST", "/v1/memories", json={"text": "I play the oboe."}).raise_for_status()
    for client in (httpx, cleo.http):
        listed = client.get(f"{home}/v1/memories", headers={"Authorization": "Bearer sk-cleo"}).json()["data"]
        assert [each["text"] for each in listed] == ["I play the oboe."]
    assert cleo.http.get("/v1/memories", headers={"Authorization": "Bearer sk-wrong"}).status_code == 401


def test_the_admin_claim_opens_the_admin_api(ada: Browser, bob: Browser, home: str) -> None:
    """As the admin key does, which goes on working."""
    assert ada.http.get("/admin/users").status_code == 200
    refused = bob.http.get("/admin/users")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_an_admin")
    assert httpx.get(f"{home}/admin/users", headers={"x-api-key": "sk-admin"}).status_code == 200
    assert httpx.get(f"{home}/admin/users").status_code == 401


def test_the_providers_groups_share_their_memories(
    home: str, provider: Provider, client: dict[str, Any], ada: Browser, cleo: Browser
) -> None:
    """Of groups that let a claim make members, in a session and with an access token; nobody else reads them."""
    said = "The oven door sticks."
    scope, other = {"X-Memory-Scope": "@kitchen"}, {"X-Memory-Scope": "@cellar"}
    headers = scope | {"X-CSRF-Token": ada.session()["csrf_token"]}
    ada.http.post("/v1/memories", json={"text": said}, headers=headers).raise_for_status()
    token = {"Authorization": f"Bearer {provider.access_token(client, 'bob')}"}
    with httpx.Client(base_url=home, headers=token, timeout=PATIENCE) as bob:
        listed = bob.get("/v1/memories", headers=scope).raise_for_status().json()["data"]
        assert [(each["text"], each["contributor"]) for each in listed] == [(said, "ada")]
        assert ask(bob, "What is wrong with the oven door?").headers["X-Memory-Status"] == "hit"
        assert bob.get("/v1/memories", headers=other).status_code == 403
    assert cleo.http.get("/v1/memories", headers=scope).status_code == 403
    assert cleo.http.get("/v1/memories", headers=other).json()["data"] == []


def test_the_cookie_alone_changes_nothing(ada: Browser, bob: Browser) -> None:
    """A page of another site makes a browser send it, but cannot know the CSRF token; another session's is none."""
    for token in ({}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": bob.session()["csrf_token"]}):
        for method, path in (("POST", "/v1/memories"), ("DELETE", "/v1/memories"), ("DELETE", "/signin/session")):
            refused = ada.http.request(method, path, headers=token, json={"text": "I was here."})
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "csrf_token_missing")
    assert ada.session()["user"] == "ada"


def test_scripts_and_other_sites_do_not_get_the_cookie(home: str) -> None:
    with Browser(home) as browser:
        last = browser.sign_in("bob").history[-1]
    cookie = next(each for each in last.headers.get_list("set-cookie") if each.startswith("rememberd-session="))
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert last.headers["cache-control"] == "no-store"


def test_a_session_ends_on_the_server(bob: Browser, home: str) -> None:
    """After that, a copy of the cookie opens nothing."""
    stolen = dict(bob.http.cookies)
    ended = bob.change("DELETE", "/signin/session").raise_for_status()
    assert "/oauth/end_session?" in ended.json()["url"]
    assert bob.session()["user"] is None
    with httpx.Client(base_url=home, cookies=stolen) as thief:
        assert thief.get("/signin/session").json()["user"] is None
        assert thief.get("/v1/memories").status_code == 401


def test_signing_out_and_being_erased_end_the_sessions_of_all_browsers(home: str, ada: Browser, bob: Browser) -> None:
    """A copy of a cookie is worth nothing from then on; other people's sessions last."""
    with Browser(home) as phone:
        phone.sign_in("bob")
        assert [each.session()["user"] for each in (bob, phone)] == ["bob", "bob"]
        phone.change("DELETE", "/signin/session").raise_for_status()
        assert bob.session()["user"] is None
        phone.sign_in("bob")
        ada.change("DELETE", "/admin/users/bob").raise_for_status()
        assert phone.session()["user"] is None
    assert ada.session()["user"] == "ada"


def test_a_forged_cookie_opens_nothing(ada: Browser, home: str) -> None:
    """Nor does one that this proxy signed for another purpose."""
    real = ada.http.cookies["rememberd-session"]
    id, _, tag = real.partition(".")
    begun = httpx.get(f"{home}/signin").cookies["rememberd-signin"]
    for forged in (id, f"{id}.", f"{id}.{tag[:-4]}AAAA", f"x{real}", f".{tag}", begun, "", '"'):
        with httpx.Client(base_url=home, cookies={"rememberd-session": forged}) as thief:
            assert thief.get("/v1/memories").status_code == 401, forged


def test_the_way_back_from_the_provider_is_walked_once_and_by_the_browser_that_began(ada: Browser, home: str) -> None:
    """Neither a copied address nor somebody else's sign-in makes a session."""
    ada.http.cookies.delete("rememberd-session")
    begun = ada.http.get("/signin", follow_redirects=False)
    asked = parse_qs(urlsplit(begun.headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    flow = begun.cookies["rememberd-signin"]
    made_up = f"{home}/signin/callback?state={asked['state'][0]}&code=none-of-yours"
    forged = httpx.get(made_up, cookies={"rememberd-signin": flow})
    assert forged.status_code == 400
    back = ada.http.get(begun.headers["location"], follow_redirects=False).headers["location"]
    for cookies in ({}, {"rememberd-signin": httpx.get(f"{home}/signin").cookies["rememberd-signin"]}):
        refused = httpx.get(back, cookies=cookies)
        assert refused.status_code == 400
        assert "did not begin" in refused.text
    assert httpx.get(back, cookies={"rememberd-signin": flow}).cookies["rememberd-session"]
    again = httpx.get(back, cookies={"rememberd-signin": flow})
    assert again.status_code == 400
    assert "rememberd-session" not in again.cookies


async def test_an_access_token_is_as_good_as_a_key(home: str, provider: Provider, client: dict[str, Any]) -> None:
    """For chats, the memory API, MCP and, with the admin claim, the admin API. It speaks for its own user alone."""
    tokens = {user: provider.access_token(client, user) for user in ("ada", "bob")}
    headers = {user: {"Authorization": f"Bearer {token}", "X-Memory-User": "cleo"} for user, token in tokens.items()}
    before = names_in(counted(home, ""))  # other tests' proxies in this process have keys of such names
    with httpx.Client(base_url=home, headers=headers["bob"], timeout=PATIENCE) as bob:
        assert ask(bob, "I live in Tromsø.").status_code == 200
        remembered(bob, "Tromsø")
        assert bob.get("/admin/keys").status_code == 403
    with httpx.Client(base_url=home, headers=headers["ada"], timeout=PATIENCE) as ada:
        assert "Tromsø" not in ada.get("/v1/memories").raise_for_status().text
        assert ada.get("/admin/keys").status_code == 200
        ada.headers["Authorization"] = f"Bearer {tokens['ada'][:-6]}AAAAAA"
        refused = ada.get("/v1/memories")
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_token")
    metrics = eventually(lambda: counted(home, 'rememberd_usage_requests_total{key="sign-in",model="model-a"}'))
    assert names_in(metrics) == before
    async with (
        httpx2.AsyncClient(headers=headers["bob"], timeout=PATIENCE) as http,
        McpClient(streamable_http_client(f"{home}/mcp", http_client=http)) as mcp,
    ):
        assert "Tromsø" in str((await mcp.call_tool("search_memories", {"query": "Where do I live?"})).content)


def names_in(metrics: str) -> set[str]:
    """The series whose name or labels have the name of a person in them."""
    series = (line.rpartition(" ")[0] for line in metrics.splitlines())
    return {each for each in series if re.search(r"\b(ada|bob|cleo)\b", each)}


def counted(home: str, series: str) -> str:
    """All metrics, once they have this one; "" until then."""
    metrics = httpx.get(f"{home}/metrics", headers={"x-api-key": "sk-admin"}).text
    return metrics if series in metrics else ""


def test_a_refused_mcp_client_learns_where_to_get_a_token(home: str, provider: Provider) -> None:
    refused = httpx.post(f"{home}/mcp", json={})
    where = re.fullmatch(r'Bearer resource_metadata="(\S+)"', refused.headers["www-authenticate"])
    assert where
    wrong = httpx.post(f"{home}/mcp", json={}, headers={"Authorization": "Bearer a.b.c"})
    pointed = f'Bearer error="invalid_token", resource_metadata="{where[1]}"'
    assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, pointed)
    assert httpx.get(where[1]).json() == {
        "resource": f"{home}/mcp",
        "resource_name": "rememberd",
        "authorization_servers": [provider.issuer],
        "bearer_methods_supported": ["header"],
    }


def test_who_has_no_sign_in_does_not_load_its_libraries() -> None:
    """They take 0.2 s and 30 MB."""
    code = (
        "import sys, rememberd.wiring.app\n"
        "sys.exit(bool({'authlib', 'joserfc', 'httpx2', 'rememberd.access.sign_in.provider'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_sign_in_there_is_none(proxy: Proxy) -> None:
    """And the page need not ask twice."""
    assert httpx.get(f"{proxy.url}/signin/session").json()["available"] is False
    assert httpx.get(f"{proxy.url}/signin").status_code == 404
