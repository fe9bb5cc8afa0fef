"""`rememberd restore`: verifies a backup and restores it into a new data directory."""

import asyncio
import shlex
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.errors import ConfigError
from rememberd.processes.scratch import scratch_folder
from rememberd.settings.schema import Queue, Store
from rememberd.storage import formats
from rememberd.storage.backup import BackupError, Marks, Unlock, check_databases, erasures_in, read_archive, secret_in
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.sqlite.apps import SqliteApps
from rememberd.storage.sqlite.block_cache import SqliteBlockCache
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.extraction_queue import SqliteExtractionQueue
from rememberd.storage.sqlite.keyring import SqliteKeyring
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.storage.sqlite.receipts import SqliteReceipts
from rememberd.storage.sqlite.tool_files import SqliteToolFiles
from rememberd.storage.sqlite.usage import SqliteUsage
from rememberd.wiring.encryption import open_encryption
from rememberd.wiring.erasure import opened_erasure

EXAMPLES = """\
  rememberd restore rememberd.backup --data-dir restored --dry-run
  rememberd restore rememberd.backup --data-dir restored --erasures audit.jsonl
  rememberd restore rememberd.backup --data-dir restored --identity key.txt --erasures ~/.local/share/rememberd
"""

_FILE = click.Path(path_type=Path, dir_okay=False)


@a_command("restore", EXAMPLES)
@config_option
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    required=True,
    help="the new data directory, which must not exist yet",
)
@click.option("--dry-run", is_flag=True, help="only verify everything, and keep no files")
@click.option("--identity", type=_FILE, help="age identity file, or SSH private key, that opens the backup")
@click.option("--passphrase-file", type=_FILE, help="a file with the passphrase that opens it")
@click.option(
    "--erasures",
    type=click.Path(path_type=Path),
    multiple=True,
    help="a later audit.jsonl or data_dir: users erased there stay erased; repeatable",
)
def command(
    config: Path | None,
    file: Path,
    data_dir: Path,
    dry_run: bool,
    identity: Path | None,
    passphrase_file: Path | None,
    erasures: tuple[Path, ...],
) -> int:
    if not file.is_file():
        raise ConfigError(f"there is no backup {file}")
    target = data_dir.expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} is not empty: restore into a new folder and set data_dir to it")
    unlock = Unlock(secret_in(identity), secret_in(passphrase_file))
    return asyncio.run(_run(config, file, target, dry_run, unlock, erasures))


async def _run(
    config: Path | None, file: Path, target: Path, dry_run: bool, unlock: Unlock, erasures: tuple[Path, ...]
) -> int:
    """Raises `BackupError`, `ConfigError`, `MemoryUnavailable`."""
    marks = erasures_in(erasures)
    parent = next(each for each in target.parents if each.exists())  # so that `folder` is on the target's disk
    with scratch_folder(parent, f".{target.name}-restore-in-progress-") as scratch:
        folder = scratch / "data"
        folder.mkdir(mode=0o700)
        about = read_archive(file, folder, unlock)
        formats.format_of(folder)  # raises an error for data of a later version, which could not be started
        check_databases(folder)
        points = await _check_store(folder, about["points"])
        print(f"made {_time(about['began_at'])} by rememberd {about['version']}: {len(about['files'])} files and"
              f" {points} points, all as they were saved")  # fmt: skip
        later = {user: at for user, at in marks.items() if at > about["began_at"]}
        erased = await _erase_again(folder, later) + await _erase_contributions(config, folder, later)
        print(f"users erased after that: {len(later)}; their memories that are not restored: {erased}")
        if not erasures:
            print("without --erasures, users erased after that come back: pass the newest audit.jsonl or data_dir")
        for what in about["elsewhere"]:
            print(f"not in this file: {what}")
        if later and about["elsewhere"]:
            print("there they are not erased yet, nor what they told groups; when all is restored and started, run")
            for user in sorted(later):
                print(f"  rememberd erase {shlex.quote(user)}")
        if dry_run:
            print(f"dry run: nothing was written to {target}")
            return 0
        _put_in_place(folder, target)
    print(f"restored; start with data_dir: {target}")
    return 0


def _put_in_place(folder: Path, target: Path) -> None:
    if target.exists():
        target.rmdir()
    target.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(target)


async def _check_store(folder: Path, points: int | None) -> int:
    """Open the store to find damage now. Returns the number of points."""
    if points is None:
        return 0
    store = EdgeStore.reopen(folder / "qdrant")
    try:
        found = await store.size()
    finally:
        await store.close()
    if found != points:
        raise BackupError(f"the store has {found} points, not {points}")
    return found


async def _erase_again(folder: Path, marks: Marks) -> int:
    """Erase users by the names in the files, which are pseudonyms if there is a master key. Returns the number of
    memories."""
    if not marks:
        return 0
    erased = 0
    if (folder / "qdrant").exists():
        store = EdgeStore.reopen(folder / "qdrant")
        try:
            erased = sum([await store.erase(user) for user in marks])
        finally:
            await store.close()
    if (folder / "queue.db").exists():
        database = Database(folder / "queue.db")
        queues = SqliteQueue(database), SqliteExtractionQueue(database, idle_ms=0)
        records = SqliteReceipts(database), SqliteToolFiles(database), SqliteApps(database)
        for user, at in marks.items():
            for part in (*queues, *records):
                await part.erase(user, at)
            await SqliteBlockCache(database).erase(user)
            await SqliteUsage(database).erase(user)
        await database.close()
    if (folder / "keyring.db").exists():
        keyring = SqliteKeyring(Database(folder / "keyring.db"))
        for user in marks:
            await keyring.drop(user)
        await keyring.close()
    return erased


async def _erase_contributions(config: Path | None, folder: Path, marks: Marks) -> int:
    """Erase the users' contributions to groups. This needs the settings, because they have the master key. Returns
    the number of memories. Raises `ConfigError`, `MemoryUnavailable`."""
    if not marks or not (folder / "qdrant").exists() or not (folder / "groups.db").exists():
        return 0
    settings = settings_of(config)
    embedding = replace(settings.memory.embedding, next_model=None, next_path=None)
    memory = replace(settings.memory, store=Store(), queue=Queue(), embedding=embedding)
    there = replace(settings, data_dir=str(folder), memory=memory)
    try:
        async with open_encryption(there) as encryption, opened_erasure(there, encryption) as erasure:
            return sum([await erasure.leave_groups(encryption.user(mark), at) for mark, at in marks.items()])
    except ConfigError as error:
        raise ConfigError(
            "users who were erased after the backup may have contributed to groups. To erase these contributions,"
            f" restore needs the settings of the backup's proxy: name them with --config ({error})"
        ) from error


def _time(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"
