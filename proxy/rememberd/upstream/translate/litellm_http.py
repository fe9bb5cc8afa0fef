"""The HTTP clients below litellm: what they sent and what came back, and where they must not go."""

import re
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import httpx

from rememberd.upstream.headers import answer_headers

# What the last events of a whole stream hold: Anthropic's, OpenAI's and its like, Gemini's, Cohere's, Ollama's.
# litellm stops reading at the reason of the end, so Anthropic's message_stop may come too late to be seen.
_END = re.compile(
    rb'message_stop|"stop_reason": ?"|\[DONE\]|finishReason|"finish_reason": ?"|"message-end"|'
    rb'"is_finished": ?true|"done": ?true'
)
_REACH = 64  # bytes of the stream that are looked at again, for what two reads share


@dataclass
class Traffic:
    """What one request of ours caused. `sent`: a request has left. `status`, `content_type` and `headers` (those that
    hold for a translated answer) are of the last answer; `reads` is how many pieces of its body have come; `over`: a
    stream was read to its end; `ended`: it has said that it is whole (True as well where nobody can tell)."""

    sent: bool = False
    status: int | None = None
    content_type: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    reads: int = 0
    over: bool = False
    ended: bool = False

    @property
    def is_page(self) -> bool:
        """True if the answer is a web page, as gateways send where there is no API."""
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
    """What this task and those that it starts send from now on."""
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
    """For all of litellm's clients and those of the SDKs in it, for which there is no setting that reaches them all.
    They follow redirects, and send along the conversation and, in a header such as x-api-key, the operator's key."""
    httpx.AsyncClient.send = _watched_send  # type: ignore[method-assign, assignment]
    httpx.AsyncClient.follow_redirects = property(lambda client: False, lambda client, value: None)  # type: ignore[assignment]
