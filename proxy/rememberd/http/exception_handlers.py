"""Turns exceptions into error responses, in the dialect of the requested path."""

import logging
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from rememberd.dialects.registry import dialect_for
from rememberd.errors import InputRejected, MemoryUnavailable, RequestError, UpstreamUnavailable
from rememberd.http.request import ClientGone, header_values, request_id
from rememberd.http.responses import json_response
from rememberd.telemetry.logs import REQUEST

log = logging.getLogger("rememberd.refusals")

_SHOWN = ("/signin", "/signin/callback")

STATUS_OF_REJECTION = {
    "invalid_cursor": 400,
    "key_exists": 409,
    "key_not_found": 404,
    "group_exists": 409,
    "group_is_configured": 409,
    "group_not_found": 404,
    "place_taken": 409,
}


async def _request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    response = _error(request, error.status, error.code, error.message, error.param)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.status == 405:
        response.headers["Allow"] = _allowed(request)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


async def _input_rejected(request: Request, error: Exception) -> Response:
    assert isinstance(error, InputRejected)
    return _error(request, STATUS_OF_REJECTION[error.code], error.code, error.message, error.param)


async def _upstream_unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, UpstreamUnavailable)
    log.warning("no answer: %s", error)
    return _error(request, error.status, "upstream_unavailable", str(error))


async def _memory_unavailable(request: Request, error: Exception) -> Response:
    """Only for the memory API, which fails closed; a chat never raises this. The reason contains addresses of the
    operator's network, so only the log gets it."""
    log.warning("memory is unavailable: %s", error)
    message = "memory does not answer, and nothing may have been changed; try again in a moment"
    response = _error(request, 503, "memory_unavailable", message)
    response.headers["Retry-After"] = "1"
    return response


async def _client_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


async def wrong_method(request: Request) -> Response:
    """Answer 405: this path is the proxy's own, so other methods are not forwarded to a provider."""
    raise HTTPException(405, "Method Not Allowed")


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    response = _error(request, error.status_code, code, f"{error.detail}: {request.method} {request.url.path}")
    response.headers.update(error.headers or {})
    if error.status_code == 405:
        response.headers["Allow"] = _allowed(request)  # starlette names the methods of the first route only
    return response


def _allowed(request: Request) -> str:
    """The methods of all routes with this path. A route that forwards any path counts only if no other has it."""
    path, own, any_path = request.scope["path"], set[str](), set[str]()
    for route in request.app.routes:
        if route.endpoint is not wrong_method and route.path_regex.match(path):
            (any_path if route.path.endswith("{path:path}") else own).update(route.methods)
    return ", ".join(sorted(own or any_path))


async def _unexpected(request: Request, error: Exception) -> Response:
    """The server logs the traceback, with the request's id."""
    return _error(request, 500, "internal_error", "an internal error of the proxy; its log has the details")


def _error(request: Request, status: int, code: str, message: str, param: str | None = None) -> Response:
    """The error in the shape that clients of this path expect; text where a browser shows it to a person."""
    headers = {"X-Request-Id": REQUEST.get() or request_id(header_values(request.scope))}
    if request.url.path in _SHOWN:
        return PlainTextResponse(f"{message}\n", status, headers=headers | {"Cache-Control": "no-store"})
    response = json_response(dialect_for(request.url.path).error_body(status, code, message, param), status)
    response.headers.update(headers)
    return response


EXCEPTION_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    RequestError: _request_error,
    InputRejected: _input_rejected,
    UpstreamUnavailable: _upstream_unavailable,
    MemoryUnavailable: _memory_unavailable,
    ClientGone: _client_gone,
    HTTPException: _http_exception,
    Exception: _unexpected,
}
