"""The doors of groups: every three people are a group, and want what the other groups know."""

from __future__ import annotations

from loadtests.attack.attempt import QUESTION, READ, Attempt, Game, any_read, ask, chat
from loadtests.attack.leaks import first_of
from loadtests.attack.people import GATEWAY_KEY, SECRETS, TOKEN_KEY, group_of, token
from loadtests.attack.wire import Header, request

_REFUSED = (400, 403, 404, 405)
_TEAM_QUESTION = "What code word has our group?"


def asks_in_its_group(game: Game) -> Attempt:
    headers = [*game.me.credentials(), READ, ("X-Memory-Scope", f"@{group_of(game.me.number)}")]
    return Attempt(chat(headers, _TEAM_QUESTION), game.me.number, "", honest=True)


def asks_beside_its_group(game: Game) -> Attempt:
    """In the person's own scope, where what the group knows is looked into as well."""
    return Attempt(chat([*game.me.credentials(), READ], _TEAM_QUESTION), game.me.number, "d", honest=True)


def takes_the_groups_scope(game: Game) -> Attempt:
    """The name of a group, as it is and in spellings that a careless server takes for it."""
    name = group_of(game.victim.number)
    tries = (
        f"@{name}", f"@{name}", f"@{name}", f"@{name.upper()}", f"@@{name}", f"%40{name}", f"@{name} ", f"\x1d{name}",
        f"@{name}, default", f"default, @{name}", f"@{name}\x00", f"@{name}/default", "@", "@*", f"＠{name}",
    )  # fmt: skip
    headers: list[Header] = [*game.me.credentials(), ("X-Memory-Scope", game.chance.choice(tries).encode())]
    if game.chance.random() < 0.2:
        headers.append(("X-Memory-Scope", f"@{group_of(game.me.number)}"))
    return Attempt(any_read(game, headers), game.me.number, expected=(200, *_REFUSED, 0))


def says_to_be_the_group(game: Game) -> Attempt:
    """By the name under which its memories are kept, with a key that may name anybody and with a signed token."""
    name = f"\x1d{group_of(game.victim.number)}"
    signed = token(name, SECRETS[TOKEN_KEY])
    ways: list[list[Header]] = [
        [("Authorization", f"Bearer {GATEWAY_KEY}"), ("X-Memory-User", name.encode())],
        [("Authorization", f"Bearer {GATEWAY_KEY}"), ("X-Memory-User", f"@{name[1:]}")],
        [("Authorization", f"Bearer {TOKEN_KEY}"), ("X-OpenWebUI-User-Jwt", signed)],
    ]
    headers = game.chance.choice(ways)
    if game.chance.random() < 0.5:
        return Attempt(chat([*headers, READ], QUESTION, fields={"user": name}), None, expected=(200, 400))
    scope = f"@{name[1:]}"
    return Attempt(any_read(game, [*headers, ("X-Memory-Scope", scope)]), None, expected=(200, *_REFUSED, 0))


def claims_a_group(game: Game) -> Attempt:
    """In a token that nobody signed, in the body, in headers."""
    name = group_of(game.victim.number)
    forged = token(game.me.name, "a guess of more than thirty-two bytes, and so", groups=[name])
    headers: list[Header] = [
        *game.me.credentials(), ("X-OpenWebUI-User-Jwt", forged), ("X-Groups", name), ("X-Memory-Group", name),
    ]  # fmt: skip
    fields = {"groups": [name], "group": name, "metadata": {"groups": [name]}}
    return Attempt(chat([*headers, READ], _TEAM_QUESTION, fields=fields), game.me.number, "d")


def guesses_a_groups_ids(game: Game) -> Attempt:
    """In the own scope, in the own group's and in the victim's: none of them shows or changes what is there."""
    known = game.victim.group_memory
    scope = game.chance.choice((f"@{group_of(game.me.number)}", "default", f"@{group_of(game.victim.number)}"))
    headers: list[Header] = [*game.me.credentials(), ("X-Memory-Scope", scope)]
    method, path, body = game.chance.choice(
        (
            ("GET", f"/v1/memories/{known}", None), ("GET", f"/v1/memories/{known}/history", None),
            ("PATCH", f"/v1/memories/{known}", {"text": "I have been changed."}),
            ("DELETE", f"/v1/memories/{known}", None), ("GET", f"/v1/memories/{known}/why", None),
            ("PATCH", f"/v1/memories/{known}", {"private": False}),
        )
    )  # fmt: skip
    if game.me.number == first_of(game.victim.number):  # the owner, who may change it and is no attacker
        method, path, body = "GET", f"/v1/memories/{known}", None
    read = method == "GET" and group_of(game.me.number) == group_of(game.victim.number)
    return Attempt(ask(method, path, headers, body), game.me.number, expected=(200, *_REFUSED) if read else _REFUSED)


def writes_into_a_group(game: Game) -> Attempt:
    """Of others, or of its own as a reader: added, imported, moved, said."""
    owner = first_of(game.victim.number)
    name, mark = "group-of-nobody" if owner == game.me.number else group_of(owner), game.me.marks["d"]
    headers: list[Header] = [*game.me.credentials(), ("X-Memory-Scope", f"@{name}")]
    data = game.chance.choice(
        (
            ask("POST", "/v1/memories", headers, {"text": f"I was here {mark}."}),
            request("POST", "/v1/memories/import", headers, b'{"text": "I was here."}'),
            ask("POST", "/v1/memories/move", game.me.credentials(), {"ids": [game.me.ids[0]], "scope": f"@{name}"}),
            ask("DELETE", "/v1/memories/imports/x", headers),
            chat(headers, f"I was here {mark}."),
        )
    )
    reads_there = group_of(game.me.number) == name  # a chat recalls, and nothing is learned from it
    return Attempt(data, game.me.number, expected=(200, 403) if reads_there else (403,))


def probes_the_groups_admin(game: Game) -> Attempt:
    """With a key that is not the admin's."""
    name = group_of(game.victim.number)
    method, path, body = game.chance.choice(
        (
            ("GET", "/admin/groups", None), ("POST", "/admin/groups", {"name": "mine"}),
            ("PUT", f"/admin/groups/{name}/members/{game.me.name.encode().hex()}", {"role": "owner"}),
            ("DELETE", f"/admin/groups/{name}", None), ("DELETE", f"/admin/groups/{name}/members/x", None),
        )
    )  # fmt: skip
    return Attempt(ask(method, path, game.me.credentials(), body), None, expected=(401,))
