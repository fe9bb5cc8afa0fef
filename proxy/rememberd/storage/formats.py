"""The format of a data directory, and the numbered steps that bring an older one up to date.

`format.json` names the format and the version that wrote it, and so do a table in each database, the names of the
files in the spool, and each line of the audit log. A folder without `format.json` was made by 0.1. A step changes one
file in one transaction. An interrupted step can be run again: its number is stored afterwards.
"""

import fcntl
import logging
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, cast

import orjson

from rememberd import __version__
from rememberd.errors import ConfigError
from rememberd.storage.format_version import FORMAT, STAMP, refuse_newer, refuse_newer_name
from rememberd.storage.sqlite.database import COPY_BUSY_S, MADE_BY, copy_database, open_read_only

FILE = "format.json"
_OLDEST = 1
_LONGEST_LINE = 65536  # bytes of an entry in the audit log
_SPOOL = "spool"
_HOLD_DATA = ("queue.db", "keys.db", "keyring.db", "qdrant")

log = logging.getLogger("rememberd.formats")


class Step(NamedTuple):
    """`number` is the format of a folder after this step."""

    number: int
    about: str
    run: Callable[[Path], None]


def _record_uses(folder: Path) -> None:
    _execute(
        folder / "keys.db",
        "CREATE TABLE IF NOT EXISTS uses (digest BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID",
    )


STEPS = (Step(2, "keys.db keeps when each key was last used", _record_uses),)


def format_of(folder: Path) -> int:
    """`FORMAT` of a folder without data. Raises `ConfigError` for one from a newer version, which it names."""
    for database in folder.glob("*.db"):
        if (stamp := made_by(database)) is not None:
            refuse_newer(database, *stamp)
    for spooled in (folder / _SPOOL).glob("*"):
        refuse_newer_name(spooled)
    _refuse_newer_log(folder / "audit.jsonl")
    if not any((folder / name).exists() for name in _HOLD_DATA):
        return FORMAT
    try:
        known = orjson.loads((folder / FILE).read_bytes())
    except FileNotFoundError:
        return _OLDEST
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{folder / FILE} is damaged: restore it from a backup") from error
    refuse_newer(f"the data in {folder}", known["format"], known["version"])
    return int(known["format"])


def due(folder: Path, steps: Sequence[Step] = STEPS) -> list[Step]:
    """The steps that the next start runs. Raises `ConfigError`."""
    found = format_of(folder)
    return [step for step in steps if step.number > found]


def upgrade(folder: Path, steps: Sequence[Step] = STEPS) -> list[Step]:
    """Run those of `steps` that are due, one process at a time. Returns them. Raises `ConfigError`."""
    with _locked(folder):
        for step in (taken := due(folder, steps)):
            _take(step, folder)
            log.warning("the data in %s was brought to format %d: %s", folder, step.number, step.about)
        if taken or not (folder / FILE).exists():
            _write(folder, FORMAT)
            for database in folder.glob("*.db"):
                mark_made_by(database)
    return taken


def rehearse(folder: Path) -> list[Step]:
    """Run the steps on copies of the databases, which are deleted afterwards. Raises `ConfigError`."""
    with tempfile.TemporaryDirectory(prefix="rememberd-upgrade-") as scratch:
        copy = Path(scratch)
        for database in folder.glob("*.db"):
            copy_database(database, copy / database.name)
        _write(copy, format_of(folder))
        for step in (steps := due(copy)):
            _take(step, copy)
        return steps


def _take(step: Step, folder: Path) -> None:
    step.run(folder)
    _write(folder, step.number)


def _execute(database: Path, statement: str) -> None:
    """Run `statement` in a transaction, if the file exists."""
    if not database.exists():
        return
    db = sqlite3.connect(database, isolation_level=None)
    try:
        db.execute("BEGIN IMMEDIATE")
        db.execute(statement)
        db.execute("COMMIT")
    except sqlite3.Error as error:
        raise ConfigError(f"{database} cannot be upgraded, and was not changed: {error}") from error
    finally:
        db.close()


def _refuse_newer_log(path: Path) -> None:
    """Reads the newest line. The lines of 0.1 have no format; a line that a power cut has shortened is ignored."""
    with suppress(FileNotFoundError, NotADirectoryError), path.open("rb") as log_file:
        log_file.seek(max(0, path.stat().st_size - _LONGEST_LINE))
        newest = log_file.read().splitlines()[-1:]
        with suppress(orjson.JSONDecodeError, IndexError):
            line = orjson.loads(newest[0])
            refuse_newer(path, line.get("format", _OLDEST), line.get("version", ""))


def _write(folder: Path, number: int) -> None:
    draft = folder / f"{FILE}.new"
    draft.write_bytes(orjson.dumps(STAMP | {"format": number}))
    draft.replace(folder / FILE)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def made_by(path: Path) -> tuple[int, str] | None:
    """The format of the file and the version of rememberd that wrote it; None for a file without them."""
    db = open_read_only(path, COPY_BUSY_S)
    try:
        return cast("tuple[int, str]", db.execute("SELECT format, version FROM made_by").fetchone())
    except sqlite3.Error:  # older than this table, or damaged: the proxy starts with a damaged file, too
        return None
    finally:
        db.close()


def mark_made_by(path: Path) -> None:
    """Record that the file has the newest format, if it exists."""
    if path.exists():
        with closing(sqlite3.connect(path, timeout=COPY_BUSY_S, isolation_level=None)) as db, suppress(sqlite3.Error):
            db.execute(MADE_BY)
            db.execute("INSERT OR REPLACE INTO made_by VALUES (1, ?, ?)", (FORMAT, __version__))
