"""Turns on the disk of this host while the queue is late: a file for each process, in one folder."""

import asyncio
import errno
import fcntl
import logging
import os
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Self, TypeVar
from zlib import crc32

from rememberd.errors import QueueUnavailable
from rememberd.memory.serialization import turn_from_json, turn_to_json
from rememberd.ports.queues import DeadLetter, SpooledTurn
from rememberd.storage import dead_letter_files
from rememberd.storage.format_version import IN_NAME
from rememberd.types import Turn

T = TypeVar("T")

_HEADER = struct.Struct(">II")  # of a record: its length in bytes and its CRC-32
_BATCH = 64  # records per read

log = logging.getLogger("rememberd.queue")


class FileSpool:
    """A `Spool`: an append-only file in `folder`, made at the first append, locked (flock) while its process lives.

    Appends that come in while another is written share the next write and fsync. All callers of one instance live on
    one event loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path: Path | None = None
        self._file = -1
        self._size = 0
        self._lock = asyncio.Lock()
        self._waiting: list[tuple[bytes, asyncio.Future[int]]] = []

    async def append(self, turn: Turn) -> int:
        record = turn_to_json(turn)
        position: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((_HEADER.pack(len(record), crc32(record)) + record, position))
        async with self._lock:
            batch, self._waiting = self._waiting, []
            if batch:  # otherwise, the previous holder of the lock has written this record too
                await self._write_batch(batch)
        return await position

    async def read(self, position: int) -> list[SpooledTurn]:
        async with self._lock:
            return await _in_thread(self._read, position)

    async def clear(self, position: int) -> bool:
        async with self._lock:
            if self._size != position:
                return False
            if self._size:
                await _in_thread(os.ftruncate, self._file, 0)
                self._size = 0
            return True

    async def adopt(self) -> list[Self]:
        async with self._lock:
            return await _in_thread(self._adopt)

    async def dead_letter(self, turn: Turn, error: str) -> None:
        await _in_thread(dead_letter_files.write, self.folder, turn_to_json(turn), error)

    async def dead(self) -> list[DeadLetter]:
        return [letter.listed for letter in await _in_thread(dead_letter_files.read, self.folder)]

    async def replay(self, put: Callable[[Turn], Awaitable[bool]]) -> int:
        taken = 0
        for letter in await _in_thread(dead_letter_files.read, self.folder):
            if letter.turn is not None and await put(letter.turn):
                letter.path.unlink(missing_ok=True)
                taken += 1
        return taken

    async def erase(self, user: str) -> None:
        for letter in await _in_thread(dead_letter_files.read, self.folder):
            if letter.turn is not None and letter.turn.space.user == user:
                letter.path.unlink(missing_ok=True)

    async def close(self) -> None:
        async with self._lock:
            if self._path is None:
                return
            if not self._size:
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._path = None

    async def _write_batch(self, batch: list[tuple[bytes, asyncio.Future[int]]]) -> None:
        try:
            at = await _in_thread(self._write, b"".join(framed for framed, _ in batch))
        except QueueUnavailable as error:
            for _, position in batch:
                position.set_exception(error)
            return
        for framed, position in batch:
            position.set_result(at)
            at += len(framed)

    def _write(self, data: bytes) -> int:
        """Write once. If it fails, truncate the file, so that no partial record is before the next one."""
        if self._path is None:
            self._create()
        start = self._size
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fdatasync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, start)
            raise
        self._size += len(data)
        return start

    def _create(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{os.getpid()}-{token_hex(4)}{IN_NAME}.spool"
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o600)
        # Another process may be adopting the empty file at this moment; it then removes the file.
        fcntl.flock(file, fcntl.LOCK_EX)
        if not _is_at(path, file):
            os.close(file)
            return self._create()
        for folder in (self.folder, self.folder.parent):
            dead_letter_files.sync_folder(folder)
        self._path, self._file, self._size = path, file, 0
        return None

    def _read(self, position: int) -> list[SpooledTurn]:
        found: list[SpooledTurn] = []
        while position < self._size and len(found) < _BATCH:
            record = self._record(position)
            if (
                record is None
            ):  # its process was killed while writing: the answer had not ended, so no client relies on this turn
                log.warning("%s: the last record is incomplete, and left out", self._path)
                self._size = position
                os.ftruncate(self._file, position)
                break
            start, position = position, position + _HEADER.size + len(record)
            found.append(SpooledTurn(start, position, self._turn(record)))
        return found

    def _turn(self, record: bytes) -> Turn | None:
        """A record that this version cannot read becomes a dead letter: it must not block the others."""
        try:
            return turn_from_json(record)
        except dead_letter_files.UNREADABLE as error:
            dead_letter_files.write(self.folder, record, f"this version cannot read it ({type(error).__name__})")
            log.error("a spooled turn cannot be read; `rememberd dead list` shows it")
            return None

    def _record(self, position: int) -> bytes | None:
        header = os.pread(self._file, _HEADER.size, position)
        if len(header) < _HEADER.size:
            return None
        length, checksum = _HEADER.unpack(header)
        if position + _HEADER.size + length > self._size:
            return None
        record = os.pread(self._file, length, position + _HEADER.size)
        return record if len(record) == length and crc32(record) == checksum else None

    def _adopt(self) -> list[Self]:
        paths = sorted(self.folder.glob("*.spool"), key=lambda path: path.stat().st_mtime)
        return [adopted for path in paths if path != self._path and (adopted := self._adopted(path))]

    def _adopted(self, path: Path) -> Self | None:
        """None if the process of the file lives, or another process has just adopted the file."""
        try:
            file = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        if not _is_at(path, file):
            os.close(file)
            return None
        adopted = type(self)(self.folder)
        adopted._path, adopted._file, adopted._size = path, file, os.fstat(file).st_size
        return adopted


def _is_at(path: Path, file: int) -> bool:
    with suppress(FileNotFoundError):
        return os.stat(path).st_ino == os.fstat(file).st_ino
    return False


async def _in_thread(work: Callable[..., T], *values: int | bytes | str | Path) -> T:
    try:
        return await asyncio.to_thread(work, *values)
    except OSError as error:
        raise QueueUnavailable(f"the spool: {error}") from error
