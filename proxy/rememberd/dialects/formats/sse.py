"""Server-sent events as bytes. Nothing here changes a stream; it reads a copy, or watches one go by.

The format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

import re
from collections.abc import Iterator

DONE = re.compile(rb"data: ?\[DONE\]")  # the terminal marker of OpenAI's chat and text completions
HELD_LIMIT = 2**20  # bytes of one event; a picture may be larger, and passes as it comes
_LONGEST_BLANK_LINE = 3  # bytes: a line end and an empty line of \r\n
_COMMENT = re.compile(rb":[^\r\n]*(?:\r\n?|\n)|[\r\n]")


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


def is_event_stream(content_type: str | None, begin: bytes) -> bool:
    """Is this a stream of events? Where the type is missing, the first bytes of the body decide."""
    if content_type is not None:
        return content_type.lower().lstrip().startswith("text/event-stream")
    return begin.lstrip(b"\xef\xbb\xbf\r\n").startswith((b"data:", b"event:", b"id:", b"retry:", b":"))


def find_marker(events: bytes, marker: re.Pattern[bytes]) -> int | None:
    """Where `marker` begins in whole events; at the start of a line only, where no JSON string can reach.

    `marker` must begin with a literal: a leading class or anchor makes the search ten times slower."""
    if marker.search(events) is None:
        return None
    found = (match.start() for match in marker.finditer(events))
    return next((at for at in found if events[max(at - 1, 0) : at] in (b"", b"\n", b"\r")), None)


class EventBuffer:
    """Holds back the beginning of an event of a stream that goes by until the event is whole.

    A client acts on whole events only, so nothing is late; and when the stream breaks, half an event is not followed
    by ours as if it were whole. Comment lines are whole by themselves: providers send them to keep a connection."""

    def __init__(self) -> None:
        self.rest = b""  # of an event whose end has not come
        self.torn = False  # an event of over `HELD_LIMIT` bytes has left in part

    def add(self, chunk: bytes) -> bytes:
        """The whole events that end in `chunk`, and what was held back of them."""
        if not self.rest and chunk.endswith((b"\n\n", b"\r\n\r\n")):
            self.torn = False
            return chunk
        data = self.rest + chunk
        at = _last_boundary(data)
        if not (at or self.torn):
            at = _complete_lines(data, 0)
        if at:
            self.torn = False
        elif self.torn or len(data) > HELD_LIMIT:
            self.torn, at = True, max(len(data) - _LONGEST_BLANK_LINE, 0)
        self.rest = data[at:]
        return data[:at]


def _last_boundary(data: bytes) -> int:
    """Behind the last empty line and the comments that follow it; 0 if there is none."""
    ends = ((data.rfind(line), len(line)) for line in (b"\n\n", b"\n\r\n", b"\r\r"))
    at = max(found + length if found >= 0 else 0 for found, length in ends)
    return _complete_lines(data, at) if at else 0


def _complete_lines(data: bytes, at: int) -> int:
    """Behind the comments and empty lines that stand at `at`, where an event may begin."""
    while match := _COMMENT.match(data, at):
        at = match.end()
    return at
