"""Server-sent events as bytes. Nothing here changes a stream; it reads a copy, or watches one go by.

The format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

import re
from collections.abc import Iterator

DONE = re.compile(rb"data: ?\[DONE\]")  # the terminal marker of OpenAI's chat and text completions
_REACH = 64  # bytes kept of what went by; longer than any terminal marker


def events(raw: bytes) -> Iterator[bytes]:
    """The data of each event, its `data:` lines joined; comments and other fields are passed over.

    An event cut off by the end of the stream is given as far as it came."""
    data: list[bytes] = []
    for line in raw.removeprefix(b"\xef\xbb\xbf").splitlines():
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data)
            data = []
    if data:
        yield b"\n".join(data)


class Tail:
    """The last bytes of a stream that goes by: spots its terminal marker, also across reads, and event boundaries.

    `marker` must begin with a literal (a leading class or anchor makes the search ten times slower)
    and counts at the start of a line only, where no JSON string can reach."""

    def __init__(self, marker: re.Pattern[bytes] = DONE) -> None:
        self._marker = marker
        self._seen = b"\n\n"

    def find(self, chunk: bytes) -> int | None:
        """Where in `chunk` the marker begins (0 if an earlier chunk began it); None if it does not end in it."""
        kept = len(self._seen)
        window = self._seen + chunk
        self._seen = window[-_REACH:]
        for match in self._marker.finditer(window):
            start = match.start()
            if window[start - 1 : start] in (b"\n", b"\r") and match.end() > kept:
                return max(start - kept, 0)
        return None

    @property
    def at_boundary(self) -> bool:
        """True if an event may begin here."""
        return self._seen.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
