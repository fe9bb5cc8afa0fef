"""The copy of an answer that is collected for memory while the answer is relayed."""

import zlib
from collections import deque
from collections.abc import Callable
from functools import partial

COPY_LIMIT = 8 * 2**20  # bytes of one answer kept for memory
_LAST = 4  # chunks; one or two follow the event that contains the usage
_END_BYTES = 4096


class ResponseBuffer:
    """The decompressed bytes of the answer so far, at most `limit`. `whole` becomes False when some are missing."""

    def __init__(self, encoding: str, limit: int) -> None:
        self.body = bytearray()
        self.whole = True
        self.length = 0  # of the plain text
        self._first = b""
        self._last: deque[bytes] = deque(maxlen=_LAST)
        self._room = limit
        self._inflate = _inflater(encoding)

    def add(self, chunk: bytes) -> bytes:
        """Returns the decompressed `chunk`, empty if it cannot be decompressed."""
        try:
            plain = self._inflate(chunk)
        except zlib.error:
            plain, self.whole = b"", False
        self.length += len(plain)
        self._first = self._first or plain
        self._last.append(plain)
        if len(plain) > self._room:
            self.whole = False
        if self._room:
            self.body += plain[: self._room]
            self._room -= min(len(plain), self._room)
        return plain

    def ends(self) -> bytes:
        """The beginning and the end of the answer: they contain its usage. In a short answer they overlap."""
        end = b"".join(self._last)[-2 * _END_BYTES :]
        return end if self._last and self._first is self._last[0] else self._first[:_END_BYTES] + end


def _inflater(encoding: str) -> Callable[[bytes], bytes]:
    match encoding:
        case "identity":
            return bytes
        case "gzip":
            return partial(zlib.decompressobj(wbits=31).decompress, max_length=COPY_LIMIT + 1)
        case "deflate":
            return partial(zlib.decompressobj().decompress, max_length=COPY_LIMIT + 1)
        case _:
            return _unreadable


def _unreadable(chunk: bytes) -> bytes:
    raise zlib.error("unknown encoding")
