"""Ollama's paths except its chats: models, embeddings, and all other paths of an Ollama server."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rememberd.access.auth import Auth
from rememberd.api.forwarded_paths import refuse_dot_segments
from rememberd.api.models import Models
from rememberd.dialects import body as json_body
from rememberd.dialects import ollama as dialect
from rememberd.errors import RequestError
from rememberd.http.disconnect import cancel_on_disconnect
from rememberd.http.relay import Relay
from rememberd.http.request import ClientGone, read_body, request_id, with_query
from rememberd.http.responses import json_response
from rememberd.types import Deployment
from rememberd.upstream.catalog import Catalog
from rememberd.upstream.failover import Failover
from rememberd.upstream.translate.ollama_lane import is_ollama

_VERSION = "0.13.0"  # the supported version of the protocol; clients refuse much older ones
_EMBEDDINGS = ("/api/embed", "/api/embeddings")
_UNDATED = "1970-01-01T00:00:00Z"
_DETAILS = {
    "parent_model": "",
    "format": "",
    "family": "",
    "families": [],
    "parameter_size": "",
    "quantization_level": "",
}


class OllamaApi:
    """Serves models of any provider under Ollama's paths. Other requests (pull, delete, create …) are sent to the
    only Ollama server, and only if the proxy has a single user. Raises `RequestError`, `UpstreamUnavailable`,
    `ClientGone`."""

    def __init__(self, *, auth: Auth, catalog: Catalog, upstream: Failover, models: Models, limit: int) -> None:
        self.auth, self.catalog, self.upstream, self.models, self.limit = auth, catalog, upstream, models, limit

    async def tags(self, request: Request) -> Response:
        names = await self.models.names(self.auth.principal(request.headers, request.scope))
        return json_response({"models": [_listed(name) for name in names]})

    async def running(self, request: Request) -> Response:
        self.auth.principal(request.headers, request.scope)
        return json_response({"models": []})

    async def version(self, request: Request) -> Response:
        return json_response({"version": _VERSION})

    async def show(self, request: Request) -> Response:
        """An Ollama server's description of its model; for other models, the fields that clients read before they
        offer tools."""
        principal = self.auth.principal(request.headers, request.scope)
        raw = await read_body(request.receive, request.headers, self.limit)
        body = json_body.parse(raw)
        name = json_body.model({"model": body.get("model") or body.get("name")})
        deployments = self.catalog.targets(name, principal)
        if is_ollama(deployments[0]):
            return await self._answer(request, deployments[:1], lambda to: _renamed(raw, body, to))
        capabilities = ["completion", "tools", "vision"]
        return json_response(
            {
                "modelfile": "",
                "parameters": "",
                "template": "",
                "details": _DETAILS,
                "model_info": {"general.architecture": "unknown"},
                "capabilities": capabilities,
                "modified_at": _UNDATED,
            }
        )

    async def forward(self, request: Request) -> Response:
        principal = self.auth.principal(request.headers, request.scope)
        path = request.url.path
        refuse_dot_segments(request.scope["raw_path"].decode("latin-1"))
        raw = await read_body(request.receive, request.headers, self.limit)
        if request.method == "POST" and path in _EMBEDDINGS:
            body = json_body.parse(raw)
            targets = self.catalog.targets(json_body.model(body), principal)
            return await self._answer(request, targets, lambda to: _renamed(raw, body, to))
        only = self.catalog.sole_deployment(principal, is_ollama)
        if only is None or not self.auth.one_user:
            message = f"There is no {request.method} {path} here for this key: it needs one Ollama and one user."
            raise RequestError(404, "not_found", message)
        return await self._answer(request, [only], lambda to: raw)

    async def _answer(
        self, request: Request, deployments: list[Deployment], body: Callable[[Deployment], bytes]
    ) -> Response:
        id = request_id(request.headers)
        path = with_query(request.scope["raw_path"].decode("latin-1"), request.scope)
        headers = [*request.headers.items(), ("x-request-id", id)]
        sent = self.upstream.send(deployments, path, body, headers, method=request.method)
        answered = await cancel_on_disconnect(request.scope, sent)
        if answered is None:
            raise ClientGone
        return _Relayed(Relay(answered.reply, [(b"x-request-id", id.encode())], dialect=dialect.CHAT))


class _Relayed(Response):
    """Makes a response of a relay, because a handler must return one."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._relay(scope, receive, send)


def _renamed(raw: bytes, body: dict[str, object], to: Deployment) -> bytes:
    """Older clients call the model `name`."""
    if "model" in body:
        return json_body.outgoing(raw, body, to.upstream_model)
    return json_body.dump({**body, "name": to.upstream_model})


def _listed(name: str) -> dict[str, object]:
    return {"name": name, "model": name, "modified_at": _UNDATED, "size": 0, "digest": "", "details": _DETAILS}
