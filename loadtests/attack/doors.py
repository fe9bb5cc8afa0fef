"""Other ways in that the attackers try: the admin API, MCP, imports, erasures, and requests that are no HTTP or
JSON."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import orjson

from loadtests.attack.attempt import QUESTION, READ, Attempt, Game, ask, chat
from loadtests.attack.leaks import DEFAULT, OPEN
from loadtests.attack.people import ADMIN_KEY, PRIVATE_AT, Person
from loadtests.attack.wire import Header, request
from tests.support.nasty_text import nasty

_ODD = (200, 400, 401, 403, 404, 405, 409, 413, 415, 431, 0)
# What a provider keeps, by OpenAI's API reference.
_STORED = (
    "files", "files/file-1", "files/file-1/content", "responses/resp_1", "responses/resp_1/input_items",
    "responses/resp_1/cancel", "batches", "batches/batch_1", "batches/batch_1/cancel", "fine_tuning/jobs",
    "chat/completions/chatcmpl-1", "conversations/conv_1/items", "vector_stores", "assistants", "threads/thread_1",
    "uploads", "containers", "evals", "messages/batches", "//files", "files/",
)  # fmt: skip


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


def has_a_file_read(game: Game) -> Attempt:
    """Of another tool, or what only looks like one; nothing is written, and nothing of others is in the answer."""
    export = orjson.dumps([{"title": "x", "mapping": {}, "user": game.victim.name}])
    files = (
        _zipped("conversations.json", export), _zipped(f"../../{game.victim.name}.json", export), _BOMB,
        _zipped("conversations.json", b"[" * 100_000), export[:-1], b"PK\x03\x04" + b"\0" * 200, b"\x1f\x8b\x08" * 99,
        b"SQLite format 3\0" + b"\xff" * 4_096, b"<html>" * 10_000, "I live in Oslo.\n\u2028".encode("utf-16"),
    )  # fmt: skip
    name = game.chance.choice(("a.zip", "../../data/keyring.db", "conversations.json", "%00.md", "a.jsonl", ""))
    path = f"/v1/memories/import/read?name={name}&user={game.victim.name.encode().hex()}"
    data = request("POST", path, game.me.credentials(), game.chance.choice(files))
    return Attempt(data, None, expected=(200, 400, 413))


def counts_what_there_is(game: Game) -> Attempt:
    """Of another, by what the memory page asks for."""
    name, own = game.victim.name.encode().hex(), game.me.ids[0]
    what = game.chance.choice(
        ("groups", "review", "stats", "apps", "settings", "files", f"{own}/why", f"{own}/history")
    )
    path = f"/v1/memories/{what}?user={name}&scope=work&since=2020-01-01T00:00:00Z&X-Memory-User={name}"
    return Attempt(ask("GET", path, game.me.credentials()), game.me.number)


def probes_the_admin(game: Game) -> Attempt:
    """With a key that is not the admin's."""
    method, path, body = game.chance.choice(
        (
            ("GET", "/admin/keys", None), ("GET", "/admin/users", None), ("GET", "/admin/users?after=", None),
            ("POST", "/admin/keys", {"name": "x", "user": game.victim.name}), ("DELETE", "/admin/keys/gateway", None),
            ("DELETE", f"/admin/users/{game.victim.name.encode().hex()}", None), ("GET", "//admin/keys", None),
            ("GET", "/v1/../admin/keys", None), ("GET", "/v1/%2e%2e/admin/users", None), ("GET", "/ADMIN/keys", None),
            ("GET", "/metrics", None), ("GET", "/admin/keys/", None), ("PUT", "/admin/keys", {}),
            ("GET", "/admin/apps?user=x", None),
            ("PATCH", "/admin/apps", {"user": game.victim.name, "name": "browser", "reads": False}),
            ("PATCH", "/v1/memories/apps", {"user": game.victim.name, "name": "browser", "reads": False}),
        )
    )  # fmt: skip
    return Attempt(ask(method, path, game.me.credentials(), body), None, expected=(307, 400, 401, 403, 404, 405))


