"""The byte lane, for providers that support the client's dialect: the client's JSON is sent unchanged, and the
provider's bytes are returned unchanged."""

import socket
import ssl
from collections.abc import AsyncIterator
from typing import Self

import orjson

from rememberd.errors import UpstreamUnavailable
from rememberd.ports import Reply
from rememberd.types import Deployment, Headers
from rememberd.upstream.connection import BrokenResponse
from rememberd.upstream.headers import request_headers
from rememberd.upstream.http_client import Client, Response, address
from rememberd.upstream.http_proxy import NO_PROXIES, HttpProxies, ProxyError
from rememberd.upstream.litellm_params import checks_certificates, with_defaults

LISTING_TIMEOUT = 3.0  # seconds


class ByteLane:
    """`Upstream` with pools of keep-alive connections. Use it in one event loop only.

    `proxies` are used for every deployment except `local` ones: requests to these must not leave the operator's
    network."""

    def __init__(self, proxies: HttpProxies = NO_PROXIES) -> None:
        self._proxies = proxies
        self._clients: dict[tuple[bool, bool | str], Client] = {}

    def _client(self, deployment: Deployment) -> Client:
        verify = checks_certificates(deployment) if deployment.params else True
        found = self._clients.get((deployment.local, verify))
        if found is None:
            found = Client(NO_PROXIES if deployment.local else self._proxies, verify=verify)
            self._clients[deployment.local, verify] = found
        return found

    async def send(
        self, deployment: Deployment, path: str, body: bytes, headers: Headers, *, method: str = "POST"
    ) -> Reply:
        sent = request_headers(deployment, headers)
        try:
            base = address(deployment.api_base or "")
            if deployment.params and method == "POST":
                body = with_defaults(body, path, deployment.params)
            client = self._client(deployment)
            response = await client.request(method, base, path, sent, body, read_timeout=deployment.timeout)
        except (OSError, ValueError) as error:
            raise _unavailable(deployment, error) from error
        if response.status == 407:
            response.close()
            raise UpstreamUnavailable(
                "the HTTP proxy requires a login: set HTTP_PROXY=http://USER:PASSWORD@HOST:PORT"
            )
        if response.status in (301, 302, 303, 307, 308):
            response.close()
            host = _host(deployment)
            raise UpstreamUnavailable(f"{host} redirects to another address: set api_base to its new address")
        return _Reply(response, deployment)

    async def models(self, deployment: Deployment) -> list[str]:
        """The models that the provider lists; empty for a provider with its own protocol. Raises
        `UpstreamUnavailable`."""
        if not deployment.speaks:
            return []
        listing = "/models?limit=1000" if deployment.provider == "anthropic" else "/models"  # default: 20
        headers = request_headers(deployment, ())
        try:
            base = address(deployment.api_base or "")
            listed = await self._client(deployment).get(base, listing, headers, within=LISTING_TIMEOUT)
            return [str(model["id"]) for model in orjson.loads(listed)["data"]]
        except OSError as error:
            raise _unavailable(deployment, error) from error
        except (ValueError, LookupError, TypeError) as error:
            raise UpstreamUnavailable(f"{_host(deployment)} does not list its models") from error

    async def close(self) -> None:
        for client in self._clients.values():
            client.close()


class _Reply:
    def __init__(self, response: Response, deployment: Deployment) -> None:
        self._response, self._deployment = response, deployment
        self.status, self.headers = response.status, response.headers

    @property
    def arrived(self) -> bool:
        return self._response.arrived

    def chunks(self) -> AsyncIterator[bytes]:
        return self  # an asynchronous generator would need two more calls of the event loop

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._response.read()
        except OSError as error:
            raise _unavailable(self._deployment, error) from error
        if not chunk:
            self._response.close()  # so that the connection can be used again at once
            raise StopAsyncIteration
        return chunk

    async def close(self) -> None:
        self._response.close()


def _host(deployment: Deployment) -> str:
    try:
        return address(deployment.api_base or "").origin.host
    except ValueError:
        return f"the api_base of {deployment.model_name}"


def _unavailable(deployment: Deployment, error: Exception) -> UpstreamUnavailable:
    """The message names only the host, because the address may contain a password and the text of `error` may contain
    the address."""
    host = _host(deployment)
    match error:
        case TimeoutError():
            return UpstreamUnavailable(f"{host} did not answer in time", timeout=True)
        case ssl.SSLCertVerificationError():
            return UpstreamUnavailable(f"{host} has a certificate that cannot be trusted: {error.verify_message}")
        case socket.gaierror():
            return UpstreamUnavailable(f"the name {host} cannot be looked up: check api_base and the DNS")
        case BrokenResponse() | ValueError():
            return UpstreamUnavailable(f"{host} {error}")
        case ProxyError():
            return UpstreamUnavailable(str(error))
        case _:
            return UpstreamUnavailable(f"{host} cannot be reached or closed the connection ({type(error).__name__})")
