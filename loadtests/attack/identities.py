"""The identities that the attackers claim. The proxy knows each attacker as one user, who wants another user's
memories."""

from __future__ import annotations

import time
import unicodedata
from typing import Any
from urllib.parse import quote

import jwt
import orjson

from loadtests.attack.attempt import QUESTION, READ, Attempt, Game, any_read, chat
from loadtests.attack.leaks import DEFAULT
from loadtests.attack.people import ADMIN_KEY, GATEWAY_KEY, SECRETS, SIGNED_KEY, TOKEN_KEY, token
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
    """With a key that may name anybody and no valid name, or with a key that wants a token and none."""
    name = game.victim.name
    tries: list[list[Header]] = [
        [], [("X-Memory-User", "")], [("X-Memory-User", " ")], [("X-Memory-User", f"{name},{name}")],
        [("X-Memory-User", game.me.name), ("X-Memory-User", name)], [("X-Memory-User", "*")],
        [("X-Memory-User", f"{name}%00")], [("X-Memory-User", f"{name}\x00".encode())], [("X-Memory-User", "../")],
        [("X-Memory-User", name + "\u200b")], [("X-Memory-User", name + "\xad")],
        [("X-Memory-User", f"{name} OR 1=1")],
        [("X-Memory-User", name), ("X-OpenWebUI-User-Jwt", "a.b.c")], [("X-OpenWebUI-User-Jwt", "")],
        [("X-Memory-User", name), ("X-OpenWebUI-User-Jwt", token(name, SECRETS[TOKEN_KEY]))],
        [("X-Memory-User", name.swapcase() + "\u0301")], [("X-Memory-User", name * 40)],
    ]  # fmt: skip
    key = game.chance.choice((GATEWAY_KEY, SIGNED_KEY))
    if key == SIGNED_KEY:
        tries += [[("X-Memory-User", name)], [("X-OpenWebUI-User-Id", name)]] * 4
    headers = [("Authorization", f"Bearer {key}"), *game.chance.choice(tries)]
    return Attempt(any_read(game, headers), None, expected=_ODD)


def spells_the_name_otherwise(game: Game) -> Attempt:
    """The bytes of a name that a careless server takes for the victim's: in another encoding, stripped of more than
    HTTP allows, decoded twice, or brought into another normal form."""
    name = game.victim.name
    spelled = [name.encode(each, "replace") for each in ("latin-1", "cp1252", "utf-16-le", "utf-7")]
    spelled += [unicodedata.normalize(each, name).encode() for each in ("NFC", "NFD", "NFKC", "NFKD")]
    spelled += [name.encode() + each for each in (b"\xa0", b"\x85", b"\xc2\xa0", b"\xe3\x80\x80", b"\x0b", b"\xff")]
    spelled += [name.encode().decode("latin-1").encode(), name.encode().decode("latin-1").strip().encode()]
    spelled += [name.casefold().encode(), name.upper().encode(), name.encode()[:-1], quote(name).encode() + b"%20"]
    spelled += [name.encode().replace(b"-", b"\xc0\xad"), f"=?utf-8?q?{quote(name).replace('%', '=')}?=".encode()]
    others = [each for each in spelled if each.strip(b" \t") not in (name.encode(), *game.names)]
    headers: list[Header] = [
        ("Authorization", f"Bearer {GATEWAY_KEY}"),
        (game.chance.choice(("X-Memory-User", "X-OpenWebUI-User-Id")), game.chance.choice(others)),
    ]
    return Attempt(any_read(game, headers), None, expected=_ODD)


def forges_a_token(game: Game) -> Attempt:
    """For the keys that know people by their tokens."""
    name, hour = game.victim.name, int(time.time()) + 3600
    key, other = game.chance.sample((SIGNED_KEY, TOKEN_KEY), 2)
    secret, others = SECRETS[key], SECRETS[other]
    good = token(name, secret)
    tries: list[str] = [
        token(name, "a guess of more than thirty-two bytes, and so"), token(name, others),
        token(name, "", "none"), token(name, secret, "HS512"), token(name, secret, exp=1),
        token(name, secret, nbf=hour),
        _unsigned(name, alg="none"), _unsigned(name, alg="RS256", kid="../../dev/null"), _unsigned(name, alg="nOnE"),
        good.rpartition(".")[0] + ".", good.rpartition(".")[0], f"{good[:-4]}AAAA", f"{good}, {good}", f"{good}x",
        token({"name": name}, "x" * 40), "", "null", "e30.e30.e30", "." * 200,
        token(f"{name}\nx", secret), token(None, "y" * 40),
    ]  # fmt: skip
    headers: list[Header] = [
        ("Authorization", f"Bearer {key}"),
        ("X-OpenWebUI-User-Jwt", game.chance.choice(tries)),
    ]
    if game.chance.random() < 0.3:
        headers.append(("X-Memory-User", name))
    return Attempt(any_read(game, headers), None, expected=_ODD)


def brings_a_token_along(game: Game) -> Attempt:
    """A forged one beside the own identity."""
    forged = token(game.victim.name, game.chance.choice((SECRETS[SIGNED_KEY][::-1], "z" * 40)))
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
