"""`rememberd migrate`: all memories from one store into another, embedded or on a server, both ways."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import orjson

from rememberd.cli import config_option, settings_of
from rememberd.errors import ConfigError
from rememberd.ports import Embedder
from rememberd.settings.schema import Settings
from rememberd.storage.migrate import MismatchError, Points, copy, verify
from rememberd.storage.qdrant.connection import where
from rememberd.wiring import store as stores
from rememberd.wiring.components import build_embedder

EXAMPLES = """\
  rememberd migrate --from ~/.local/share/rememberd/qdrant --to http://qdrant:6333
  rememberd migrate --from http://qdrant:6333 --to ~/.local/share/rememberd/qdrant

Stop the proxy first; afterwards set memory.store.url. The server's key, shards and so on are those of memory.store.
Interrupted, it goes on where it was when it is run again.
"""


def options(parser: argparse.ArgumentParser) -> None:
    config_option(parser)
    where = "the embedded store's folder, DATA_DIR/qdrant, or the URL of a Qdrant server"
    parser.add_argument("--from", dest="source", required=True, metavar="STORE", help=where)
    parser.add_argument("--to", dest="target", required=True, metavar="STORE", help="the same, and empty")


def run(arguments: argparse.Namespace) -> int:
    return asyncio.run(migrate(settings_of(arguments), arguments.source, arguments.target))


async def migrate(settings: Settings, source: str, target: str) -> int:
    """Returns the exit code: 1 if the two differ in the end. Raises `ConfigError`, `StoreUnavailable`."""
    embedder = build_embedder(settings)
    await embedder.start()
    place = Place(settings.data_path / "migrate.json", source, target)
    async with AsyncExitStack() as stack:
        stack.callback(embedder.close)
        ours = await _opened(stack, settings, embedder, source, exists=True)
        theirs = await _opened(stack, settings, embedder, target)
        if place.after is None and await theirs.size():
            raise ConfigError(f"there are memories in {where(target)}: migrate into an empty store")
        total, ahead = await ours.size(), await theirs.size() if place.after else 0
        moving = Progress("moved", total, ahead)

        def moved(after: UUID, number: int) -> None:
            place.keep(after)
            moving.add(number)

        await copy(ours, theirs, place.after, moved)
        checking = Progress("checked", total)
        try:
            checksum = await verify(ours, theirs, lambda _, number: checking.add(number))
        except MismatchError as error:
            place.forget()
            print(f"rememberd: {error}; stop what writes there, empty the target and start over", file=sys.stderr)
            return 1
    place.forget()
    print(f"{total:,} points are in {where(target)}, the same as in {where(source)}: checksum {checksum}")
    return 0


async def _opened(
    stack: AsyncExitStack, settings: Settings, embedder: Embedder, named: str, *, exists: bool = False
) -> Points:
    if named.startswith(("http://", "https://")):
        on = replace(settings, memory=replace(settings.memory, store=replace(settings.memory.store, url=named)))
        server = stores.on_server(on, embedder)
        stack.push_async_callback(server.close)
        await server.open()
        return server
    store = stores.in_folder(_folder(named, exists), embedder)
    stack.push_async_callback(store.close)
    return store


def _folder(named: str, exists: bool) -> Path:
    folder = Path(named).expanduser()
    if exists and not (folder / "shard").is_dir():
        raise ConfigError(f"there is no embedded store in {folder}: it is the folder `qdrant` in data_dir")
    return folder


class Place:
    """How far an interrupted move had come, in a file; `after` is None at the start."""

    def __init__(self, file: Path, source: str, target: str) -> None:
        self.file, self.move = file, {"from": source, "to": target}
        known = orjson.loads(file.read_bytes()) if file.exists() else {}
        self.after = UUID(known.pop("after")) if known | self.move == known else None

    def keep(self, after: UUID) -> None:
        draft = self.file.with_suffix(".new")
        draft.write_bytes(orjson.dumps(self.move | {"after": after}))
        draft.replace(self.file)

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)


class Progress:
    """On stderr: a bar where somebody watches, else a line at every tenth."""

    def __init__(self, doing: str, total: int, done: int = 0) -> None:
        self.doing, self.total, self.done, self.began_with = doing, total, done, done
        self.began, self.tenth, self.watched = time.monotonic(), 0, sys.stderr.isatty()

    def add(self, number: int) -> None:
        self.done += number
        share = min(1.0, self.done / max(1, self.total))
        rate = (self.done - self.began_with) / max(1e-3, time.monotonic() - self.began)
        said = f"{self.doing} {self.done:,} of {self.total:,} points, {rate:,.0f}/s"
        if self.watched:
            bar = "#" * int(30 * share)
            print(f"\r[{bar:<30}] {said} ", end="\n" if share == 1 else "", file=sys.stderr, flush=True)
        elif int(10 * share) > self.tenth:
            print(said, file=sys.stderr, flush=True)
        self.tenth = int(10 * share)
