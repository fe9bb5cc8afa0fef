"""Watches litellm's HTTP clients: records requests and answers, and forbids redirects."""

import re
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import httpx

from rememberd.upstream.headers import answer_headers

# Texts in the last events of a complete stream of Anthropic, OpenAI and compatible servers, Gemini, Cohere, Ollama.
# litellm stops reading at the stop reason, so Anthropic's message_stop may arrive too late.
_END = re.compile(
    rb'message_stop|"stop_reason": ?"|\[DONE\]|finishReason|"finish_reason": ?"|"message-end"|'
    rb'"is_finished": ?true|"done": ?true'
)
_REACH = 64  # bytes that are searched again, for texts that are split over two reads


@dataclass
class Traffic:
    """The HTTP traffic of one request. `sent`: a request was sent. `status`, `content_type` and `headers` (only those
    valid for a translated answer) are of the last answer. `reads` counts the pieces of its body. `over`: the stream
    was read to its end. `ended`: the stream contained its end mark (also True if this is unknown)."""

    sent: bool = False
    status: int | None = None
    content_type: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    reads: int = 0
    over: bool = False
    ended: bool = False

    @property
    def is_page(self) -> bool:
        """True if the answer is a web page, as some gateways send for a wrong path."""
        return self.content_type.startswith("text/html")

    def answered(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = answer_headers(response.headers)
        self.content_type = response.headers.get("content-type", "").lower()
        encoded = response.headers.get("content-encoding", "identity") != "identity"
        self.ended = encoded or "event-stream" not in self.content_type
        if not encoded and isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Watched(response.stream, self)


class _Watched(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, traffic: Traffic) -> None:
        self._stream, self._traffic = stream, traffic

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = b""
        async for chunk in self._stream:
            self._traffic.reads += 1
            window = seen + chunk
            self._traffic.ended = self._traffic.ended or _END.search(window) is not None
            seen = window[-_REACH:]
            yield chunk
        self._traffic.over = True

    async def aclose(self) -> None:
        await self._stream.aclose()


_current: ContextVar[Traffic | None] = ContextVar("traffic", default=None)
_send = httpx.AsyncClient.send


def watch() -> Traffic:
    """Start to record the traffic of this task and of the tasks that it starts."""
    traffic = Traffic()
    _current.set(traffic)
    return traffic


async def _watched_send(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
    traffic = _current.get()
    if traffic is None:
        return await _send(client, request, **options)
    traffic.sent = True
    response = await _send(client, request, **options)
    traffic.answered(response)
    return response


def install() -> None:
    """Patch httpx for all clients of litellm and its SDKs, because no setting reaches them all. They would follow
    redirects and send the conversation and the operator's key (in a header such as x-api-key) to the new address."""
    httpx.AsyncClient.send = _watched_send  # type: ignore[method-assign, assignment]
    httpx.AsyncClient.follow_redirects = property(lambda client: False, lambda client, value: None)  # type: ignore[assignment]
