"""The byte lane: providers that speak the client's own dialect get its JSON and give their bytes."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Sequence

import orjson

from rememberd.errors import UpstreamUnavailable
from rememberd.ports import Reply
from rememberd.types import Deployment
from rememberd.upstream.connection import BrokenAnswer
from rememberd.upstream.http_client import Answer, Client, address

LISTING_TIMEOUT = 3.0  # seconds
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


class ByteLane:
    """`Upstream` over one pool of kept-alive connections. Belongs to the event loop that first sends."""

    def __init__(self) -> None:
        self._client = Client()

    async def send(
        self,
        deployment: Deployment,
        path: str,
        body: bytes,
        headers: Sequence[tuple[str, str]],
        *,
        method: str = "POST",
    ) -> Reply:
        sent = request_headers(deployment, headers)
        try:
            base = address(deployment.api_base or "")
            answer = await self._client.request(method, base, path, sent, body, silence=deployment.timeout)
        except (OSError, ValueError) as error:
            raise _unavailable(deployment, error) from error
        if answer.status in (301, 302, 303, 307, 308):
            answer.close()
            host = _host(deployment)
            raise UpstreamUnavailable(f"{host} redirects elsewhere: set api_base to the address it moved to")
        return _Reply(answer, deployment)

    async def models(self, deployment: Deployment) -> list[str]:
        """What the provider lists; nothing for one of a protocol of its own. Raises `UpstreamUnavailable`."""
        if not deployment.speaks:
            return []
        listing = "/models?limit=1000" if deployment.provider == "anthropic" else "/models"  # 20 without being asked
        headers = request_headers(deployment, ())
        try:
            base = address(deployment.api_base or "")
            listed = await self._client.get(base, listing, headers, within=LISTING_TIMEOUT)
            return [str(model["id"]) for model in orjson.loads(listed)["data"]]
        except OSError as error:
            raise _unavailable(deployment, error) from error
        except (ValueError, LookupError, TypeError) as error:
            raise UpstreamUnavailable(f"{_host(deployment)} does not list its models") from error

    async def close(self) -> None:
        self._client.close()


def request_headers(deployment: Deployment, client: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What goes to the provider: the harmless part of the client's headers, then the operator's own."""
    headers = {
        name: value
        for given, value in client
        if (name := given.lower()) in _FORWARDED or name.startswith("x-stainless-")
    }
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


class _Reply:
    def __init__(self, answer: Answer, deployment: Deployment) -> None:
        self._answer, self._deployment = answer, deployment
        self.status, self.headers = answer.status, answer.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while chunk := await self._answer.read():
                yield chunk
            self._answer.close()  # so that the connection serves again at once
        except OSError as error:
            raise _unavailable(self._deployment, error) from error

    async def close(self) -> None:
        self._answer.close()


def _host(deployment: Deployment) -> str:
    try:
        return address(deployment.api_base or "").origin.host
    except ValueError:
        return f"the api_base of {deployment.model_name}"


def _unavailable(deployment: Deployment, error: Exception) -> UpstreamUnavailable:
    """Names the host only: an address may hold a password, and an error text the address."""
    host = _host(deployment)
    match error:
        case TimeoutError():
            return UpstreamUnavailable(f"{host} did not answer in time", timeout=True)
        case ssl.SSLCertVerificationError():
            return UpstreamUnavailable(f"{host} has a certificate that cannot be trusted: {error.verify_message}")
        case socket.gaierror():
            return UpstreamUnavailable(f"{host} is a name that cannot be looked up: check api_base and the DNS")
        case BrokenAnswer() | ValueError():
            return UpstreamUnavailable(f"{host} {error}")
        case _:
            return UpstreamUnavailable(f"{host} is out of reach or broke off ({type(error).__name__})")
