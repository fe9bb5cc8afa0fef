"""The translate lane: calls providers with another protocol through litellm and answers in the client's dialect."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING, Any

import orjson
from prometheus_client import Counter

from rememberd.errors import RequestError, UpstreamUnavailable
from rememberd.ports import Reply
from rememberd.types import CHAT, COUNT_TOKENS, Deployment, Headers
from rememberd.upstream.http_proxy import exempt_loopback
from rememberd.upstream.translate.chat_request import HINTS, estimated_tokens, without_hints
from rememberd.upstream.translate.faults import FAILURES, WholeReply, broken, failed
from rememberd.upstream.translate.litellm_dialects import TRANSLATIONS, Translation

if TYPE_CHECKING:
    from rememberd.upstream.translate.litellm_http import Traffic

log = logging.getLogger("rememberd.translate")
UNKNOWN = Counter(
    "rememberd_translate_unknown_providers",
    "Requests to a provider whose parameters litellm does not know: it is sent all hints of the client.",
)

# Loggers whose lines contain requests, answers, or addresses with keys.
_QUOTING_LOGGERS = (
    *("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "litellm"),
    *("openai", "anthropic", "httpx", "httpcore"),
)

PING_S = 1.0  # seconds without an event after which the client gets a ping, if the provider still sends
_PING = b": ping\n\n"  # a comment, which every reader of events skips

_HTTP = "rememberd.upstream.translate.litellm_http"  # imports httpx, so it is imported as late as litellm


class LitellmLane:
    """`Upstream` with litellm, which is imported at the first request (seconds of CPU, about 170 MB)."""

    def __init__(self) -> None:
        self._litellm: Any = None

    async def send(
        self, deployment: Deployment, path: str, body: bytes, headers: Headers, *, method: str = "POST"
    ) -> Reply:
        """The client's headers are not sent. Raises `RequestError` for a request that cannot be translated."""
        asked_path = path.partition("?")[0]
        if asked_path == COUNT_TOKENS:
            return WholeReply(200, [], orjson.dumps({"input_tokens": estimated_tokens(_parsed(body))}))
        translation = TRANSLATIONS.get(asked_path)
        if translation is None:
            message = f"{deployment.provider}, the provider of {deployment.model_name}, does not support {path}"
            raise RequestError(404, "unsupported_endpoint", message, param="model")
        asked = translation.asked(_parsed(body))
        if self._litellm is None:
            self._litellm = await asyncio.to_thread(load_litellm)
        arguments = _arguments(deployment)
        asked, dropped = without_hints(asked, _supported(self._litellm, arguments["model"]))
        ours = [("x-dropped-parameters", ", ".join(dropped))] if dropped else []
        traffic = importlib.import_module(_HTTP).watch()
        try:
            answer = await translation.call(self._litellm, asked, arguments)
            if asked.get("stream"):
                stream = await _begin(answer, translation, deployment, traffic)
                stream.headers += traffic.headers + ours
                return stream
            whole = translation.whole(answer, deployment.model_name)
        # litellm raises its own errors, the providers' SDKs' and, on odd input, any other; `failed` counts and logs.
        except Exception as error:  # noqa: BLE001 - see above
            return failed(error, deployment, translation, traffic)
        return WholeReply(200, traffic.headers + ours, whole)

    async def close(self) -> None:
        """Does nothing: litellm keeps its connections until the process ends."""


