"""The people, how each of them shows who they are, and the proxy's settings that let them in."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jwt

from loadtests.attack.leaks import DEFAULT, PRIVATE, WORK, first_of, marker

ADMIN_KEY = "sk-admin-of-the-attack"
GATEWAY_KEY = "sk-gateway-of-the-attack"  # may name anybody
# Those who come with these keys show a token that is signed with the key's secret; the first may name people too.
SIGNED_KEY, TOKEN_KEY = "sk-signed-of-the-attack", "sk-token-of-the-attack"
SECRETS = {
    SIGNED_KEY: "the gateway's secret, of more than 64 bytes, so that HS512 may be tried with it",
    TOKEN_KEY: "the other key's secret, of more than 64 bytes, so that HS512 may be tried with it",
}

PRIVATE_AT = 2  # the place of the private memory in `Person.ids`
AWAY, HOME = "away", "home"  # a model elsewhere, and one on the operator's machine

Way = Literal["configured", "made", "named", "token"]
_WAYS: tuple[Way, ...] = ("configured", "made", "named", "token")
Headers = list[tuple[str, str]]


@dataclass
class Person:
    """`key` is of their own, where they have one. What they have is filled in as it is made; the last of `ids` is in
    the scope `work`."""

    number: int
    name: str
    way: Way
    key: str
    marks: dict[str, str]
    ids: list[str] = field(default_factory=list)
    receipt: str = ""
    cursor: str = ""
    token: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    group_memory: str = ""  # the id of what the group of this person knows

    def credentials(self) -> Headers:
        """The headers with which the person identifies themselves."""
        match self.way:
            case "configured":
                return [("Authorization", f"Bearer {self.key}")]
            case "made":
                return [("x-api-key", self.key)]
            case "named":
                return [("Authorization", f"Bearer {GATEWAY_KEY}"), ("X-Memory-User", self.name)]
            case "token":
                return [("Authorization", f"Bearer {self.key}"), ("X-OpenWebUI-User-Jwt", self.token)]

    def memories(self) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """Headers and body of each memory that is to be added; the same words for everybody but for the marker."""
        mark = self.marks
        return [
            ({}, {"text": f"My passport lies in the drawer {mark[DEFAULT]}."}),
            ({}, {"text": f"My favourite song is called {mark[DEFAULT]}.", "pinned": True}),
            ({}, {"text": f"My sister's secret nickname is {mark[PRIVATE]}.", "private": True}),
            ({"X-Memory-Scope": "work"}, {"text": f"Our project has the code name {mark[WORK]}."}),
        ]


def group_of(number: int) -> str:
    return f"group-{first_of(number)}"


def groups(everybody: Sequence[Person]) -> list[dict[str, Any]]:
    """Of each the first is the owner, the second a reader and the third one, too: nobody but the owner may write."""
    found: dict[str, dict[str, str]] = {}
    for each in everybody:
        role = "owner" if each.number == first_of(each.number) else "reader"
        found.setdefault(group_of(each.number), {})[each.name] = role
    return [{"name": name, "members": members} for name, members in found.items()]


def people(number: int) -> list[Person]:
    """Neighbours' names differ in their case, by an ending or by an accent only; or fall together when their UTF-8 is
    read as Latin-1 and stripped, as `à` and `Å` at the end do."""
    return [_person(each) for each in range(number)]


def _person(number: int) -> Person:
    way = _WAYS[number % len(_WAYS)]
    pair, second = divmod(number, 2 * len(_WAYS))
    name = f"person-{number % len(_WAYS)}-{pair}"
    if second >= len(_WAYS):
        name = (f"P{name[1:]}", f"{name}.", f"{name}/default", f"{name}-é")[number % 4]
    if way == "named" and pair % 2:
        name = f"person-2-{pair}-jo{'Å' if second >= len(_WAYS) else 'à'}"
    marks = {kind: marker(number, kind) for kind in (DEFAULT, WORK, PRIVATE)}
    person = Person(number, name, way, f"sk-{secrets.token_urlsafe(24)}", marks)
    if way == "token":
        person.key = (SIGNED_KEY, TOKEN_KEY)[pair % 2]
        person.token = token(name, SECRETS[person.key])
    return person


def token(name: object, secret: str, algorithm: str = "HS256", **claims: object) -> str:
    """A signed token, or one with the algorithm `none`."""
    claims = {"sub": name, "exp": int(time.time()) + 86_400} | claims
    return jwt.encode(claims, secret if algorithm != "none" else "", algorithm=algorithm)


def settings(everybody: Sequence[Person], folder: Path, upstream: int, workers: int) -> dict[str, Any]:
    """Encrypted, with every kind of key; some are made later, by the admin."""
    configured = [each for each in everybody if each.way == "configured"]
    keys: list[dict[str, Any]] = [{"name": each.name, "key": each.key, "user": each.name} for each in configured]
    keys += [
        {"name": "gateway", "key": GATEWAY_KEY, "trust_identity": True},
        {"name": "signed", "key": SIGNED_KEY, "trust_identity": True, "jwt_secret": SECRETS[SIGNED_KEY]},
        {"name": "tokens", "key": TOKEN_KEY, "jwt_secret": SECRETS[TOKEN_KEY]},
    ]
    return {
        "server": {"port": 0, "workers": workers},
        "data_dir": str(folder / "data"),
        "model_list": [_model(AWAY, upstream), _model(HOME, upstream) | {"local": True}],
        "keys": keys,
        "admin_key": ADMIN_KEY,
        "memory": {"deadline_ms": 5000, "encryption": {"master_key": secrets.token_hex(32)}},
    }


def _model(name: str, upstream: int) -> dict[str, Any]:
    base = f"http://127.0.0.1:{upstream}/{name}/v1"
    params = {"model": f"hosted_vllm/{name}", "api_base": base, "api_key": "sk-x"}
    return {"model_name": name, "litellm_params": params}
