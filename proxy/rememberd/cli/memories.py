"""`rememberd memories …`: see, correct and delete what is remembered."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from rememberd.cli import import_
from rememberd.cli.terminal import client, table
from rememberd.cli.terminal.client import Client, ProxyError
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

Do = Callable[[Client, argparse.Namespace], Any]
"""Does it and returns what `--json` prints; without `--json` it prints for people itself."""


def options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    listed = _action(
        actions, "list", _list, "what is remembered, newest first", "memories list --kind fact --limit 20"
    )
    listed.add_argument("--limit", type=int, default=50, help="at most so many (default: 50)")
    listed.add_argument("--kind", choices=("fact", "episode"), help="statements only, or exchanges only")
    listed.add_argument("--containing", metavar="TEXT", help="only those that hold this text")
    listed.add_argument("--past", action="store_true", help="outdated and expired ones too")

    found = _action(actions, "search", _search, "find by meaning and words, best first", "memories search snacks")
    found.add_argument("query")
    found.add_argument("--limit", type=int, default=10, help="at most so many (default: 10)")

    added = _action(actions, "add", _add, "add one", 'memories add "I live in Oslo." --pin')
    added.add_argument("text")
    _properties(added)

    edited = _action(actions, "edit", _edit, "change one", "memories edit 3f2a9c01 --expires 2027-01-01T00:00:00Z")
    edited.add_argument("id", help="as `list` shows it: the first 8 digits do")
    edited.add_argument("--text", help="what it is to say; the old text stays in the history")
    _properties(edited)

    gone = _action(actions, "forget", _forget, "delete for good", "memories forget 3f2a9c01 88d1f0aa")
    gone.add_argument("id", nargs="+", help="as `list` shows it: the first 8 digits do")

    export = _action(actions, "export", _export, "all of it as NDJSON", "memories export memories.ndjson")
    export.add_argument("file", nargs="?", type=Path, help="where to (default: standard output)")

    about, example = "bring in what you have; see `rememberd import`", "memories import conversations.json --dry-run"
    imported = _subcommand(actions, "import", about, example)
    imported.set_defaults(run=import_.run)
    import_.options(imported)


def run(arguments: argparse.Namespace) -> int:
    shown = arguments.do(client.connect(arguments), arguments)
    if arguments.json and shown is not None:
        print(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
    return 0


def _action(actions: Any, name: str, do: Do, about: str, example: str) -> argparse.ArgumentParser:
    parser = _subcommand(actions, name, about, example)
    parser.set_defaults(do=do)
    parser.add_argument("--json", action="store_true", help="as JSON")
    client.options(parser)
    return parser


def _subcommand(actions: Any, name: str, about: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=f"examples:\n  rememberd {example}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _properties(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pin", action=argparse.BooleanOptionalAction, help="recall it always")
    parser.add_argument("--private", action=argparse.BooleanOptionalAction, help="keep it from models elsewhere")
    parser.add_argument("--expires", metavar="TIME", help="drop it then, such as 2027-01-01T00:00:00Z; or never")


def _list(proxy: Client, arguments: argparse.Namespace) -> Any:
    asked = {"kind": arguments.kind, "q": arguments.containing, "include_past": "true" if arguments.past else None}
    found = []
    for memory in _pages(proxy, {name: value for name, value in asked.items() if value}, arguments.limit):
        found.append(memory)
        if len(found) == arguments.limit:
            break
    _print(arguments, found)
    return {"object": "list", "data": found}


def _search(proxy: Client, arguments: argparse.Namespace) -> Any:
    body = {"query": arguments.query, "limit": arguments.limit}
    found = proxy.ask("POST", "/v1/memories/search", body)
    _print(arguments, found["data"])
    return found


def _add(proxy: Client, arguments: argparse.Namespace) -> Any:
    memory = proxy.ask("POST", "/v1/memories", {"text": arguments.text} | _changes(arguments))
    return _said(arguments, memory, "remembered")


def _edit(proxy: Client, arguments: argparse.Namespace) -> Any:
    changes = _changes(arguments) | ({} if arguments.text is None else {"text": arguments.text})
    if not changes:
        raise ProxyError("nothing to change: give --text, --pin, --private or --expires")
    memory = proxy.ask("PATCH", f"/v1/memories/{_whole(proxy, arguments.id)}", changes)
    return _said(arguments, memory, "changed")


def _forget(proxy: Client, arguments: argparse.Namespace) -> Any:
    ids = [_whole(proxy, each) for each in arguments.id]
    gone = []
    for memory_id in ids:
        gone.append(proxy.ask("DELETE", f"/v1/memories/{memory_id}"))
        if not arguments.json:
            print(f"forgotten  {memory_id[:_SHORT]}")
    return {"object": "list", "data": gone}


def _export(proxy: Client, arguments: argparse.Namespace) -> Any:
    """A file appears under its name only when it is whole."""
    with proxy.open("GET", "/v1/memories/export") as answer:
        if arguments.file is None:
            shutil.copyfileobj(answer, sys.stdout.buffer)
            return None
        with tempfile.NamedTemporaryFile(dir=arguments.file.parent, delete=False) as part:
            shutil.copyfileobj(answer, part)
    os.replace(part.name, arguments.file)
    with arguments.file.open("rb") as written:
        count = sum(1 for _ in written)
    if not arguments.json:
        print(f"{count:,} memories in {arguments.file}")
    return {"object": "memories.exported", "memories": count, "file": str(arguments.file)}


def _changes(arguments: argparse.Namespace) -> dict[str, Any]:
    flags = {"pinned": arguments.pin, "private": arguments.private}
    given = {name: flag for name, flag in flags.items() if flag is not None}
    if arguments.expires is None:
        return given
    return given | {"expires_at": None if arguments.expires == "never" else arguments.expires}


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
    """The id that begins so. Raises `ProxyError` if none does, or several."""
    if len(given) >= _WHOLE:
        return quote(given, safe="")
    found = [m["id"] for m in _pages(proxy, {"include_past": "true"}, _PAGE) if m["id"].startswith(given)]
    if len(found) == 1:
        return str(found[0])
    how_many = f"{len(found)} memories have" if found else "no memory has"
    raise ProxyError(f"{how_many} an id that begins with {given!r}: `rememberd memories list --json` shows whole ids")


def _said(arguments: argparse.Namespace, memory: dict[str, Any], what: str) -> Any:
    if not arguments.json:
        start = f"{what}  {memory['id'][:_SHORT]}  "
        print(start + table.cut(clean(memory["text"]), max(20, table.columns() - len(start))))
    return memory


def _print(arguments: argparse.Namespace, found: list[dict[str, Any]]) -> None:
    if arguments.json:
        return
    if not found:
        print("there are none; what you tell a model through the proxy is remembered, or `rememberd memories add`")
        return
    rows = [(m["id"][:_SHORT], m["created_at"][:10], _kind(m), m["text"]) for m in found]
    for line in table.table(("ID", "SAID", "KIND", "TEXT"), rows):
        print(line)


def _kind(memory: dict[str, Any]) -> str:
    marks = {"pinned": memory["pinned"], "private": memory["private"], "past": memory["valid_to"]}
    return ", ".join([memory["kind"], *(name for name, is_so in marks.items() if is_so)])