def is_the_admin(game: Game) -> Attempt:
    """The admin, who sees that people have memories, but none of their texts."""
    path = game.chance.choice(("/v1/memories", "/v1/memories/export", "/v1/receipts", "/admin/keys", "/metrics"))
    headers: list[Header] = [("Authorization", f"Bearer {ADMIN_KEY}"), ("X-Memory-User", game.victim.name)]
    return Attempt(ask("GET", path, headers), None, expected=(200, 401))


def calls_tools(game: Game) -> Attempt:
    """By MCP, claiming to be another user: in the arguments, the headers, the session. MCP tells no model what is
    private."""
    name = game.victim.name
    tool, arguments = game.chance.choice(
        (
            ("search_memories", {"query": QUESTION, "limit": 50}), ("list_memories", {"limit": 500}),
            ("list_memories", {"limit": 500, "cursor": game.victim.cursor, "user": name}),
            ("forget_memory", {"id": game.victim.ids[0]}), ("pin_memory", {"id": game.victim.ids[0]}),
            ("correct_memory", {"id": game.victim.ids[0], "text": "I am nobody."}),
            ("recent_memories", {"limit": 500, "user": name}), ("memory_numbers", {"user": name}),
            ("search_memories", {"query": QUESTION, "user": name, "scope": "work"}),
            ("forget_memory", {"id": "../memories"}),
        )
    )  # fmt: skip
    headers: list[Header] = [*_mcp(game.me), ("Mcp-Session-Id", name.encode().hex())]
    return Attempt(ask("POST", "/mcp", headers, _call(tool, arguments)), game.me.number, DEFAULT, expected=(200, 400))


def opens_files(game: Game) -> Attempt:
    """By the memory tool: everybody has a file of the same name."""
    path, mine = game.chance.choice(("/memories/mine.md", "/memories")), game.me.marks[DEFAULT]
    name = game.victim.name.encode().hex()
    body = game.chance.choice(
        (
            {"command": "create", "path": "/memories/mine.md", "file_text": f"I carry {mine}."},
            {"command": "view", "path": path, "user": game.victim.name, "scope": "default"},
            {"command": "view", "path": f"/memories/../{name}/mine.md"},
            {"command": "rename", "old_path": f"/memories/%2e%2e/{name}", "new_path": "/memories/theirs"},
        )
    )
    method = game.chance.choice(("POST", "POST", "GET"))
    return Attempt(ask(method, "/v1/memories/files", game.me.credentials(), body), game.me.number, DEFAULT)


def guesses_what_is_private(game: Game) -> Attempt:
    """Letter by letter, by MCP, of the own user: no answer depends on a memory that a model may not be told."""
    secret = game.me.texts[game.me.ids[PRIVATE_AT]]
    guess = secret[: game.chance.randint(len("My sister's secret nickname is mk"), len(secret))]
    tool, arguments, expected = game.chance.choice(
        (
            ("list_memories", {"q": guess, "include_past": True}, b'[],\\"next_cursor\\":null'),
            ("list_memories", {"q": guess, "limit": 1}, b'[],\\"next_cursor\\":null'),
            ("list_memories", {"q": guess[-14:], "limit": 500}, b'[],\\"next_cursor\\":null'),
            ("add_memory", {"text": secret}, b'\\"private\\":false'),
            ("forget_memory", {"id": game.me.ids[PRIVATE_AT]}, b'"isError":true'),
            ("pin_memory", {"id": game.me.ids[PRIVATE_AT]}, b'"isError":true'),
            ("correct_memory", {"id": game.me.ids[PRIVATE_AT], "text": secret}, b'"isError":true'),
        )
    )  # fmt: skip
    kinds = DEFAULT if tool != "add_memory" else OPEN
    call = _call(tool, arguments)
    return Attempt(ask("POST", "/mcp", _mcp(game.me), call), game.me.number, kinds, holds=expected)


