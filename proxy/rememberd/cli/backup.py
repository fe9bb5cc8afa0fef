"""`rememberd backup`: saves a data directory in one file, whether or not the proxy runs."""

import asyncio
from pathlib import Path

import click

from rememberd import __version__
from rememberd.access.audit_log import OPERATOR
from rememberd.access.client_keys import CLIENT_KEYS_FILE
from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.errors import ConfigError
from rememberd.processes.scratch import BACKUP, scratch_folder
from rememberd.settings.schema import Settings
from rememberd.storage import formats
from rememberd.storage.backup import Lock, copy_file, public_keys, secret_in, write_archive
from rememberd.storage.sqlite.database import copy_database
from rememberd.telemetry.clock import wall_clock
from rememberd.wiring import store as stores
from rememberd.wiring.components import build_audit_log, key_mark
from rememberd.wiring.encryption import Encryption, spool_of

EXAMPLES = """\
  rememberd backup rememberd.backup
  rememberd backup rememberd.backup --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kudxt3kys5lzy9g
  rememberd backup rememberd.backup --passphrase-file /run/secrets/backup
"""

# `sessions.db` and `sessions.secret` are not saved: people sign in again.
_DATABASES_FIRST, _DATABASES_LAST = ("queue.db",), ("changes.db", "keys.db", "groups.db", "keyring.db")


@a_command("backup", EXAMPLES)
@config_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--recipient", "recipients", multiple=True, help="encrypt to this age or SSH public key; repeatable")
@click.option("--passphrase-file", type=click.Path(path_type=Path), help="encrypt with the passphrase in this file")
def command(config: Path | None, file: Path, recipients: tuple[str, ...], passphrase_file: Path | None) -> int:
    if recipients and passphrase_file:
        raise ConfigError("give --recipient or --passphrase-file, not both")
    if not file.absolute().parent.is_dir():
        raise ConfigError(f"there is no directory {file.absolute().parent} for the backup")
    return asyncio.run(_run(settings_of(config), file, Lock(recipients, secret_in(passphrase_file))))


async def _run(settings: Settings, file: Path, lock: Lock) -> int:
    """Raises `ConfigError`, `StoreUnavailable`, `BackupError`."""
    if not settings.data_path.is_dir():
        raise ConfigError(f"there is nothing to back up in {settings.data_path}")
    public_keys(lock.recipients)  # a mistyped one is refused before everything is copied
    # In the data directory, so that the copies are on the same disk.
    with scratch_folder(settings.data_path.absolute(), BACKUP) as folder:
        copies = folder / "copies"
        copies.mkdir()
        about = await _collect(settings, copies)
        write_archive(copies, file, about, lock)
    log = build_audit_log(settings, Encryption(None))
    log.record({"who": OPERATOR, "did": "backup"})
    log.sync()
    _report(settings, file, about, lock)
    return 0


async def _collect(settings: Settings, folder: Path) -> dict[str, object]:
    """A turn moves from the spool to the queue and then to the store. They are copied in this order, so that a moving
    turn is copied twice rather than not at all. `changes.db` contains deletions that a Qdrant server has not done
    yet; doing one twice is harmless. The keys are copied last: then every user whose data was copied has a key, and a
    user who was erased meanwhile has none."""
    began, data = wall_clock(), settings.data_path
    for each in sorted(spool_of(data).glob("*")):
        copy_file(each, folder / "spool" / each.name)
    _copy_databases(data, folder, _DATABASES_FIRST)
    points = None
    if settings.memory.store.url is None and (data / "qdrant").exists():
        points = await stores.snapshot(settings, folder / "qdrant")
    for name in ("audit.jsonl", formats.FILE, key_mark(settings).path.name, CLIENT_KEYS_FILE):
        if (data / name).exists():
            copy_file(data / name, folder / name)
    _copy_databases(data, folder, _DATABASES_LAST)
    return {
        "version": __version__,
        "began_at": began,
        "points": points,
        "encrypted_at_rest": (data / "keyring.db").exists(),
        "elsewhere": _elsewhere(settings),
    }


def _copy_databases(data: Path, folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if (data / name).exists():
            copy_database(data / name, folder / name)


def _elsewhere(settings: Settings) -> list[str]:
    store, queue = settings.memory.store.url, settings.memory.queue.url
    there = {"the memories on the Qdrant server": store, "the queue, receipts, keys and groups in Redis": queue}
    return [what for what, url in there.items() if url]


def _report(settings: Settings, file: Path, about: dict[str, object], lock: Lock) -> None:
    held = f"{about['points']} points" if about["points"] is not None else "no embedded store"
    print(f"{file}: {file.stat().st_size / 2**20:.1f} MiB, {held}{', encrypted by age' if lock != Lock() else ''}")
    for what in about["elsewhere"]:  # type: ignore[attr-defined]
        print(f"not in this file: {what}; see Backup in deploy/OPERATIONS.md")
    if about["encrypted_at_rest"]:
        print("not in this file: the master key; keep it elsewhere, because nothing can be read without it")
    print(
        "users who are erased later are still in this file: keep a copy of audit.jsonl elsewhere, and pass it to"
        " `rememberd restore --erasures`"
    )
