"""Where else the attackers try to come in: the admin API, MCP, imports, erasures, and with rubbish."""

from __future__ import annotations

import orjson

from loadtests.attack.attempt import QUESTION, READ, Attempt, Game, ask
from loadtests.attack.leaks import DEFAULT
from loadtests.attack.people import ADMIN_KEY
from loadtests.attack.wire import Header, request

_ODD = (200, 400, 401, 403, 404, 405, 409, 413, 415, 431, 0)


def imports_as_another(game: Game) -> Attempt:
    """With the victim's ids, turns and names in every field; what is written is the importer's."""
    victim, mark = game.victim, game.me.marks[DEFAULT]
    number = game.chance.randrange(50)
    memory = {
        "text": f"I imported {mark} number {number}.", "id": game.chance.choice(victim.ids), "space": victim.name,
        "scope": "work", "evidence": {"text": "x", "role": "user", "turn_id": game.chance.choice(victim.ids)},
        "source": {"conversation": "the same", "client": victim.name}, "owner": victim.name,
    }  # fmt: skip
    turn = {
        "user": f"I carry {mark} number {number}.",
        "answer": "",
        "id": victim.receipt,
        "conversation": "the same",
    }
    lines = b"\n".join(orjson.dumps(each) for each in (memory, turn))
    headers: list[Header] = [*game.me.credentials(), ("X-Import-User", victim.name)]
    return Attempt(request("POST", "/v1/memories/import", headers, lines), game.me.number)


def probes_the_admin(game: Game) -> Attempt:
    """With a key that is not the admin's."""
    method, path, body = game.chance.choice(
        (
            ("GET", "/admin/keys", None), ("GET", "/admin/users", None), ("GET", "/admin/users?after=", None),
            ("POST", "/admin/keys", {"name": "x", "user": game.victim.name}), ("DELETE", "/admin/keys/gateway", None),
            ("DELETE", f"/admin/users/{game.victim.name.encode().hex()}", None), ("GET", "//admin/keys", None),
            ("GET", "/v1/../admin/keys", None), ("GET", "/v1/%2e%2e/admin/users", None), ("GET", "/ADMIN/keys", None),
            ("GET", "/metrics", None), ("GET", "/admin/keys/", None), ("PUT", "/admin/keys", {}),
        )
    )  # fmt: skip
    return Attempt(ask(method, path, game.me.credentials(), body), None, expected=(307, 401, 403, 404, 405))


def is_the_admin(game: Game) -> Attempt:
    """Who sees that people have memories, and none of them."""
    path = game.chance.choice(("/v1/memories", "/v1/memories/export", "/v1/receipts", "/admin/keys", "/metrics"))
    headers: list[Header] = [("Authorization", f"Bearer {ADMIN_KEY}"), ("X-Memory-User", game.victim.name)]
    return Attempt(ask("GET", path, headers), None, expected=(200, 401))


def calls_tools(game: Game) -> Attempt:
    """By MCP, as another: in the arguments, the headers, the session. What is private is told to no model there."""
    name = game.victim.name
    tool, arguments = game.chance.choice(
        (
            ("search_memories", {"query": QUESTION, "limit": 50}), ("list_memories", {"limit": 500}),
            ("list_memories", {"limit": 500, "cursor": game.victim.cursor, "user": name}),
            ("forget_memory", {"id": game.victim.ids[0]}),
            ("search_memories", {"query": QUESTION, "user": name, "scope": "work"}),
            ("forget_memory", {"id": "../memories"}),
        )
    )  # fmt: skip
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    headers: list[Header] = [
        *game.me.credentials(), ("Accept", "application/json, text/event-stream"),
        ("Content-Type", "application/json"), ("Mcp-Session-Id", name.encode().hex()),
        ("MCP-Protocol-Version", "2025-06-18"),
    ]  # fmt: skip
    return Attempt(ask("POST", "/mcp", headers, call), game.me.number, DEFAULT, expected=(200, 400))


def erases(game: Game) -> Attempt:
    """Somebody who has nothing to lose erases themselves and names the victim wherever it could count."""
    me, name = game.chance.choice(game.extra), game.victim.name
    if game.chance.random() < 0.5:
        return Attempt(
            ask("POST", "/v1/memories", me.credentials(), {"text": "I was here."}), None, expected=(200, 409)
        )
    headers: list[Header] = [*me.credentials(), ("X-OpenWebUI-User-Id", name), ("X-Memory-Scope", "default")]
    path = f"/v1/memories?user={name.encode().hex()}"
    return Attempt(ask("DELETE", path, headers, {"user": name, "id": game.victim.ids[0]}), None)


def sends_rubbish(game: Game) -> Attempt:
    """What no JSON or HTTP is, and what is a great deal of it."""
    bodies = (
        b"{", b"[" * 50_000, b'{"model": "away", "messages": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b"\xff\xfe", b"null",
        b'{"model": "away", "messages": [{"role": "user", "content": "\\ud800"}], "user": "\\ud800"}', b"1" * 5_000,
        b'{"model": "away", "messages": [{"role": "user", "content": {"text": 7}}, 7, null]}', b'{"model": ["away"]}',
        b'{"model": "away", "messages": {}}', b'{"model": "away", "input": 7, "messages": 7, "text": 7, "query": {}}',
    )  # fmt: skip
    method, path = game.chance.choice(
        (
            ("POST", "/v1/chat/completions"), ("POST", "/v1/messages"), ("POST", "/v1/responses"),
            ("POST", "/v1/memories"), ("POST", "/v1/memories/search"), ("POST", "/v1/memories/import"),
            ("POST", "/v1/memories/preview"), ("POST", "/mcp"), ("POST", "/v1/embeddings"),
            ("PATCH", f"/v1/memories/{game.me.ids[0]}"), ("PUT", "/v1/memories/settings"),
        )
    )  # fmt: skip
    headers: list[Header] = [*game.me.credentials(), READ, ("Accept", "*/*"), ("Content-Type", "application/json")]
    return Attempt(
        request(method, path, headers, game.chance.choice(bodies)), game.me.number, expected=(*_ODD, 406, 422)
    )
