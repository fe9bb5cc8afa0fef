"""How a response is written: its head alone as soon as it is known, or together with a body that follows at
once; framed as HTTP demands; and nothing in a header can begin another header."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.flow_control import FlowControl

from rememberd.http.response_cycle import BODY_FOLLOWS, ResponseCycle


class _Transport(asyncio.Transport):
    """`packets` is what each call wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.packets, self.closed = list[bytes](), False

    def write(self, data: Any) -> None:
        self.packets.append(bytes(data))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.packets.append(b"".join(list_of_data))

    def close(self) -> None:
        self.closed = True


def _cycle(method: str = "POST", *, keep_alive: bool = True) -> tuple[ResponseCycle, _Transport]:
    transport, log = _Transport(), logging.getLogger("test")
    scope: Any = {"type": "http", "method": method}
    cycle = ResponseCycle(
        scope=scope,
        transport=transport,
        flow=FlowControl(transport),
        logger=log,
        access_logger=log,
        access_log=False,
        default_headers=[(b"date", b"now")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )
    return cycle, transport


def _sent(cycle: ResponseCycle, status: int, headers: list[tuple[bytes, bytes]], *parts: bytes, **more: Any) -> None:
    async def send() -> None:
        await cycle.send({"type": "http.response.start", "status": status, "headers": headers, **more})
        for number, part in enumerate(parts, 1):
            last = number == len(parts)
            await cycle.send({"type": "http.response.body", "body": part, "more_body": not last})

    asyncio.run(send())


@given(st.binary(max_size=400))
def test_head_and_body_leave_together_if_the_body_follows_at_once(body: bytes) -> None:
    cycle, transport = _cycle()
    length = [(b"content-length", b"%d" % len(body))]
    _sent(cycle, 200, length, body, **{BODY_FOLLOWS: True})
    head = b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: %d\r\n\r\n" % len(body)
    assert transport.packets == [head + body]
    assert cycle.response_complete
    assert not transport.closed


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5))
def test_a_stream_leaves_part_by_part_after_its_head(parts: list[bytes]) -> None:
    cycle, transport = _cycle()
    _sent(cycle, 200, [], *parts, b"")
    head, *chunks, end = transport.packets
    assert head.endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n")
    assert chunks == [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    assert end == b"0\r\n\r\n"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 204), ("GET", 304)])
def test_what_has_no_body_is_not_framed(method: str, status: int) -> None:
    cycle, transport = _cycle(method)
    _sent(cycle, status, [], b"")
    assert b"transfer-encoding" not in transport.packets[0]
    assert b"".join(transport.packets).endswith(b"date: now\r\n\r\n")


def test_who_closes_says_so_once() -> None:
    for headers, keep_alive in (([(b"connection", b"Close")], True), ([], False)):
        cycle, transport = _cycle(keep_alive=keep_alive)
        _sent(cycle, 200, [(b"content-length", b"0"), *headers], b"")
        assert b"".join(transport.packets).lower().count(b"connection: close") == 1
        assert transport.closed


@given(st.sampled_from([*range(9), *range(10, 32), 127]), st.binary(max_size=9), st.booleans())
def test_no_control_character_leaves_in_a_header(character: int, around: bytes, in_name: bool) -> None:
    bad = around + bytes([character])
    cycle, transport = _cycle()
    with pytest.raises(RuntimeError):
        _sent(cycle, 200, [(b"x-a" + bad, b"1") if in_name else (b"x-a", bad)], b"")
    assert transport.packets == []


@pytest.mark.parametrize("body", [b"abcd", b"ab"])
def test_a_body_of_another_length_is_an_error(body: bytes) -> None:
    cycle, _ = _cycle()
    with pytest.raises(RuntimeError):
        _sent(cycle, 200, [(b"content-length", b"3")], body)
