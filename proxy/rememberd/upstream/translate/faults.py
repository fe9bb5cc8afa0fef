"""Turns errors of litellm and of providers into error responses that say whose fault it was."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import orjson
from prometheus_client import Counter

from rememberd.errors import RequestError, UpstreamUnavailable
from rememberd.ports import Reply
from rememberd.types import Deployment
from rememberd.upstream.headers import answer_headers
from rememberd.upstream.translate.litellm_dialects import Translation

if TYPE_CHECKING:
    from rememberd.upstream.translate.litellm_http import Traffic

log = logging.getLogger("rememberd.translate")
FAILURES = Counter("rememberd_translate_failures", "Requests or answers that litellm could not translate.")
_CLASS_NAMES = re.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Exception)\b[\s:.-]*)+")
_TRY_AGAIN = (429, 503, 529)


class WholeReply:
    arrived = True

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = [*headers, ("content-type", "application/json"), ("content-length", str(len(body)))]
        self._body = body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def close(self) -> None:
        pass


def failed(error: Exception, deployment: Deployment, translation: Translation, traffic: Traffic) -> Reply:
    """The provider's own error response if there was one; otherwise raises our own error."""
    import httpx  # a dependency of litellm, imported as late as litellm

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, httpx.HTTPStatusError):
            if cause.response.has_redirect_location:
                where = f"{cause.request.url.host} redirects to another address: set api_base to its new address"
                raise UpstreamUnavailable(where) from error
            return _refusal(cause.response, translation)
    if any(type(cause).__name__ == "UnsupportedParamsError" for cause in causes):
        raise RequestError(400, "unsupported_parameter", _message(error).partition(" To drop these")[0]) from error
    if any(isinstance(cause, httpx.TransportError | OSError) for cause in causes):
        where = f"{deployment.provider} ({deployment.model_name})"
        raise broken(error, f"{where} cannot be reached or did not answer in time") from error
    if missing := [str(cause.name or cause) for cause in causes if isinstance(cause, ImportError)]:
        raise UpstreamUnavailable(
            f"{deployment.provider} needs a package that is not installed: {missing[-1]}"
        ) from error
    status = getattr(error, "status_code", 500)
    if traffic.sent and (traffic.status or 0) < 400:  # the provider's answer was invalid, not the client's request
        return _no_answer(error, status, deployment, translation, traffic)
    if 400 <= status < 500:
        return WholeReply(status, [], orjson.dumps(translation.error(status, _message(error))))
    FAILURES.inc()
    names = " < ".join(type(cause).__name__ for cause in causes)  # the texts may quote the conversation
    log.warning("litellm could not handle a request to %s: %s", deployment.provider, names)
    if deployment.api_key is None:
        raise UpstreamUnavailable(f"{deployment.provider} was not asked: its api_key is missing") from error
    message = f"This request cannot be translated for {deployment.provider}: check the format of messages and tools."
    raise RequestError(400, "untranslatable", message) from error


def _no_answer(
    error: Exception, status: int, deployment: Deployment, translation: Translation, traffic: Traffic
) -> Reply:
    """The response for an error at the beginning of a stream, with a status at which clients try again."""
    FAILURES.inc()
    log.warning("%s sent no answer (%s)", deployment.provider, type(error).__name__)
    where = f"{deployment.provider} ({deployment.model_name})"
    if status in _TRY_AGAIN:
        error_body = translation.error(status, f"{where} is overloaded or unavailable")
        return WholeReply(status, traffic.headers, orjson.dumps(error_body))
    raise broken(error, f"{where} sent an invalid answer") from error


def _refusal(response: Any, translation: Translation) -> Reply:
    """The provider's error, unchanged if it already has the format of the client's dialect."""
    status, text = response.status_code, response.text
    error = _object(text)
    wrapped = translation.error(status, _reason(error) or text[:1000])
    body = text.encode() if wrapped.keys() <= error.keys() else orjson.dumps(wrapped)
    return WholeReply(status, answer_headers(response.headers), body)


def _object(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _reason(body: dict[str, Any]) -> str | None:
    error = body.get("error")
    reason = error.get("message") if isinstance(error, dict) else error
    return reason if isinstance(reason, str) else None


def broken(error: Exception, message: str) -> UpstreamUnavailable:
    late = any(isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in _causes(error))
    return UpstreamUnavailable(message, timeout=late)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes. litellm wraps an error three or four times."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _message(error: Exception) -> str:
    """The first line of the error, without the class names of litellm and the SDKs at its beginning."""
    return _CLASS_NAMES.sub("", str(getattr(error, "message", error)).split("\n", 1)[0])[:1000]
