"""The translate lane: providers with another protocol than the client's, through litellm, in the client's dialect."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from prometheus_client import Counter

from rememberd.errors import RequestError, UpstreamUnavailable
from rememberd.ports import Reply
from rememberd.types import CHAT, Deployment
from rememberd.upstream.translate.litellm_dialects import TRANSLATIONS, Translation

if TYPE_CHECKING:
    from rememberd.upstream.translate.litellm_http import Traffic

log = logging.getLogger("rememberd.translate")
_failures = Counter("rememberd_translate_failures", "Requests or answers that litellm could not translate.")

# Loggers whose lines show requests, answers, and addresses with keys in them.
_QUOTING_LOGGERS = (
    *("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "litellm"),
    *("openai", "anthropic", "httpx", "httpcore"),
)

_CLASS_NAMES = re.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Exception)\b[\s:.-]*)+")
_HTTP = "rememberd.upstream.translate.litellm_http"  # imports httpx, and comes as late as litellm
_TRY_AGAIN = (429, 503, 529)
_KEPT_HEADERS = ("retry-after", "request-id", "x-request-id")


class LitellmLane:
    """`Upstream` over litellm, which is imported at the first request (seconds of CPU, some 170 MB)."""

    def __init__(self) -> None:
        self._litellm: Any = None

    async def send(
        self,
        deployment: Deployment,
        path: str,
        body: bytes,
        headers: Sequence[tuple[str, str]],
        *,
        method: str = "POST",
    ) -> Reply:
        """The client's headers stay here. Raises `RequestError` for what cannot be translated."""
        translation = TRANSLATIONS.get(path.partition("?")[0])
        if translation is None:
            message = f"{deployment.provider}, which answers for {deployment.model_name}, has nothing like {path}"
            raise RequestError(404, "unsupported_endpoint", message, param="model")
        asked = translation.asked(_parsed(body))
        if self._litellm is None:
            self._litellm = await asyncio.to_thread(load_litellm)
        traffic = importlib.import_module(
            "rememberd.upstream.translate.litellm_http"
        ).watch()  # httpx comes as late as litellm
        try:
            answer = await translation.call(self._litellm, asked, _arguments(deployment))
            if asked.get("stream"):
                return await _begin(answer, translation, deployment, traffic)
            whole = translation.whole(answer, deployment.model_name)
        # litellm raises its own errors, the providers' SDKs' and, on odd input, any other; _failed counts and logs.
        except Exception as error:  # noqa: BLE001
            return _failed(error, deployment, translation, traffic)
        return _Whole(200, [], whole)

    async def close(self) -> None:
        """Nothing: litellm keeps its connections for the life of the process."""


def _parsed(body: bytes) -> Any:
    """With a question mark for the half of an emoji that some clients leave: the providers' SDKs cannot send it."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return orjson.loads(json.dumps(json.loads(body), ensure_ascii=False).encode(errors="replace"))


def load_litellm() -> Any:
    """litellm, which calls nobody at its import: `rememberd/__init__.py` sets the environment that it reads then."""
    litellm: Any = importlib.import_module("litellm")
    importlib.import_module(_HTTP).install()
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.suppress_startup_output = True
    for name in _QUOTING_LOGGERS:
        _mute(logging.getLogger(name))
    return litellm


def _mute(logger: logging.Logger) -> None:
    """Nothing of `logger` and its children is written, whatever level they set later and whoever adds handlers."""
    logger.propagate = False
    logger.handlers = []
    logger.addHandler(logging.NullHandler())
    logger.addFilter(lambda record: False)


def _arguments(deployment: Deployment) -> dict[str, Any]:
    base, provider = deployment.api_base, deployment.provider
    if deployment.lane(CHAT) == "bytes":
        provider = "openai"  # whatever it is called: it speaks OpenAI's chat at this address
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
        # litellm's MCP gateway looks at every request with tools: it needs a package of its own, and clients could
        # reach servers with it. (Seen in 1.106.2; there is no public name for this switch.)
        "_skip_mcp_handler": True,
    }


class _Whole:
    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = [*headers, ("content-type", "application/json"), ("content-length", str(len(body)))]
        self._body = body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def close(self) -> None:
        pass


async def _begin(answer: Any, translation: Translation, deployment: Deployment, traffic: Traffic) -> _Stream:
    """Some providers are called at the first read only; an error of theirs must come before our headers. A stream
    that is over with its first chunk and did not say so was none."""
    chunks = aiter(answer)
    first = await anext(chunks, None)
    if traffic.is_page or first is None or (_is_empty(first) and traffic.over and not traffic.ended):
        raise UpstreamUnavailable(
            f"{deployment.provider} ({deployment.model_name}) answered with no stream of events"
        )
    return _Stream(chunks, first, translation, deployment, traffic)


def _is_empty(first: Any) -> bool:
    """Is it a chat's chunk without anything in it?"""
    choices = getattr(first, "choices", None)
    delta = choices[0].delta if choices else None
    return delta is not None and not (delta.content or delta.tool_calls or getattr(delta, "reasoning_content", None))


