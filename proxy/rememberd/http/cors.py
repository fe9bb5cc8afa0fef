"""CORS: which other web sites may call the proxy from a browser. None by default; the operator can list some."""

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

_SHOWN = (
    "Retry-After",
    "X-Dropped-Parameters",
    "X-History-Left-Out",
    "X-Memory-Count",
    "X-Memory-Receipt",
    "X-Memory-Recall",
    "X-Memory-Recall-Ms",
    "X-Memory-Room",
    "X-Memory-Status",
    "X-Memory-Tokens",
    "X-Memory-Write",
    "X-Proxy-Overhead-Ms",
    "X-Request-Id",
    "X-Upstream-Request-Id",
)


def cross_origin(origins: Sequence[str]) -> list[Middleware]:
    """Credentials are not allowed: such a page sends its key in a header and cannot use a session's cookie."""
    if not origins:
        return []
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE")
    return [
        Middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=methods, allow_headers=["*"], expose_headers=_SHOWN
        )
    ]
