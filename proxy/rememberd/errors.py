"""The exceptions of rememberd.

RememberdError
├── ConfigError             a setting is wrong; stops the start
├── RequestError            the client's request is wrong; answered with its status and the dialect's error body
├── InputRejected           storage cannot accept an input; the HTTP layer chooses the status
├── UpstreamUnavailable     the model provider did not answer; 502 or 504
└── MemoryUnavailable       a part of memory is unavailable; chats continue without it
    ├── StoreUnavailable
    ├── QueueUnavailable
    └── EmbedderUnavailable
"""

from typing import Any


class RememberdError(Exception):
    pass


class ConfigError(RememberdError):
    pass


class RequestError(RememberdError):
    """A refused request. `code` is the machine-readable reason, `message` says what to do, and `retry_after` is the
    number of seconds after which the same request may succeed."""

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.retry_after = retry_after


class InputRejected(RememberdError):
    """An input that a store refuses. `code` is the machine-readable reason (`http.exception_handlers` has its
    status); the message says what to do."""

    def __init__(self, code: str, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


class UpstreamUnavailable(RememberdError):
    """The provider could not be reached (502) or did not answer in time (504). `code` is the reason in an event."""

    def __init__(self, message: str, *, timeout: bool = False) -> None:
        super().__init__(message)
        self.status = 504 if timeout else 502
        self.code = "upstream_timeout" if timeout else "upstream_disconnected"


class MemoryUnavailable(RememberdError):
    pass


class StoreUnavailable(MemoryUnavailable):
    pass


class QueueUnavailable(MemoryUnavailable):
    pass


class EmbedderUnavailable(MemoryUnavailable):
    pass


_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}


def openai_body(status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """The error object of OpenAI's API."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def anthropic_body(status: int, message: str) -> dict[str, Any]:
    """The error object of Anthropic's API."""
    return {"type": "error", "error": {"type": _TYPES.get(status, "api_error"), "message": message}}
