"""The byte lane: providers that speak the client's own dialect get its JSON and give their bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import aiohttp
import orjson
from yarl import URL

from proxy.errors import UpstreamUnavailable
from proxy.ports import Reply
from proxy.types import Deployment

CONNECT_TIMEOUT = 10.0  # seconds, name lookup included
LISTING_TIMEOUT = 3.0
_ANTHROPIC_VERSION = "2023-06-01"  # the first and, in 2026, still the usual one; a client's own wins

# Everything else stays here: keys, cookies, and who the user is.
_FORWARDED = frozenset(
    (
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "content-type",
        "http-referer",
        "idempotency-key",
        "openai-beta",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-request-id",
        "x-title",
    )
)


class Passthrough:
    """`Upstream` over one pool of kept-alive connections. Belongs to the event loop that first sends."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        deployment: Deployment,
        path: str,
        body: bytes,
        headers: Sequence[tuple[str, str]],
        *,
        method: str = "POST",
    ) -> Reply:
        url = URL(f"{deployment.api_base}{path}", encoded=True)
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT, sock_read=deployment.timeout)
        try:
            response = await self._open().request(
                method,
                url,
                data=body or None,
                headers=request_headers(deployment, headers),
                timeout=timeout,
                allow_redirects=False,
            )
        # ValueError: an address and a key clash
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _unavailable(url, error) from error
        if response.status in (301, 302, 303, 307, 308):
            response.close()
            raise UpstreamUnavailable(f"{url.host} redirects elsewhere: set api_base to the address it moved to")
        return _Reply(response)

    async def models(self, deployment: Deployment) -> list[str]:
        """What the provider lists; nothing for one of a protocol of its own. Raises `UpstreamUnavailable`."""
        if not deployment.speaks:
            return []
        listing = "/models?limit=1000" if deployment.provider == "anthropic" else "/models"  # 20 without being asked
        url = URL(f"{deployment.api_base}{listing}", encoded=True)
        timeout = aiohttp.ClientTimeout(total=LISTING_TIMEOUT)
        headers = request_headers(deployment, ())
        try:
            async with self._open().get(url, headers=headers, timeout=timeout, allow_redirects=False) as response:
                return [str(model["id"]) for model in orjson.loads(await response.read())["data"]]
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unavailable(url, error) from error
        except (ValueError, LookupError, TypeError) as error:
            raise UpstreamUnavailable(f"{url.host} does not list its models") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("User-Agent",),
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def request_headers(deployment: Deployment, client: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What goes to the provider: the harmless part of the client's headers, then the operator's own."""
    headers = {name: value for name, value in ((n.lower(), v) for n, v in client) if _forwarded(name)}
    # Compressed, the copy of the answer could not be read; and what is no form is JSON whatever the client called it.
    headers["accept-encoding"] = "identity"
    if not headers.get("content-type", "").startswith("multipart/"):
        headers["content-type"] = "application/json"
    if deployment.provider == "anthropic":
        headers.setdefault("anthropic-version", _ANTHROPIC_VERSION)
    if deployment.api_key and deployment.provider == "anthropic":
        headers["x-api-key"] = deployment.api_key
    elif deployment.api_key:
        headers["authorization"] = f"Bearer {deployment.api_key}"
    return headers | {name.lower(): value for name, value in deployment.extra_headers.items()}


def _forwarded(name: str) -> bool:
    return name in _FORWARDED or name.startswith("x-stainless-")


class _Reply:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = list(response.headers.items())

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unavailable(self._response.url, error) from error

    async def close(self) -> None:
        self._response.close()


def _unavailable(url: URL, error: Exception) -> UpstreamUnavailable:
    """Names the host only: an address may hold a password, and an error text the address."""
    if isinstance(error, TimeoutError):
        return UpstreamUnavailable(f"{url.host} did not answer in time", timeout=True)
    return UpstreamUnavailable(f"{url.host} is out of reach or broke off ({type(error).__name__})")