def asks_for_what_is_stored(game: Game) -> Attempt:
    """What the provider keeps for the operator's key is everybody's: a body that names a model opens nothing."""
    stored = game.chance.choice(_STORED)
    method = game.chance.choice(("GET", "GET", "DELETE", "POST"))
    body = {"model": "away", "input": "x", "purpose": "batch", "user": game.victim.name}
    headers: list[Header] = [*game.me.credentials(), ("Content-Type", "application/json")]
    return Attempt(ask(method, f"/v1/{stored}", headers, body), None, expected=(400, 404, 405))


def leaves_the_base(game: Game) -> Attempt:
    """By segments that a server behind ours would resolve."""
    chance = game.chance
    dots = chance.choice(("..", "%2e%2e", ".%2E", "%252e%252e", "..;x", "%2e%2e%3b", ".", "..%5c", "%2e%2e%2f"))
    below = chance.choice(("", "embeddings/", "embeddings%2f", "/", "\\", "messages/count_tokens/"))
    target = chance.choice(("internal", "v1/files", "admin/keys", "v1/memories", "health"))
    method = chance.choice(("GET", "POST", "DELETE"))
    path = f"/v1/{below}" + f"{dots}/" * chance.randint(1, 3) + target
    headers: list[Header] = [*game.me.credentials(), ("Content-Type", "application/json")]
    body = {"model": "away", "input": "x"}
    return Attempt(ask(method, path, headers, body), None, expected=(307, 400, 404, 405))


def sends_much_without_a_key(game: Game) -> Attempt:
    """Large bodies without a valid key: the proxy must not read or keep them."""
    body = b'{"model":"away","input":"' + b"x" * game.chance.choice((100_000, 1_000_000, 4_000_000)) + b'"}'
    path = game.chance.choice(("/v1/chat/completions", "/v1/embeddings", "/v1/memories/import", "/mcp", "/v1/files"))
    headers: list[Header] = [("Content-Type", "application/json"), ("X-Memory-User", game.victim.name)]
    if game.chance.random() < 0.5:
        headers.append(("Authorization", f"Bearer {game.victim.key[:-1]}"))
    return Attempt(request("POST", path, headers, body), None, expected=(401, 0))


def says_what_is_slow_to_read(game: Game) -> Attempt:
    """Texts that make a careless pattern quadratic. Only users without memories of their own send them."""
    size = game.chance.choice((200, 2_000, 10_000, 100_000))
    text = next(nasty(game.chance.randrange(10**6), size))(size)
    writer = game.chance.choice(game.extra)
    data = game.chance.choice(
        (
            lambda: chat([*game.me.credentials(), READ], text),
            lambda: chat(writer.credentials(), text),
            lambda: ask("POST", "/v1/memories", writer.credentials(), {"text": text}),
            lambda: ask("POST", "/v1/memories/search", game.me.credentials(), {"query": text}),
            lambda: ask("POST", "/v1/memories/preview", game.me.credentials(), {"text": text}),
            lambda: ask("POST", "/v1/memories/import", writer.credentials(), {"user": text, "answer": text}),
        )
    )()
    return Attempt(data, game.me.number, OPEN, expected=(200, 400, 409))


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
    """What is no JSON or no HTTP, and very large requests."""
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


def _zipped(name: str, content: bytes) -> bytes:
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


_BOMB = _zipped("conversations.json", b'[{"title":"' + b"x" * 50_000_000)


def _call(tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


def _mcp(person: Person) -> list[Header]:
    return [
        *person.credentials(), ("Accept", "application/json, text/event-stream"),
        ("Content-Type", "application/json"), ("MCP-Protocol-Version", "2025-06-18"),
    ]  # fmt: skip
