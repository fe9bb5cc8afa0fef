"""Promise 3, never the wrong person: the order of the identity rules, and that doubt means nobody."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from typing import Any

import httpx
import jwt
import pytest

from rememberd.access.identity import conversation, identify
from rememberd.access.signed_in import SignedIn
from rememberd.errors import RequestError
from rememberd.types import Principal
from tests.support.proxy_server import Proxy
from tests.support.tables import each_row

SECRET = "a secret of at least 32 bytes, say"
OWN = Principal("own", user="alice")
TRUSTED = Principal("webui", trust_identity=True)
SIGNED = Principal("webui", trust_identity=True, jwt_secret=SECRET)


def token(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm)


def unsigned(claims: dict[str, Any]) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."


def user(
    principal: Principal, headers: dict[str, str] | None = None, body: dict[str, Any] | None = None
) -> str | None:
    found = identify(principal, headers or {}, body or {})
    return found.user if found else None


def test_the_keys_own_user_is_the_rule_and_no_request_can_change_it() -> None:
    """Without `trust_identity` every header and field is ignored."""
    headers = {"x-memory-user": "bob", "x-openwebui-user-id": "bob", "x-openwebui-user-jwt": token({"sub": "bob"})}
    assert user(OWN, headers, {"user": "bob", "safety_identifier": "bob"}) == "alice"


def test_a_trusted_key_names_the_user_in_this_order() -> None:
    """The headers, then the body's safety_identifier and user."""
    headers = {"x-memory-user": "h", "x-openwebui-user-id": "o"}
    body = {"safety_identifier": "s", "user": "u"}
    assert user(TRUSTED, headers, body) == "h"
    del headers["x-memory-user"]
    assert user(TRUSTED, headers, body) == "o"
    assert user(TRUSTED, {}, body) == "s"
    assert user(TRUSTED, {}, {"user": "u"}) == "u"
    assert user(TRUSTED) is None


def test_with_a_secret_at_the_key_only_a_token_names_the_user() -> None:
    """Whatever else the request says, and whoever's the key is: without the token, nobody."""
    headers, body = {"x-memory-user": "h", "x-openwebui-user-id": "o"}, {"safety_identifier": "s", "user": "u"}
    for principal in (SIGNED, replace(SIGNED, user="everybody"), replace(SIGNED, trust_identity=False, user="ann")):
        assert user(principal, {**headers, "x-openwebui-user-jwt": token({"sub": "t"})}, body) == "t"
        for sent in ({}, headers, {"x-openwebui-user-jwt": ""}):
            assert user(principal, sent, body) is None


def test_no_two_names_fall_together() -> None:
    """Any character of Unicode, and of the many places that have none each 101st, at the end and at the beginning of
    a name: whatever names somebody names exactly them. The spaces and tabs around a header's value are HTTP's."""
    for code in (*range(0x34000), *range(0xE0000, 0xE1000), *range(0x34000, 0x110000, 101)):
        for name in (f"jo{chr(code)}", f"{chr(code)}jo") if code < 0x3100 else (f"jo{chr(code)}",):
            found = user(TRUSTED, {"x-memory-user": name.encode("utf-8", "surrogatepass").decode("latin-1")})
            assert found is None or found == name.strip(" \t"), hex(code)
    assert all(user(TRUSTED, {}, {"user": name}) in (None, name) for name in map(chr, range(0x3100)))


@each_row("latin", [b"jo\xe0", b"jo\xc5", b"\xa0jo", b"jo\x85", b"\xff", b"\xed\xa0\x80", b"\xc0\xafx"])
def test_a_header_that_is_no_utf8_means_nobody(latin: bytes) -> None:
    """Read as Latin-1, some of these lose their end and become another person's name."""
    assert user(TRUSTED, {"x-memory-user": latin.decode("latin-1")}) is None


def test_names_beyond_ascii_are_people_of_their_own(proxy: Proxy) -> None:
    """Over the wire, in the memory API: `joà` and `joÅ` share nothing."""
    for name in ("joà", "joÅ", "jo", "Ωmega"):
        headers = {b"Authorization": b"Bearer sk-webui", b"X-Memory-User": name.encode()}
        httpx.post(f"{proxy.url}/v1/memories", json={"text": f"I am {name}."}, headers=headers).raise_for_status()
        kept = httpx.get(f"{proxy.url}/v1/memories", headers=headers).json()["data"]
        assert [memory["text"] for memory in kept] == [f"I am {name}."]


def test_a_key_that_is_bound_to_a_scope_pauses_its_scope_only(proxy: Proxy) -> None:
    """The key for all of the user pauses everything, and the bound one cannot end that."""
    work, everything = proxy.client(key="sk-work"), proxy.client(key="sk-all")

    def pause(client: httpx.Client, paused: bool) -> bool:
        told = client.put("/v1/memories/settings", json={"paused": paused}).raise_for_status().json()
        return bool(told["paused"])

    def paused(client: httpx.Client) -> bool:
        return bool(client.get("/v1/memories/settings").json()["paused"])

    with work, everything:
        assert pause(work, True)
        assert (paused(work), paused(everything)) == (True, False)
        assert not pause(work, False)
        assert pause(everything, True)
        assert pause(work, False), "it is paused all the same"
        assert not pause(everything, False)
        assert (paused(work), paused(everything)) == (False, False)


