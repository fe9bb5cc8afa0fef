"""`rememberd memories …`: lists, corrects and deletes memories."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from rememberd.cli import COMMANDS, import_, shown_as_is
from rememberd.cli.terminal.client import Client, ProxyError, Where, proxy_options
from rememberd.cli.terminal.output import print_json, print_lines, print_table
from rememberd.cli.terminal.own_server import reachable
from rememberd.memory.importers.files import opened
from rememberd.memory.recall.block import clean

EXAMPLES = """\
  rememberd memories list --kind fact
  rememberd memories search "where do I live?"
  rememberd memories add "I live in Oslo." --pin
  rememberd memories edit 3f2a9c01 --text "I live in Bergen."
  rememberd memories forget 3f2a9c01
  rememberd memories export memories.ndjson && rememberd memories import memories.ndjson
"""

_PAGE = 500  # the API's largest
_SHORT = 8  # hex digits of an id that a table shows
_WHOLE = 36


@click.group("memories", help=f"{COMMANDS['memories'].capitalize()}.", epilog=shown_as_is(f"examples:\n{EXAMPLES}"))
def command() -> None:
    pass


command.add_command(import_.command)


def _action(name: str, about: str, example: str) -> Callable[[Callable[..., int]], click.Command]:
    """Decorator: an action on `proxy` with the common options; `as_json`: print JSON."""

    def decorate(function: Callable[..., int]) -> click.Command:
        @wraps(function)
        def with_proxy(where: Where, **given: Any) -> int:
            with reachable(where) as proxy:
                return function(proxy, **given)

        with_json = click.option("--json", "as_json", is_flag=True, help="print JSON")(proxy_options(with_proxy))
        epilog = shown_as_is(f"examples:\n  rememberd {example}")
        return command.command(name, help=f"{about[0].upper()}{about[1:]}.", epilog=epilog)(with_json)

    return decorate


def _properties(function: Callable[..., int]) -> Callable[..., int]:
    """Decorator: the options that set properties of a memory. `function` gets them as `**given`."""
    for option in (
        click.option("--expires", metavar="TIME", help="when to forget it, such as 2027-01-01T00:00:00Z; or never"),
        click.option("--private/--no-private", default=None, help="show it to local models only"),
        click.option("--pin/--no-pin", default=None, help="always recall it"),
    ):
        function = option(function)
    return function


@_action("list", "list memories, newest first", "memories list --kind fact --limit 20")
@click.option("--limit", type=int, default=50, help="show at most this many (default: 50)")
@click.option("--kind", type=click.Choice(["fact", "episode"]), help="statements only, or exchanges only")
@click.option("--containing", metavar="TEXT", help="only those that contain this text")
@click.option("--past", is_flag=True, help="also outdated and expired ones")
def _list(proxy: Client, as_json: bool, limit: int, kind: str | None, containing: str | None, past: bool) -> int:
    asked = {"kind": kind, "q": containing, "include_past": "true" if past else None}
    found = []
    for memory in _pages(proxy, {name: value for name, value in asked.items() if value}, limit):
        found.append(memory)
        if len(found) == limit:
            break
    return _show_all(found, as_json)


@_action("search", "search by meaning and words, best first", "memories search snacks")
@click.argument("query")
@click.option("--limit", type=int, default=10, help="show at most this many (default: 10)")
def _search(proxy: Client, as_json: bool, query: str, limit: int) -> int:
    found = proxy.ask("POST", "/v1/memories/search", {"query": query, "limit": limit})
    return _show_all(found["data"], as_json)


@_action("why", "show where a memory comes from, and which answers used it", "memories why 3f2a9c01")
@click.argument("id", metavar="ID")
def _why(proxy: Client, as_json: bool, id: str) -> int:
    why = proxy.ask("GET", f"/v1/memories/{_whole(proxy, id)}/why")
    if as_json:
        print_json(why)
        return 0
    memory, exchange = why["memory"], why["exchange"]
    print_lines([clean(memory["text"]), f"said {memory['created_at'][:10]}, topic {why['topic']}"])
    if exchange:
        print_lines([f"from the exchange: {clean(exchange['text'])}"])
    print_lines([f"in {why['uses']} recent answers" + (f", last {why['last_used'][:10]}" if why["uses"] else "")])
    print_lines([f"  {use['created_at'][:16]}  {use['model']}  {use['reason'] or ''}" for use in why["answers"]])
    return 0


@_action("stats", "show the numbers of memories and their topics", "memories stats")
def _stats(proxy: Client, as_json: bool) -> int:
    stats, groups = proxy.ask("GET", "/v1/memories/stats"), proxy.ask("GET", "/v1/memories/groups")
    if as_json:
        print_json({"object": "memory.stats", "stats": stats, "groups": groups})
        return 0
    print(f"{stats['facts']:,} facts, {stats['episodes']:,} exchanges, {stats['past']:,} past")
    for name in ("topics", "people", "apps"):
        if groups[name]:
            print_lines([f"{name}: " + ", ".join(f"{each['name']} {each['count']}" for each in groups[name])])
    return 0


@_action("add", "add a memory", 'memories add "I live in Oslo." --pin')
@click.argument("text")
@_properties
def _add(proxy: Client, as_json: bool, text: str, **given: Any) -> int:
    memory = proxy.ask("POST", "/v1/memories", {"text": text} | _changes(**given))
    return _show(memory, "remembered", as_json)


@_action("edit", "change a memory", "memories edit 3f2a9c01 --expires 2027-01-01T00:00:00Z")
@click.argument("id", metavar="ID")
@click.option("--text", help="its new text; the old text stays in the history")
@_properties
def _edit(proxy: Client, as_json: bool, id: str, text: str | None, **given: Any) -> int:
    changes = _changes(**given) | ({} if text is None else {"text": text})
    if not changes:
        raise ProxyError("nothing to change: give --text, --pin, --private or --expires")
    return _show(proxy.ask("PATCH", f"/v1/memories/{_whole(proxy, id)}", changes), "changed", as_json)


@_action("forget", "delete memories for good", "memories forget 3f2a9c01 88d1f0aa")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
def _forget(proxy: Client, as_json: bool, ids: tuple[str, ...]) -> int:
    gone = []
    for memory_id in [_whole(proxy, each) for each in ids]:
        gone.append(proxy.ask("DELETE", f"/v1/memories/{memory_id}"))
        if not as_json:
            print(f"forgotten  {memory_id[:_SHORT]}")
    if as_json:
        print_json({"object": "list", "data": gone})
    return 0


@_action("export", "export all memories, as NDJSON or in an open format", "memories export memories.ndjson")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["ndjson", "pam", "mem"]), default="ndjson", help="pam: a memory-store.json"
)
def _export(proxy: Client, as_json: bool, file: Path | None, form: str) -> int:
    """The file gets its name only when it is complete. Without a file name, prints to standard output."""
    with proxy.open("GET", f"/v1/memories/export?format={form}") as answer:
        if file is None:
            shutil.copyfileobj(answer, sys.stdout.buffer)
            return 0
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
            shutil.copyfileobj(answer, part)
    os.replace(part.name, file)
    with opened(file) as exports:
        count = sum(1 for export in exports for _ in export.lines())
    if as_json:
        print_json({"object": "memories.exported", "memories": count, "file": str(file)})
    else:
        print(f"{count:,} memories in {file}")
    return 0


def _changes(pin: bool | None, private: bool | None, expires: str | None) -> dict[str, Any]:
    flags = {"pinned": pin, "private": private}
    given: dict[str, Any] = {name: flag for name, flag in flags.items() if flag is not None}
    return given if expires is None else given | {"expires_at": None if expires == "never" else expires}


def _pages(proxy: Client, asked: dict[str, str], limit: int) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        wanted = asked | {"limit": str(max(1, min(limit, _PAGE)))} | ({"cursor": cursor} if cursor else {})
        page = proxy.ask("GET", f"/v1/memories?{urlencode(wanted)}")
        yield from page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _whole(proxy: Client, given: str) -> str:
    """The id that begins with `given`. Raises `ProxyError` if there is none, or several."""
    if len(given) >= _WHOLE:
        return quote(given, safe="")
    found = [m["id"] for m in _pages(proxy, {"include_past": "true"}, _PAGE) if m["id"].startswith(given)]
    if len(found) == 1:
        return str(found[0])
    how_many = f"{len(found)} memories have" if found else "no memory has"
    raise ProxyError(f"{how_many} an id that begins with {given!r}: `rememberd memories list --json` shows whole ids")


def _show(memory: dict[str, Any], what: str, as_json: bool) -> int:
    if as_json:
        print_json(memory)
    else:
        print_lines([f"{what}  {memory['id'][:_SHORT]}  {clean(memory['text'])}"])
    return 0


def _show_all(found: list[dict[str, Any]], as_json: bool) -> int:
    if as_json:
        print_json({"object": "list", "data": found})
    elif found:
        rows = [(m["id"][:_SHORT], m["created_at"][:10], _kind(m), m["text"]) for m in found]
        print_table(("ID", "SAID", "KIND", "TEXT"), rows)
    else:
        print("there are no memories: tell a model something through the proxy, or use `rememberd memories add`")
    return 0


def _kind(memory: dict[str, Any]) -> str:
    marks = {"pinned": memory["pinned"], "private": memory["private"], "past": memory["valid_to"]}
    return ", ".join([memory["kind"], *(name for name, is_so in marks.items() if is_so)])
