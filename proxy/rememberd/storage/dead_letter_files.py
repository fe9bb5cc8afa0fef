"""Turns that no queue accepts, one file each, in the folder of the spool. An operator can list them and send them
again."""

import os
import time
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

from rememberd.memory.serialization import turn_from_json
from rememberd.ports.queues import DeadLetter
from rememberd.storage.format_version import IN_NAME
from rememberd.types import Space, Turn

UNREADABLE = (ValueError, TypeError, KeyError)  # what `turn_from_json` raises for what another version wrote
_SUFFIX = ".dead"


class Letter(NamedTuple):
    """`error` is the first line of the file, `record` the rest: the JSON of a turn."""

    path: Path
    error: str
    record: bytes

    @property
    def turn(self) -> Turn | None:
        """None if this version cannot read the record."""
        try:
            return turn_from_json(self.record)
        except UNREADABLE:
            return None

    @property
    def listed(self) -> DeadLetter:
        """A record that cannot be read is listed by its file's name and time."""
        turn = self.turn
        if turn is None:
            return DeadLetter(self.path.stem, Space("?"), self.path.stat().st_mtime_ns // 1_000_000, 1, self.error)
        return DeadLetter(turn.id, turn.space, turn.created_at, 1, self.error)


def write(folder: Path, record: bytes, error: str) -> None:
    """The file is on disk when this returns. Raises `OSError`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{time.time_ns()}-{token_hex(4)}{IN_NAME}{_SUFFIX}"
    unfinished = path.with_suffix(".part")
    with open(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(error.encode() + b"\n" + record)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync_folder(folder)


def read(folder: Path) -> list[Letter]:
    """The oldest first. Raises `OSError`."""
    letters = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        error, _, record = path.read_bytes().partition(b"\n")
        letters.append(Letter(path, error.decode("utf-8", "replace"), record))
    return letters


def sync_folder(folder: Path) -> None:
    """Make the names in the folder survive a power cut."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
