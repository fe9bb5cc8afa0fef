"""Request bodies that a client compressed (RFC 9110, 8.4), decoded within the limit of a body."""

import sys
import zlib
from typing import Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from rememberd.errors import RequestError

CODINGS = ("gzip", "x-gzip", "deflate", "zstd")
_ZSTD_WINDOW_LOG = 23  # 8 MiB; RFC 9659 forbids more in this coding


class Decompressor(Protocol):
    """The methods that the decompressors of zlib and zstd have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _TooLarge(Exception):
    pass


def codings_of(header: str) -> list[str]:
    """The names of the codings, in the order in which the client applied them. Raises `RequestError` 415 for an
    unknown coding."""
    named = [each.strip().lower() for each in header.split(",")]
    codings = [each for each in named if each not in ("", "identity")]
    if unknown := [each for each in codings if each not in CODINGS]:
        message = f"the content encoding {unknown[0]!r} is not supported; send {', '.join(CODINGS)} or no encoding"
        raise RequestError(415, "unsupported_encoding", message)
    return codings


def decode(raw: bytes, codings: list[str], limit: int) -> bytes | None:
    """`raw`, decoded; None if it is longer than `limit` bytes. At most one byte more than `limit` is decoded. Takes a
    few milliseconds per megabyte. Raises `RequestError` 400 if `raw` is not in that coding or is incomplete."""
    try:
        for coding in reversed(codings):
            raw = _decoded(raw, coding, limit)
    except _TooLarge:
        return None
    except (zlib.error, zstd.ZstdError, EOFError):
        message = f"the body is incomplete or is not encoded as Content-Encoding says ({', '.join(codings)})"
        raise RequestError(400, "invalid_encoding", message) from None
    return raw


def _decoded(raw: bytes, coding: str, limit: int) -> bytes:
    """gzip and zstd data may consist of several members, one after the other."""
    found = b""
    while raw:
        decompressor = _decompressor(coding, raw)
        found += decompressor.decompress(raw, limit + 1 - len(found))
        if len(found) > limit:
            raise _TooLarge
        if not decompressor.eof:
            raise EOFError
        raw = decompressor.unused_data
    return found


def _decompressor(coding: str, raw: bytes) -> Decompressor:
    if coding == "zstd":
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})
    if coding == "deflate":  # some clients omit the zlib header
        return zlib.decompressobj(15 if raw[0] & 0x0F == 8 else -15)
    return zlib.decompressobj(31)
