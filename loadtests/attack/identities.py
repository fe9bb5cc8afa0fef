"""Who the attackers say they are. The proxy knows each of them as somebody, who wants what is somebody else's."""

from __future__ import annotations

import time
from typing import Any

import jwt
import orjson

from loadtests.attack.attempt import QUESTION, READ, Attempt, Game, any_read, chat
from loadtests.attack.leaks import DEFAULT
from loadtests.attack.people import ADMIN_KEY, GATEWAY_KEY, GATEWAY_SECRET, TOKEN_KEY, TOKEN_SECRET, token
from loadtests.attack.wire import Header

_REFUSED = (400, 401, 403, 404)
_ODD = (200, 400, 401, 403, 404, 405, 409, 413, 415, 431, 0)


def claims_in_headers(game: Game) -> Attempt:
    """Names the victim beside the own credentials: twice, in capitals, with commas, in every header we read."""
    name = game.victim.name
    claims: list[Header] = [
        ("X-Memory-User", name), ("x-MEMORY-user", name), ("X-Memory-User", f"{name}, {name}"),
        ("X-OpenWebUI-User-Id", name), ("X-Memory-User", f"\t{name}\t"), ("X_Memory_User", name),
        ("X-Memory-User", f'"{name}"'), ("X-User-Id", name), ("X-Memory-User", ""), ("X-OpenWebUI-User-Email", name),
        ("X-OpenWebUI-User-Jwt", f"{game.victim.number}.e30."), ("X-Memory-User", f"{name}\x0b".encode()),
        ("Forwarded", f"for={name}"), ("Cookie", f"user={name}"), ("X-Api-Key", "sk-other"),
    ]  # fmt: skip
    headers = [*game.me.credentials(), *game.chance.sample(claims, game.chance.randint(1, 4))]
    game.chance.shuffle(headers)
    return Attempt(any_read(game, headers), game.me.number, expected=_ODD)


def claims_in_body(game: Game) -> Attempt:
    name: Any = game.victim.name
    claims = {
        "user": name, "safety_identifier": name, "metadata": {"user_id": name, "user": name},
        "prompt_cache_key": name, "user_id": name, "extra_body": {"user": name}, "memory": {"user": name},
        "scope": name, "x-memory-user": name, "space": [name, "default"],
        "identity": {"user": name}, "headers": {"X-Memory-User": name},
    }  # fmt: skip
    chosen = {each: claims[each] for each in game.chance.sample(sorted(claims), 3)}
    if game.chance.random() < 0.02:
        chosen["metadata"] = {"user": name * 20_000}
    return Attempt(chat([*game.me.credentials(), READ], QUESTION, fields=chosen), game.me.number, DEFAULT)


def comes_as_nobody(game: Game) -> Attempt:
    """Through the gateway's key, which may name anybody, without a name that is one."""
    name = game.victim.name
    tries: list[list[Header]] = [
        [], [("X-Memory-User", "")], [("X-Memory-User", " ")], [("X-Memory-User", f"{name},{name}")],
        [("X-Memory-User", game.me.name), ("X-Memory-User", name)], [("X-Memory-User", "*")],
        [("X-Memory-User", f"{name}%00")], [("X-Memory-User", f"{name}\x00".encode())], [("X-Memory-User", "../")],
        [("X-Memory-User", name + "\u200b")], [("X-Memory-User", name + "\xad")],
        [("X-Memory-User", f"{name} OR 1=1")],
        [("X-Memory-User", name), ("X-OpenWebUI-User-Jwt", "a.b.c")], [("X-OpenWebUI-User-Jwt", "")],
        [("X-Memory-User", name), ("X-OpenWebUI-User-Jwt", token(name, TOKEN_SECRET))],
        [("X-Memory-User", name.swapcase() + "\u0301")], [("X-Memory-User", name * 40)],
    ]  # fmt: skip
    headers = [("Authorization", f"Bearer {GATEWAY_KEY}"), *game.chance.choice(tries)]
    return Attempt(any_read(game, headers), None, expected=_ODD)


def forges_a_token(game: Game) -> Attempt:
    """For the key that knows people by their tokens."""
    name, hour = game.victim.name, int(time.time()) + 3600
    good = token(name, TOKEN_SECRET)
    tries: list[str] = [
        token(name, "a guess of more than thirty-two bytes, and so"), token(name, GATEWAY_SECRET),
        token(name, algorithm="none"), token(name, algorithm="HS512"), token(name, exp=1), token(name, nbf=hour),
        _unsigned(name, alg="none"), _unsigned(name, alg="RS256", kid="../../dev/null"), _unsigned(name, alg="nOnE"),
        good.rpartition(".")[0] + ".", good.rpartition(".")[0], f"{good[:-4]}AAAA", f"{good}, {good}", f"{good}x",
        token({"name": name}, "x" * 40), "", "null", "e30.e30.e30", "." * 200,
        token(f"{name}\nx", GATEWAY_SECRET), token(None, "y" * 40),
    ]  # fmt: skip
    headers: list[Header] = [
        ("Authorization", f"Bearer {TOKEN_KEY}"),
        ("X-OpenWebUI-User-Jwt", game.chance.choice(tries)),
    ]
    if game.chance.random() < 0.3:
        headers.append(("X-Memory-User", name))
    return Attempt(any_read(game, headers), None, expected=_ODD)


def brings_a_token_along(game: Game) -> Attempt:
    """A forged one beside the own identity."""
    forged = token(game.victim.name, game.chance.choice((GATEWAY_SECRET[::-1], "z" * 40)))
    headers: list[Header] = [*game.me.credentials(), ("X-OpenWebUI-User-Jwt", forged)]
    return Attempt(any_read(game, headers), game.me.number, expected=_ODD)


def guesses_keys(game: Game) -> Attempt:
    key = game.victim.key
    tries = (key[:-1], key.upper(), f"{key} ", f"sha256:{key}", "", "*", "null", f"{key}\u00a0", key[:8], ADMIN_KEY)
    chosen = game.chance.choice(tries).strip(" ")
    chosen = "sk-" if chosen == key else chosen
    headers: list[Header] = [("Authorization", f"{game.chance.choice(('Bearer', 'Basic', 'bearer'))} {chosen}")]
    return Attempt(any_read(game, [*headers, ("X-Memory-User", game.victim.name)]), None, expected=_REFUSED)


def _unsigned(name: str, **header: str) -> str:
    parts = [orjson.dumps(each) for each in (header, {"sub": name, "exp": 9_999_999_999})]
    return ".".join(jwt.utils.base64url_encode(each).decode() for each in parts) + "."
