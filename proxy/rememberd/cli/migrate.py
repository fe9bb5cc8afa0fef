"""`rememberd migrate`: copies all memories between an embedded store and a server, in both directions."""

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import click
import orjson

from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.cli.terminal.output import Progress
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

Stop the proxy first; afterwards set memory.store.url. Key, shards and so on of the server are read from memory.store.
If it is interrupted, run it again: it continues where it stopped.
"""


_STORE = "the embedded store's folder, DATA_DIR/qdrant, or the URL of a Qdrant server"


@a_command("migrate", EXAMPLES)
@config_option
@click.option("--from", "source", required=True, metavar="STORE", help=_STORE)
@click.option(
    "--to", "target", required=True, metavar="STORE", help="the empty store to copy to, written in the same way"
)
def command(config: Path | None, source: str, target: str) -> int:
    return asyncio.run(migrate(settings_of(config), source, target))


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
            raise ConfigError(f"{where(target)} already has memories: migrate into an empty store")
        total, ahead = await ours.size(), await theirs.size() if place.after else 0
        with Progress("moved", "points", total, ahead) as moving:

            def moved(after: UUID, number: int) -> None:
                place.keep(after)
                moving.add(number)

            await copy(ours, theirs, place.after, moved)
        try:
            with Progress("checked", "points", total) as checking:
                checksum = await verify(ours, theirs, lambda _, number: checking.add(number))
        except MismatchError as error:
            place.forget()
            print(f"rememberd: {error}; stop all writers, empty the target and start again", file=sys.stderr)
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
    """A file with the progress of an interrupted copy; `after` is None at the start."""

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
