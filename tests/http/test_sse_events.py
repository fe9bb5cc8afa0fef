"""Events are read as the standard says, and a terminal marker is found wherever the network cuts it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rememberd.dialects import sse

STREAM = b'data: {"a":1}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize(
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


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=8))
def test_the_end_is_found_however_the_stream_is_cut(cuts: list[int]) -> None:
    """It is found once, and the bytes before the place that is named do not hold the whole marker."""
    marker = b"data: [DONE]"
    (place,) = where(STREAM, cuts)
    assert STREAM.index(marker) <= place < STREAM.index(marker) + len(marker)


def where(stream: bytes, cuts: list[int]) -> list[int]:
    """The places in the stream that `find` names when it is cut there."""
    tail, at, found = sse.Tail(sse.DONE), 0, []
    for cut in [*sorted(set(cuts)), len(stream)]:
        place = tail.find(stream[at:cut])
        found += [] if place is None else [at + place]
        at = cut
    return found


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"content":"it ends with data: [DONE], always"}\n\n',
        b"data: nothing of the kind\n\n",
        b": data: [DONE]\n\n",
    ],
)
def test_the_marker_inside_an_answer_is_not_the_end(stream: bytes) -> None:
    """An answer that talks about the marker does not end the stream, in one read or byte by byte."""
    assert where(stream, []) == []
    assert where(stream, list(range(1, len(stream)))) == []


def test_other_dialects_bring_their_own_marker() -> None:
    """The marker is a parameter: Anthropic's streams end with an event name."""
    tail = sse.Tail(re.compile(rb"event: ?message_stop"))
    assert tail.find(b"event: message_delta\ndata: {}\n\n") is None
    assert tail.find(b"event: message_stop\ndata: {}\n\n") == 0


@pytest.mark.parametrize(
    ("seen", "boundary"),
    [
        (b"", True),
        (b"data: 1\n\n", True),
        (b"data: 1\r\n\r\n", True),
        (b"data: 1\n", False),
        (b"data: 1", False),
        (b"data: 1\r\n", False),
    ],
)
def test_a_boundary_is_where_an_event_may_begin(seen: bytes, boundary: bool) -> None:
    """Only after a blank line, or at the very beginning, may something of ours stand in a stream."""
    tail = sse.Tail(sse.DONE)
    for byte in seen:
        tail.find(bytes((byte,)))
    assert tail.at_boundary is boundary