class _Stream:
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

    async def chunks(self) -> AsyncIterator[bytes]:
        events = self._translation.events(self._read(), self._deployment.model_name)
        try:
            async for event in events:
                yield event
        except UpstreamUnavailable:
            raise
        except Exception as error:  # as in send; here the relay says it in the stream
            _failures.inc()
            log.warning("a stream broke off in mid-answer (%s)", type(error).__name__)
            raise _broken(error, f"{self._deployment.provider} broke off in mid-answer") from error

    async def _read(self) -> AsyncIterator[Any]:
        yield self._first
        async for chunk in self._answer:
            yield chunk
        self._read_whole = True
        if not self._traffic.ended:
            raise UpstreamUnavailable(f"{self._deployment.provider} broke off in mid-answer")

    async def close(self) -> None:
        """litellm's own `aclose` leaves the connection open; only a read that is cancelled lets go of it."""
        while not self._read_whole and not isinstance(await self._cancelled_read(), BaseException):
            pass

    async def _cancelled_read(self) -> Any:
        """What the read came to: a chunk if one had arrived already, else the error it ended with."""
        read = asyncio.ensure_future(anext(self._answer))
        await asyncio.sleep(0)  # a task cancelled before it began would not reach the connection
        read.cancel()
        return (await asyncio.gather(read, return_exceptions=True))[0]


def _failed(error: Exception, deployment: Deployment, translation: Translation, traffic: Traffic) -> Reply:
    """The provider's own answer, if there was one. Raises what our side has to say otherwise."""
    import httpx  # comes with litellm, and as late

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, httpx.HTTPStatusError):
            if cause.response.has_redirect_location:
                where = f"{cause.request.url.host} redirects elsewhere: set api_base to the address it moved to"
                raise UpstreamUnavailable(where) from error
            return _refusal(cause.response, translation)
    if any(type(cause).__name__ == "UnsupportedParamsError" for cause in causes):
        raise RequestError(400, "unsupported_parameter", _message(error).partition(" To drop these")[0]) from error
    if any(isinstance(cause, httpx.TransportError | OSError) for cause in causes):
        where = f"{deployment.provider} ({deployment.model_name})"
        raise _broken(error, f"{where} is out of reach or did not answer in time") from error
    if missing := [str(cause.name or cause) for cause in causes if isinstance(cause, ImportError)]:
        raise UpstreamUnavailable(
            f"{deployment.provider} needs a package that is not installed: {missing[-1]}"
        ) from error
    status = getattr(error, "status_code", 500)
    if (
        traffic.sent and (traffic.status or 0) < 400
    ):  # so what came back is no answer: nothing that the client can mend
        return _no_answer(error, status, deployment, translation)
    if 400 <= status < 500:
        return _Whole(status, [], orjson.dumps(translation.error(status, _message(error))))
    _failures.inc()
    names = " < ".join(type(cause).__name__ for cause in causes)  # the texts may quote the conversation
    log.warning("litellm could not handle a request to %s: %s", deployment.provider, names)
    if deployment.api_key is None:
        raise UpstreamUnavailable(f"{deployment.provider} could not be asked; its api_key is missing") from error
    message = f"This cannot be translated for {deployment.provider}: check the shape of messages and tools."
    raise RequestError(400, "untranslatable", message) from error


def _no_answer(error: Exception, status: int, deployment: Deployment, translation: Translation) -> Reply:
    """The provider's own error where a stream began with one, with the status that lets clients try again."""
    _failures.inc()
    log.warning("%s sent no answer (%s)", deployment.provider, type(error).__name__)
    where = f"{deployment.provider} ({deployment.model_name})"
    if status in _TRY_AGAIN:
        return _Whole(status, [], orjson.dumps(translation.error(status, f"{where} is overloaded or unavailable")))
    raise _broken(error, f"{where} sent something that is no answer") from error


def _refusal(response: Any, translation: Translation) -> Reply:
    """What the provider said, word for word where it has the shape that clients of the dialect read."""
    status, text = response.status_code, response.text
    said = _object(text)
    wrapped = translation.error(status, _reason(said) or text[:1000])
    body = text.encode() if wrapped.keys() <= said.keys() else orjson.dumps(wrapped)
    return _Whole(status, [(n, v) for n, v in response.headers.items() if n in _KEPT_HEADERS], body)


def _object(text: str) -> dict[str, Any]:
    try:
        said = orjson.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _reason(said: dict[str, Any]) -> str | None:
    error = said.get("error")
    reason = error.get("message") if isinstance(error, dict) else error
    return reason if isinstance(reason, str) else None


def _broken(error: Exception, message: str) -> UpstreamUnavailable:
    late = any(isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in _causes(error))
    return UpstreamUnavailable(message, timeout=late)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """litellm wraps what happened three or four deep."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _message(error: Exception) -> str:
    """Its first line, without the names of litellm's and the SDKs' classes in front."""
    return _CLASS_NAMES.sub("", str(getattr(error, "message", error)).split("\n", 1)[0])[:1000]
