"""Writes one response: uvicorn's `RequestResponseCycle` with fewer steps and, where possible, one packet."""

from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

# In the message that starts a response: the body follows at once, so the head is sent together with its first bytes.
BODY_FOLLOWS = "rememberd.body_follows"

_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection"))
_CONTROLS = bytes(each for each in (*range(0x20), 0x7F) if each != 0x09)
_BODILESS = (204, 304)


class ResponseCycle(RequestResponseCycle):
    """Header names must be lower case, as ASGI demands."""

    _head = b""  # not sent yet

    async def send(self, message: Mapping[str, Any]) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        expected = "http.response.body" if self.response_started else "http.response.start"
        if message["type"] != expected or self.response_complete:
            raise RuntimeError(f"unexpected ASGI message {message['type']!r}")
        if self.response_started:
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
            return
        self.response_started, self.waiting_for_100_continue = True, False
        self._head = self._head_of(message)
        if BODY_FOLLOWS not in message:
            self._write(b"")

    def _head_of(self, message: Mapping[str, Any]) -> bytes:
        """Also finds out how the body is framed. Raises `RuntimeError` for a control character in a header."""
        status, headers = message["status"], [*self.default_headers, *message.get("headers", ())]
        framing = {name: value for name, value in headers if name in _FRAMING}
        if framing.get(b"transfer-encoding", b"").lower() == b"chunked":
            self.chunked_encoding = True
        elif b"content-length" in framing:
            self.chunked_encoding, self.expected_content_length = False, int(framing[b"content-length"])
        elif self.scope["method"] != "HEAD" and status not in _BODILESS:
            self.chunked_encoding = True
            headers.append((b"transfer-encoding", b"chunked"))
        options = [each.strip().lower() for each in framing.get(b"connection", b"").split(b",")]
        if b"close" in options:
            self.keep_alive = False
        elif not self.keep_alive:
            headers.append((b"connection", b"close"))
        head = STATUS_LINE[status] + b"\r\n".join([*map(b": ".join, headers), b"", b""])
        if len(head) - len(head.translate(None, _CONTROLS)) != 2 * (len(headers) + 2):
            raise RuntimeError("a control character in a header")
        return head

    def _send_body(self, body: bytes, *, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            body, self.expected_content_length = b"", 0
        elif self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = body if more else body + b"0\r\n\r\n"
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (self.expected_content_length and not more):
                raise RuntimeError("the body does not have the length that its head says")
        self._write(body)
        if not more:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def _write(self, body: bytes) -> None:
        head, self._head = self._head, b""
        if head and body:
            self.transport.writelines((head, body))
        else:
            self.transport.write(head or body)
