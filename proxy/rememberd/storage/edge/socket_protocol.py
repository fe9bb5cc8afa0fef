"""The protocol of the store's Unix socket.

A frame consists of two lengths of four bytes each (big-endian), that much JSON, and that many bytes of columns. A
request is `[number, method, arguments]`, with a question's vector as its columns. Its answer is `[number, result,
null]` or `[number, null, error]`. Answers are matched by number, so one connection serves many callers at once; the
number 0 gets no answer. The results of a search are sent as columns: as JSON, 800 rows would cost each side half a
millisecond.
"""

import os
import struct
import tempfile
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from rememberd.errors import ConfigError, InputRejected, MemoryUnavailable, StoreUnavailable
from rememberd.search_results import NAMED, TYPES, Candidates, DictColumn, Dictionary

# sun_path holds 104 bytes on the strictest system, with a final zero; the server binds a `.new` first.
MAX_SOCKET_PATH = 104 - 1 - len(".new")
READ_AHEAD_BYTES = 2**20
UNANSWERED = 0
_SIZES = 8  # bytes


def socket_path(data_dir: Path) -> Path:
    """Where the store of `data_dir` listens: inside it, or in the temporary directory if that path is too long.

    Raises `ConfigError` if the directory there belongs to another account.
    """
    path = data_dir.absolute() / "store.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        return path
    return _own_temporary() / (blake2b(os.fsencode(path), digest_size=8).hexdigest() + ".sock")


def _own_temporary() -> Path:
    folder = Path(tempfile.gettempdir()) / f"rememberd-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise ConfigError(f"{folder} is open to other accounts: remove it, or set a shorter data_dir")
    return folder


def frame(message: Any, columns: bytes = b"") -> bytes:
    body = orjson.dumps(message, default=tuple)  # orjson knows no named tuples
    return b"".join((len(body).to_bytes(4, "big"), len(columns).to_bytes(4, "big"), body, columns))


class Frames:
    """Assembles whole frames from the pieces that arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Any, bytes]]:
        """Messages with their columns. Raises `ValueError` for bytes that are not a frame."""
        self._buffer += data
        while len(self._buffer) >= _SIZES:
            body = _SIZES + int.from_bytes(self._buffer[:4], "big")
            end = body + int.from_bytes(self._buffer[4:_SIZES], "big")
            if len(self._buffer) < end:
                return
            message, columns = self._buffer[_SIZES:body], bytes(self._buffer[body:end])
            del self._buffer[:end]
            yield orjson.loads(message), columns


def pack_vector(dense: list[float]) -> bytes:
    """Four bytes for each number, as in the engine."""
    return struct.pack(f"{len(dense)}f", *dense)


def unpack_vector(columns: bytes) -> list[float]:
    return list(struct.unpack(f"{len(columns) // 4}f", columns))


def pack_candidates(found: Candidates) -> tuple[list[Any], bytes]:
    """The number of rows, the width of an id and the names as JSON; the columns as they are in memory."""
    codes, names = zip(*(getattr(found, name).alone() for name in NAMED), strict=True)
    columns = [*(getattr(found, name) for name in TYPES), *codes, found.ids]
    head = [len(found), found.ids.itemsize, names]
    return head, b"".join(column.tobytes() for column in columns)


def unpack_candidates(head: list[Any], columns: bytes) -> Candidates:
    rows, width, names = head
    unpacked: dict[str, Any] = {}
    place = 0
    for name, kind in {**TYPES, **dict.fromkeys(NAMED, "i4"), "ids": f"S{width}"}.items():
        unpacked[name] = column = np.frombuffer(columns, kind, rows, place)
        place += column.nbytes
    named = {name: DictColumn(unpacked[name], Dictionary(each)) for name, each in zip(NAMED, names, strict=True)}
    return Candidates(**unpacked | named, query=np.zeros(rows, np.int32))


def pack_error(error: InputRejected | MemoryUnavailable) -> dict[str, Any]:
    if isinstance(error, InputRejected):
        return {"code": error.code, "message": error.message, "param": error.param}
    return {"message": str(error)}


def unpack_error(packed: dict[str, Any]) -> InputRejected | StoreUnavailable:
    return InputRejected(**packed) if "code" in packed else StoreUnavailable(packed["message"])
