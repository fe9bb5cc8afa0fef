"""Reads server-sent events as bytes. Nothing here changes a stream.

The format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

import re
from collections.abc import Iterator

DONE = re.compile(rb"data: ?\[DONE\]")  # the terminal marker of OpenAI's chat and text completions
HELD_LIMIT = 2**20  # bytes of one event; a larger one (a picture) is passed on as it arrives
_LONGEST_BLANK_LINE = 3  # bytes: a line end and an empty line of \r\n
_COMMENT = re.compile(rb":[^\r\n]*(?:\r\n?|\n)|[\r\n]")


def events(raw: bytes) -> Iterator[bytes]:
    """The data of each event, its `data:` lines joined. Comments and other fields are skipped. An incomplete last
    event is included."""
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
    """True for a stream of events. If the type is missing, the first bytes of the body decide."""
    if content_type is not None:
        return content_type.lower().lstrip().startswith("text/event-stream")
    return begin.lstrip(b"\xef\xbb\xbf\r\n").startswith((b"data:", b"event:", b"id:", b"retry:", b":"))


def find_marker(events: bytes, marker: re.Pattern[bytes]) -> int | None:
    """The position of `marker` in complete events, only at the start of a line, which cannot be inside a JSON string.

    `marker` must begin with a literal: a leading class or anchor makes the search ten times slower."""
    if marker.search(events) is None:
        return None
    found = (match.start() for match in marker.finditer(events))
    return next((at for at in found if events[max(at - 1, 0) : at] in (b"", b"\n", b"\r")), None)


class EventBuffer:
    """Holds back an incomplete event of a stream until it is complete.

    Clients act on complete events only, so this delays nothing. If the stream breaks, our error event does not follow
    half an event. Comment lines are complete: providers send them to keep a connection alive."""

    def __init__(self) -> None:
        self.rest = b""  # an incomplete event
        self.torn = False  # a part of an event of over `HELD_LIMIT` bytes was passed on

    def add(self, chunk: bytes) -> bytes:
        """The events that are complete with `chunk`."""
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
    """The position after the last empty line and the comments that follow it; 0 if there is none."""
    ends = ((data.rfind(line), len(line)) for line in (b"\n\n", b"\n\r\n", b"\r\r"))
    at = max(found + length if found >= 0 else 0 for found, length in ends)
    return _complete_lines(data, at) if at else 0


def _complete_lines(data: bytes, at: int) -> int:
    """The position after the comments and empty lines at `at`, where an event may begin."""
    while match := _COMMENT.match(data, at):
        at = match.end()
    return at
