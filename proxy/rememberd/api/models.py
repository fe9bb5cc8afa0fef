"""`GET /v1/models`: the models that the caller's key may use."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rememberd.access.auth import Auth
from rememberd.api.forward import Forward
from rememberd.errors import RequestError, UpstreamUnavailable
from rememberd.http.responses import json_response
from rememberd.types import Deployment, Principal
from rememberd.upstream.catalog import Catalog, expand_wildcard

log = logging.getLogger("rememberd.models")

_FRESH_SECONDS = 300.0

Listing = Callable[[Deployment], Awaitable[list[str]]]


class Models:
    """The names in `model_list`, and for its wildcards the providers' lists. `listing` asks one provider; `forward`
    passes on questions about one model."""

    def __init__(self, auth: Auth, catalog: Catalog, listing: Listing, forward: Forward) -> None:
        self.auth, self.catalog, self.listing, self.forward = auth, catalog, listing, forward
        self._wild: list[str] = []
        self._asked, self._asked_for = -_FRESH_SECONDS, [""]
        self._asking = asyncio.Lock()

    async def page(self, request: Request) -> Response:
        allowed = await self.names(self.auth.principal(request.headers, request.scope))
        ends = {"first_id": allowed[0], "last_id": allowed[-1]} if allowed else {"first_id": None, "last_id": None}
        return json_response(
            {"object": "list", "data": [_model(name) for name in allowed], "has_more": False, **ends}
        )

    async def names(self, principal: Principal) -> list[str]:
        """The names of the models that `principal` may use."""
        wild = await (self._with_own_key(principal) if principal.upstream_key else self._from_wildcards())
        names = dict.fromkeys([*self.catalog.names(), *wild])
        return [name for name in names if principal.may_ask(name)]

    async def read(self, request: Request) -> Response | Forward:
        """The provider's own answer, if the name is the provider's, too, and its key serves this caller only."""
        name, principal = request.path_params["id"], self.auth.principal(request.headers, request.scope)
        first = self.catalog.targets(name, principal)[0]
        known_by_wildcard = name not in self.catalog.names() and name == first.upstream_model
        if known_by_wildcard and first.speaks and self.forward.provider_of(principal):
            return self.forward
        return json_response(_model(name))

    async def _from_wildcards(self) -> list[str]:
        async with self._asking:
            wildcards = self.catalog.wildcards()
            if wildcards != self._asked_for or time.monotonic() - self._asked > _FRESH_SECONDS:
                found = await asyncio.gather(*(self._expand(each, self.catalog.resolve(each)) for each in wildcards))
                self._wild = [name for names in found for name in names]
                self._asked, self._asked_for = time.monotonic(), wildcards
        return self._wild

    async def _with_own_key(self, principal: Principal) -> list[str]:
        """The models that the providers list for the holder of this key. Not cached."""
        wildcards = self.catalog.wildcards()
        asked = (self._expand(each, self.catalog.targets(each, principal)[0]) for each in wildcards)
        return [name for names in await asyncio.gather(*asked) for name in names]

    async def _expand(self, wildcard: str, deployment: Deployment) -> list[str]:
        """For `openai/*` the models that OpenAI lists, for `claude-*` those whose names begin so. A provider that
        does not answer adds nothing."""
        try:
            names = await self.listing(deployment)
        except (RequestError, UpstreamUnavailable) as error:
            log.warning("no models listed for %s: %s", wildcard, error)
            return []
        return expand_wildcard(wildcard, deployment.upstream_model, names)


def _model(name: str) -> dict[str, Any]:
    """With the fields of OpenAI's and of Anthropic's API, because both list models at this path."""
    anthropics = {"type": "model", "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
    return {"id": name, "object": "model", "created": 0, "owned_by": "rememberd", **anthropics}
