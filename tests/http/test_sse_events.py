"""Events are read as the standard says, and leave whole, wherever the network cuts them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rememberd.dialects import chat, messages, responses
from rememberd.dialects.formats import sse
from rememberd.dialects.registry import Dialect
from rememberd.errors import UpstreamUnavailable
from tests.support.tables import each_row

STREAM = b'data: {"a":1}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n'


@each_row(
    ("raw", "expected"),
    [
        (STREAM, [b'{"a":1}', b'{"b":2}', b"[DONE]"]),
        (STREAM.replace(b"\n", b"\r\n"), [b'{"a":1}', b'{"b":2}', b"[DONE]"]),
        (STREAM.replace(b"\n", b"\r"), [b'{"a":1}', b'{"b":2}', b"[DONE]"]),
        (b": a comment\n\ndata:no space\n\n", [b"no space"]),
        (b'event: message\nid: 7\nretry: 3\ndata: {"a":\ndata: 1}\n\n', [b'{"a":\n1}']),
        (b"data:  two spaces\n\n", [b" two spaces"]),
        (b'data: {"a":1}\n\ndata: {"b', [b'{"a":1}', b'{"b']),
        (b"\xef\xbb\xbfdata: after a byte order mark\n\n", [b"after a byte order mark"]),
        ("data: \u2028 \x85 are no line ends\n\n".encode(), ["\u2028 \x85 are no line ends".encode()]),
        (b"", []),
    ],
)
def test_events_are_read_as_the_standard_says(raw: bytes, expected: list[bytes]) -> None:
    """All three line ends, comments, other fields, joined data lines, a byte order mark, a cut-off tail."""
    assert list(sse.events(raw)) == expected


CUTS = st.lists(st.integers(0, 10_000), max_size=12)
LINES = st.sampled_from(["data: 1", "data: [DONE]", "event: x", ": ping", ":", "", "", "id: 7", "data: \u2028\x85 é"])


def released(stream: bytes, cuts: Sequence[int]) -> tuple[list[bytes], bytes]:
    """What an `EventBuffer` gives for each piece of the stream, and what it still holds at the end."""
    buffer, places = sse.EventBuffer(), sorted({0, *(cut % (len(stream) + 1) for cut in cuts), len(stream)})
    return [buffer.add(stream[begin:end]) for begin, end in pairwise(places)], buffer.rest


@given(lines=st.lists(LINES, max_size=12), end=st.sampled_from(["\n", "\r\n", "\r"]), cuts=CUTS)
def test_only_whole_events_leave(lines: list[str], end: str, cuts: list[int]) -> None:
    """However the stream is cut: no byte is lost or moved, each piece that leaves is made of whole events and of
    comments, and what is held back is the beginning of one event."""
    stream = "".join(line + end for line in lines).encode()
    pieces, rest = released(stream, cuts)
    assert b"".join(pieces) + rest == stream
    gone = b""
    for piece in pieces:
        gone += piece
        assert not piece or _is_boundary(gone)
    assert len(list(sse.events(rest))) <= 1
    assert not rest.startswith((b":", b"\n", b"\r")) or not rest.endswith((b"\n", b"\r"))


def _is_boundary(gone: bytes) -> bool:
    """May an event begin here: after an empty line, and after comments behind one?"""
    lines = gone.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while len(lines) > 1 and lines[-1] == "" and lines[-2].startswith(":"):
        del lines[-2]
    return lines[-1] == "" and (len(lines) < 2 or lines[-2] == "")


def test_what_keeps_a_connection_alive_leaves_at_once() -> None:
    """Comments need no empty line behind them, and single empty lines mean nothing."""
    for ping in (b":\n", b": ping\r\n", b"\n", b"event: ping\ndata: {}\n\n"):
        assert released(ping, []) == ([ping], b"")


def test_a_huge_event_is_not_kept_in_memory() -> None:
    """It passes as it comes; what follows it is held back again."""
    buffer = sse.EventBuffer()
    piece = b"data: " + b"x" * 100_000
    sent = b"".join(buffer.add(piece) for _ in range(50))
    assert buffer.torn
    assert len(buffer.rest) < 10
    sent += buffer.add(b"\n") + buffer.add(b"\ndata: half")
    assert (sent.endswith(b"x\n\n"), buffer.rest, buffer.torn) == (True, b"data: half", False)


@each_row(
    ("events", "at"),
    [
        (b"data: 1\n\ndata: [DONE]\n\n", 9),
        (b"data:[DONE]\r\n\r\n", 0),
        (b'data: {"content":"it ends with data: [DONE], always"}\n\n', None),
        (b'data: {"content":"data: [DONE]"}\n\ndata: [DONE]\n\n', 34),
        (b": data: [DONE]\n\n", None),
        (b"data: nothing of the kind\n\n", None),
    ],
)
def test_the_end_is_found_at_the_start_of_a_line_only(events: bytes, at: int | None) -> None:
    """An answer that talks about the marker does not end the stream."""
    assert sse.find_marker(events, sse.DONE) == at


@each_row(
    ("content_type", "begin", "streamed"),
    [
        ("text/event-stream", b"", True),
        ("Text/Event-Stream; charset=UTF-8", b"", True),
        ("application/json", b"data: 1\n\n", False),
        (None, b"data: 1\n\n", True),
        (None, b"event: x\ndata: 1\n\n", True),
        (None, b": ping\n\n", True),
        (None, b'{"data": 1}', False),
        (None, b"", False),
    ],
)
def test_a_stream_is_known_by_its_type_or_its_first_bytes(
    content_type: str | None, begin: bytes, streamed: bool
) -> None:
    """The type in any case of letters; where it is missing, the content."""
    assert sse.is_event_stream(content_type, begin) is streamed


@pytest.mark.parametrize("dialect", [chat, messages, responses])
def test_a_broken_stream_ends_in_its_dialects_error(dialect: Dialect) -> None:
    """One whole event that names what happened."""
    event = dialect.error_event(UpstreamUnavailable("it broke"), b"", b"")
    (data,) = sse.events(event)
    assert event.endswith(b"\n\n")
    assert "it broke" in json.dumps(json.loads(data))


def test_a_broken_response_fails_with_the_next_number() -> None:
    """The response as it began, failed, numbered behind the last event; comments in between do not matter."""
    begin = (
        b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"r1"}}\n\n'
    )
    latest = b'event: x\ndata: {"type":"x","delta":"\\"sequence_number\\":99","sequence_number":7}\n\n'
    event = responses.error_event(UpstreamUnavailable("it broke"), begin, latest)
    data = json.loads(next(sse.events(event)))
    assert event.startswith(b"event: response.failed\n")
    assert (data["type"], data["sequence_number"]) == ("response.failed", 8)
    assert data["response"] == {
        "id": "r1",
        "status": "failed",
        "error": {"code": "server_error", "message": "it broke"},
    }