def _parsed(body: bytes) -> Any:
    """Replaces lone surrogates (half an emoji) by question marks: the providers' SDKs cannot send them."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return orjson.loads(json.dumps(json.loads(body), ensure_ascii=False).encode(errors="replace"))
    except orjson.JSONDecodeError as error:
        message = "the body has a number that is too large for this model's provider"
        raise RequestError(400, "invalid_number", message) from error


def load_litellm() -> Any:
    """Import litellm. `rememberd/__init__.py` sets environment variables so that the import makes no network
    calls."""
    exempt_loopback(os.environ)
    litellm: Any = importlib.import_module("litellm")
    importlib.import_module(_HTTP).install()
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.suppress_startup_output = True
    for name in _QUOTING_LOGGERS:
        _mute(logging.getLogger(name))
    return litellm


def _mute(logger: logging.Logger) -> None:
    """Silence `logger` and its children, also if levels or handlers are set later."""
    logger.propagate = False
    logger.handlers = []
    logger.addHandler(logging.NullHandler())
    logger.addFilter(lambda record: False)


def _supported(litellm: Any, model: str) -> Collection[str]:
    """The parameters of OpenAI's chat that the provider supports by litellm's table; all hints if it is unknown."""
    provider, _, name = model.partition("/")
    try:
        return litellm.get_supported_openai_params(model=name, custom_llm_provider=provider) or HINTS
    except Exception as error:  # noqa: BLE001 - litellm raises anything for a provider that it does not know
        UNKNOWN.inc()
        log.info("litellm does not know the parameters of %s (%s)", provider, type(error).__name__)
        return HINTS


def _arguments(deployment: Deployment) -> dict[str, Any]:
    base, provider = deployment.api_base, deployment.provider
    if deployment.lane(CHAT) == "bytes":
        provider = "openai"  # whatever its name is, it supports OpenAI's chat at this address
    if provider == "anthropic" and base:
        base = base.removesuffix("/v1")  # litellm adds it
    return {
        **deployment.params,
        "model": f"{provider}/{deployment.upstream_model}",
        "api_base": base,
        "api_key": deployment.api_key or ("none" if provider == "openai" else None),
        "timeout": deployment.timeout,
        "extra_headers": dict(deployment.extra_headers),
        "max_retries": 0,
        # litellm's MCP gateway reads every request with tools: it needs another package, and clients could reach
        # other servers through it. (Seen in 1.106.2; this switch has no public name.)
        "_skip_mcp_handler": True,
    }


async def _begin(answer: Any, translation: Translation, deployment: Deployment, traffic: Traffic) -> _Stream:
    """Read the first chunk: some providers are called only then, and their error must come before our headers. Raises
    `UpstreamUnavailable` if the answer is not a stream."""
    chunks = aiter(answer)
    first = await anext(chunks, None)
    if traffic.is_page or first is None or (_is_empty(first) and traffic.over and not traffic.ended):
        raise UpstreamUnavailable(
            f"{deployment.provider} ({deployment.model_name}) did not answer with a stream of events"
        )
    return _Stream(chunks, first, translation, deployment, traffic)


async def _cancelled(read: asyncio.Future[bytes | None]) -> None:
    if not read.done():
        read.cancel()
        await asyncio.wait({read})


def _is_empty(first: Any) -> bool:
    """True for a chat chunk without content."""
    choices = getattr(first, "choices", None)
    delta = choices[0].delta if choices else None
    return delta is not None and not (delta.content or delta.tool_calls or getattr(delta, "reasoning_content", None))


class _Stream:
    arrived = False

    def __init__(
        self,
        answer: AsyncIterator[Any],
        first: Any,
        translation: Translation,
        deployment: Deployment,
        traffic: Traffic,
    ) -> None:
        self.status = 200
        self.headers = [("content-type", "text/event-stream; charset=utf-8")]
        self._answer, self._first, self._translation, self._deployment = answer, first, translation, deployment
        self._traffic = traffic
        self._read_whole = False
        self._coming: asyncio.Future[bytes | None] | None = None  # the read of the next event

    async def chunks(self) -> AsyncIterator[bytes]:
        events = self._translation.events(self._read(), self._deployment.model_name)
        try:
            async for event in self._with_pings(events):
                yield event
        except UpstreamUnavailable:
            raise
        except Exception as error:  # as in `send`; the relay reports it in the stream
            FAILURES.inc()
            log.warning("a stream broke off (%s)", type(error).__name__)
            raise broken(error, f"{self._deployment.provider} broke off its answer") from error

    async def _with_pings(self, events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """`events`, with comments between them while the provider sends something that makes no event: its own pings,
        hidden thinking. If the provider sends nothing, no comments are sent."""
        reads = self._traffic.reads
        while True:
            coming = self._coming = asyncio.ensure_future(anext(events, None))
            try:
                while not (await asyncio.wait({coming}, timeout=PING_S))[0]:
                    if self._traffic.reads > reads:
                        reads = self._traffic.reads
                        yield _PING
                event = coming.result()
            finally:
                await _cancelled(coming)
            if event is None:
                return
            reads = self._traffic.reads
            yield event

    async def _read(self) -> AsyncIterator[Any]:
        yield self._first
        async for chunk in self._answer:
            yield chunk
        self._read_whole = True
        if not self._traffic.ended:
            raise UpstreamUnavailable(f"{self._deployment.provider} broke off its answer")

    async def close(self) -> None:
        """Cancels reads, because litellm's own `aclose` leaves the connection open."""
        if self._coming is not None:
            await _cancelled(self._coming)
        while not self._read_whole and not isinstance(await self._cancelled_read(), BaseException):
            pass

    async def _cancelled_read(self) -> Any:
        """The result of a cancelled read: a chunk if one had already arrived, else the error."""
        read = asyncio.ensure_future(anext(self._answer))
        await asyncio.sleep(0)  # a task cancelled before it began would not reach the connection
        read.cancel()
        return (await asyncio.gather(read, return_exceptions=True))[0]
