"""Whose memories an API call is about."""

from __future__ import annotations

from starlette.requests import Request

from rememberd.access.auth import Auth
from rememberd.access.identity import identify
from rememberd.api.mcp.internal_client import ASKING
from rememberd.errors import RequestError
from rememberd.http.request import header_values, note
from rememberd.types import Space
from rememberd.upstream.catalog import Catalog


class CallerResolver:
    def __init__(self, auth: Auth, catalog: Catalog | None = None) -> None:
        self.auth, self.catalog = auth, catalog

    def space(self, request: Request, *, whole_user: bool = False) -> Space:
        """Raises `RequestError` 401 for a bad key, 403 when the key may speak for several users and none is named, or
        when it is about the `whole_user` and the key is for some scopes only."""
        headers = header_values(request.scope)
        principal = self.auth.principal(
            headers, request.scope, counts=ASKING not in request.scope
        )  # a tool's call was counted
        note(request.scope, who=principal.name)
        identity = identify(principal, headers, {})
        if whole_user and principal.scopes is not None:
            message = f"this key is for the scope {', '.join(principal.scopes)}; this needs one for all of the user"
            raise RequestError(403, "scope_not_allowed", message)
        if identity is None:
            raise RequestError(
                403, "no_identity", "this key speaks for several users: name one, as X-Memory-User or a signed token"
            )
        note(request.scope, whose=identity.user, scope=identity.scope)
        return identity.space

    def space_of(self, request: Request, scope: str) -> Space:
        """The caller's space of this name. Raises as `space` does, and `RequestError` 400 or 403 for the scope."""
        principal = self.auth.principal(header_values(request.scope), request.scope, counts=False)
        identity = identify(principal, header_values(request.scope) | {"x-memory-scope": scope}, {})
        if not scope or identity is None:
            raise RequestError(400, "invalid_scope", "`scope` must name one of your scopes", param="scope")
        return identity.space

    def is_local(self, request: Request, model: str) -> bool:
        """Does what is sent to this model stay with the operator? As a chat decides it. Raises `RequestError` 404 for
        a model that this key may not ask."""
        principal = self.auth.principal(header_values(request.scope), request.scope, counts=False)
        return all(each.local for each in self.catalog.targets(model, principal)) if self.catalog else False

    def bound_to_scopes(self, request: Request) -> bool:
        """Is this key for some of its user's scopes only? Raises `RequestError` 401 for a bad key."""
        return self.auth.principal(header_values(request.scope), request.scope, counts=False).scopes is not None