@each_row(
    "bad",
    [
        "",
        "nonsense",
        unsigned({"sub": "bob"}),
        token({"sub": "bob"}, "another secret of at least 32 bytes!"),
        token({"sub": "bob"}, SECRET * 2, "HS512"),
        token({"sub": "bob", "exp": time.time() - 3600}),
        token({"sub": "bob", "nbf": time.time() + 3600}),
        token({"name": "bob"}),
        token({"sub": ""}),
        token({"sub": "bob"})[:-2] + "AA",
    ],
)
def test_a_token_that_does_not_verify_means_nobody(bad: str) -> None:
    """Not the user of the other headers: whoever sent a bad token is not to be believed."""
    assert user(SIGNED, {"x-openwebui-user-jwt": bad, "x-memory-user": "eve"}, {"user": "eve"}) is None


@pytest.mark.parametrize("name", ["x-memory-user", "x-openwebui-user-id", "x-openwebui-user-jwt"])
def test_a_header_that_names_two_users_means_nobody(proxy: Proxy, name: str) -> None:
    """A gateway may add its own to one that its client forged: in the chat and in the memory API, in either order,
    joined by a server on the way or not."""
    one, two = (token({"sub": "ada"}), token({"sub": "mallory"})) if "jwt" in name else ("ada", "mallory")
    for forged in ([(name, one), (name, two)], [(name, two), (name, one)], [(name, f"{one}, {two}")]):
        key = "sk-signed" if "jwt" in name else "sk-webui"
        headers = [("Authorization", f"Bearer {key}"), *forged]
        body = {"model": "model-a", "user": "ada", "messages": [{"role": "user", "content": "Hi"}]}
        chat = httpx.post(f"{proxy.url}/v1/chat/completions", json=body, headers=headers)
        assert chat.headers["x-memory-status"] == "no-identity"
        assert httpx.get(f"{proxy.url}/v1/memories", headers=headers).status_code == 403


def test_a_token_without_a_secret_to_check_it_means_nobody() -> None:
    """It must not fall back to a user that all behind this key would share."""
    shared = Principal("webui", user="everybody", trust_identity=True)
    assert user(shared, {"x-openwebui-user-jwt": token({"sub": "bob"})}) is None


def test_a_verified_token_lists_the_groups() -> None:
    """Of the claim that the key names, and of no token that does not verify."""
    member = replace(SIGNED, groups_claim="teams")
    for claim, groups in ((["research", 7, "", "ops", "ops"], ("research", "ops")), ("ops", ("ops",)), (7, ())):
        signed = {"x-openwebui-user-jwt": token({"sub": "ada", "teams": claim, "groups": ["admins"]})}
        found = identify(member, signed, {})
        assert found is not None
        assert found.groups == groups
    for principal in (SIGNED, replace(TRUSTED, groups_claim="teams")):
        found = identify(principal, {"x-memory-user": "ada"} if principal != SIGNED else signed, {})
        assert found is not None
        assert found.groups == ()
    assert identify(member, {"x-openwebui-user-jwt": unsigned({"sub": "ada", "teams": ["ops"]})}, {}) is None


@each_row("name", ["", "  ", "a\nb", "x" * 257, "\x00"])
def test_an_unusable_name_means_nobody(name: str) -> None:
    """An empty template in a client's configuration must not become a user."""
    assert user(TRUSTED, {"x-memory-user": name}, {"user": "eve"}) is None


@each_row("value", [7, None, [], {}, True, ""])
def test_a_field_that_is_no_text_names_nobody(value: Any) -> None:
    """Whatever JSON holds."""
    assert user(TRUSTED, {}, {"user": value, "safety_identifier": value}) is None


def test_the_cache_key_and_claude_codes_user_id_are_never_a_user() -> None:
    """They name a session or an installation."""
    assert user(TRUSTED, {}, {"prompt_cache_key": "c", "metadata": {"user_id": "u"}}) is None


@each_row(
    ("headers", "body", "expected"),
    [
        ({"x-conversation-id": "a", "x-openwebui-chat-id": "b"}, {}, "a"),
        ({"x-openwebui-chat-id": "b", "session-id": "c"}, {}, "b"),
        ({"session-id": "c"}, {"conversation": "d"}, "c"),
        ({"x-session-id": "e"}, {}, "e"),
        ({"x-claude-code-session-id": "f"}, {}, "f"),
        ({}, {"conversation": "d", "previous_response_id": "r"}, "d"),
        ({}, {"conversation": {"id": "d"}}, "d"),
        ({}, {"previous_response_id": "r"}, "r"),
        ({}, {"messages": [{"role": "user", "content": "Hi"}]}, None),
    ],
)
def test_the_conversation_is_what_the_client_calls_it(
    headers: dict[str, str], body: dict[str, Any], expected: str
) -> None:
    """And never guessed from the messages."""
    assert conversation(headers, body) == expected


@each_row("scope", ["a b", "../x", "", "-x"])
def test_a_scope_is_a_plain_name(scope: str) -> None:
    """An empty header is no header."""
    if scope:
        with pytest.raises(RequestError):
            identify(OWN, {"x-memory-scope": scope}, {})
    else:
        found = identify(OWN, {"x-memory-scope": scope}, {})
        assert found is not None
        assert found.scope == "default"


def test_somebody_who_signed_in_has_the_groups_of_their_token() -> None:
    """Headers and fields of the body cannot name another user than the one who signed in."""
    somebody = SignedIn("ada", 1, ("kitchen", "admins")).principal
    found = identify(somebody, {"x-memory-user": "bob"}, {"user": "bob"})
    assert found is not None
    assert (found.user, found.groups) == ("ada", ("kitchen", "admins"))
