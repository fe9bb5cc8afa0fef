"""What the two ends of the store's Unix socket agree on.

A frame is four bytes of length, big-endian, and that much JSON. A request is `[number, method, arguments]`, its
answer `[number, result, null]` or `[number, null, error]`; answers are matched by number, so one connection serves
many callers at once.
"""

from __future__ import annotations

import os
import tempfile
from asyncio import StreamReader
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from proxy.errors import ConfigError, RequestError, StoreUnavailable

# sun_path holds 104 bytes on the strictest system, with a final zero; the server binds a `.new` first.
MAX_SOCKET_PATH = 104 - 1 - len(".new")
READ_AHEAD_BYTES = 2**20


def socket_path(data_dir: Path) -> Path:
    """Where the store of `data_dir` listens: inside it, or under the temporary directory if that path is too long.

    Raises `ConfigError` if another account has taken that place."""
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


def frame(message: Any) -> bytes:
    body = orjson.dumps(message, default=tuple)  # orjson knows no named tuples
    return len(body).to_bytes(4, "big") + body


async def read_frame(reader: StreamReader) -> Any:
    """Raises `IncompleteReadError` at the end of the stream."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    return orjson.loads(await reader.readexactly(size))


def pack_error(error: RequestError | StoreUnavailable) -> dict[str, Any]:
    if isinstance(error, RequestError):
        return {"status": error.status, "code": error.code, "message": error.message, "param": error.param}
    return {"message": str(error)}


def unpack_error(packed: dict[str, Any]) -> RequestError | StoreUnavailable:
    return RequestError(**packed) if "status" in packed else StoreUnavailable(packed["message"])
