"""Forwards every other path of a provider as bytes, without memory."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rememberd.access.auth import Auth
from rememberd.access.groups import Groups
from rememberd.access.idempotency import owned
from rememberd.access.identity import identify
from rememberd.access.object_owners import ObjectOwners
from rememberd.access.stored_objects import refuse_shared_objects, stored_object
from rememberd.api.forwarded_paths import STATELESS, not_here, refuse_near_miss, upstream_path
from rememberd.dialects import body as json_body
from rememberd.dialects.registry import dialect_for
from rememberd.errors import RequestError
from rememberd.http.disconnect import cancel_on_disconnect
from rememberd.http.relay import Relay
from rememberd.http.request import ClientGone, read_body, request_id, with_query
from rememberd.telemetry.usage.meter import UsageMeter
from rememberd.types import Deployment, Identity, Principal
from rememberd.upstream.catalog import Catalog
from rememberd.upstream.failover import Failover

Target = tuple[list[Deployment], Callable[[Deployment], bytes]]


@dataclass(eq=False, kw_only=True)
class Forward:
    """ASGI app for `/v1/*`. The model in the body of a POST selects the provider.

    A provider does not know which user owns the objects that it stores for the operator's key. So everything except a
    POST to a path in `STATELESS` is allowed only if the proxy serves one user (without a model: and has one
    provider), or if it concerns the caller's own response or conversation (`owners`). Raises `RequestError`,
    `UpstreamUnavailable`, `ClientGone`."""

    auth: Auth
    groups: Groups
    catalog: Catalog
    upstream: Failover
    owners: ObjectOwners
    meter: UsageMeter
    max_body_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        principal = self.auth.principal(request.headers, request.scope)
        path = upstream_path(scope["raw_path"].decode("latin-1"))
        raw = await read_body(request.receive, request.headers, self.max_body_bytes)
        identity = identify(principal, request.headers, {}, self.groups)  # without the body, which may be a file
        raw = raw if request.method == "POST" else b""
        deployments, body = await self._target(request, principal, identity, path, raw)
        id = request_id(request.headers)
        headers = [*owned(request.headers.items(), principal, identity), ("x-request-id", id)]
        sent = self.upstream.send(deployments, with_query(path, scope), body, headers, method=request.method)
        answered = await cancel_on_disconnect(scope, sent)
        if answered is None:
            raise ClientGone
        made = None
        if request.method == "POST" and answered.reply.status < 300:
            made = self.owners.recorder(path, answered.deployment, principal, identity)
        dialect = dialect_for(request.url.path)
        relay = Relay(answered.reply, [(b"x-request-id", id.encode())], dialect=dialect, on_end=made)
        try:
            await relay(scope, receive, send)
        finally:
            if tokens := relay.tokens(len(raw)):
                user = identity.user if identity else principal.user or ""
                self.meter.note(principal, user, answered.deployment, tokens, 0)

    async def _target(
        self, request: Request, principal: Principal, identity: Identity | None, path: str, raw: bytes
    ) -> Target:
        """The deployments and the body. Only a POST has a body."""
        shared = request.method == "POST" and path.rstrip("/") in STATELESS
        if raw and "json" in request.headers.get("content-type", "json") and (shared or self._alone(principal)):
            body = json_body.parse(raw)
            if "model" in body and (shared or isinstance(body["model"], str)):  # Anthropic's agents have an object
                choices = self.catalog.targets(json_body.model(body), principal)
                if named := refuse_shared_objects(body, choices, principal, self.auth, self.catalog):
                    choices = await self.owners.deployments_of(named, choices, identity)
                return choices, lambda to: json_body.outgoing(raw, body, to.upstream_model)
        if (only := self.provider_of(principal)) is None:
            only = await self.owners.deployment_for(request.method, path, principal, identity)
            if only is None or (raw and stored_object(json_body.parse(raw))):
                raise not_here(request.method, path)
        return [only], lambda to: raw

    def provider_of(self, principal: Principal) -> Deployment | None:
        """The only provider that there is, if its key serves this caller only."""
        return self.catalog.sole_deployment(principal) if self._alone(principal) else None

    def _alone(self, principal: Principal) -> bool:
        """True if the provider's key serves only this caller."""
        return principal.upstream_key is not None or self.auth.one_user


async def near_miss(request: Request) -> Response:
    """Answer 404 to a path that ends like a chat path but has a wrong base."""
    refuse_near_miss(request.scope["raw_path"].decode("latin-1"))
    raise RequestError(404, "not_found", f"There is no {request.url.path} here: the base URL ends in /v1.")
