"""A connection to a Qdrant server: bounded in time, its errors ours, and nothing secret in them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
from prometheus_client import Counter
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from rememberd.errors import ConfigError, StoreUnavailable

# Bounds every call, however slowly its answer drips; a recall has a shorter deadline of its own.
CALL_SECONDS = 10
_KEPT_CONNECTIONS = 64

failures = Counter("rememberd_qdrant_errors_total", "Calls that the Qdrant server refused or left unanswered")


class Connection:
    """`where` is the address as it may be shown."""

    def __init__(self, client: AsyncQdrantClient, url: str, call_seconds: float = CALL_SECONDS) -> None:
        self.client, self.where, self._call_seconds = client, where(url), call_seconds

    @asynccontextmanager
    async def answered(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._call_seconds):
                yield
        except (ResponseHandlingException, UnexpectedResponse, ResourceExhaustedResponse, TimeoutError) as error:
            failures.inc()
            raise StoreUnavailable(f"Qdrant at {self.where}: {_reason(error)}") from error


def connect(url: str, api_key: str | None, call_seconds: float = CALL_SECONDS) -> Connection:
    """Nothing is sent before the first call. Raises `ConfigError` for no such URL."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigError(f"memory.store.url must look like http://qdrant:6333, not {where(url)}")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every request
    client = AsyncQdrantClient(
        url,
        timeout=CALL_SECONDS,
        headers={"api-key": api_key} if api_key else None,
        check_compatibility=False,  # it would ask at once, and block
        # To localhost the client keeps no connection by default. No upper limit: httpx loses slots on a cancel.
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=_KEPT_CONNECTIONS),
    )
    return Connection(client, url, call_seconds)


def where(url: str) -> str:
    """`url` as it may be shown: without user, password and query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _reason(error: Exception) -> str:
    match error:
        case UnexpectedResponse(status_code=401 | 403):
            return "it refuses memory.store.api_key"
        case UnexpectedResponse():
            return f"status {error.status_code}, {error.content[:200].decode(errors='replace')}"
        case ResponseHandlingException():
            return f"{type(error.source).__name__}: {error.source}"
        case TimeoutError():
            return "no answer in time"
    return f"busy: {error}"
