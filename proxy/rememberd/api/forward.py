"""Every other path of a provider: there and back as bytes, without memory."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from rememberd.access.auth import Auth
from rememberd.dialects import body as json_body
from rememberd.dialects.registry import dialect_for
from rememberd.errors import RequestError
from rememberd.http.relay import Relay, cancel_on_disconnect
from rememberd.http.request import ClientGone, read_body, request_id, with_query
from rememberd.types import Deployment, Principal
from rememberd.upstream.catalog import Catalog
from rememberd.upstream.failover import Failover


class Forward:
    """`/v1/*`: an ASGI app. The body's model picks the upstream. Without one (lists, stored objects, uploads) it is
    the only upstream there is, and only if one user alone can come in: what a provider stores under the operator's
    key has no owner it could tell apart. Raises `RequestError`, `UpstreamUnavailable`, `ClientGone`."""

    def __init__(self, *, auth: Auth, catalog: Catalog, upstream: Failover, max_body_bytes: int) -> None:
        self.auth, self.catalog, self.upstream, self.max_body_bytes = auth, catalog, upstream, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        principal = self.auth.principal(request.headers)
        raw = await read_body(request.receive, request.headers, self.max_body_bytes)
        deployments, body = self._aim(request, principal, raw)
        id = request_id(request.headers)
        headers = [*request.headers.items(), ("x-request-id", id)]
        path = with_query(scope["raw_path"].decode("latin-1").removeprefix("/v1"), scope)  # escaped as it came
        sent = self.upstream.send(deployments, path, body, headers, method=request.method)
        answered = await cancel_on_disconnect(receive, sent)
        if answered is None:
            raise ClientGone
        dialect = dialect_for(request.url.path)
        relay = Relay(answered.reply, [("X-Request-Id", id)], end=dialect.END, error_event=dialect.error_event)
        await relay(scope, receive, send)

    def _aim(
        self, request: Request, principal: Principal, raw: bytes
    ) -> tuple[list[Deployment], Callable[[Deployment], bytes]]:
        """Who is asked, and with which body."""
        if raw and "json" in request.headers.get("content-type", "json"):
            body = json_body.parse(raw)
            if "model" in body:
                choices = self.catalog.targets(json_body.model(body), principal)
                return choices, lambda to: json_body.rename_model(raw, body, to.upstream_model)
        only = self.catalog.sole_deployment()
        if only is None or principal.models is not None or not self.auth.one_user:
            message = (
                f"There is no {request.method} {request.url.path} here; with a `model` in a JSON body it would go"
            )
            raise RequestError(404, "not_found", f"{message} to that model's provider.", param="model")
        return [only], lambda to: raw
