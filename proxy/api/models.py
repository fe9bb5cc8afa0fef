"""`GET /v1/models`: what this proxy can be asked for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.api.memories import json_response
from proxy.auth import Auth
from proxy.errors import RequestError, UpstreamUnavailable
from proxy.types import Deployment
from proxy.upstream.catalog import Catalog

log = logging.getLogger("rememberd.models")

_FRESH_SECONDS = 300.0

Listing = Callable[[Deployment], Awaitable[list[str]]]


class Models:
    """Names written in `model_list`, and for its wildcards what the providers list. `listing` asks one provider."""

    def __init__(self, auth: Auth, catalog: Catalog, listing: Listing) -> None:
        self.auth, self.catalog, self.listing = auth, catalog, listing
        self._wild: list[str] = []
        self._asked = -_FRESH_SECONDS
        self._asking = asyncio.Lock()

    def routes(self) -> list[Route]:
        return [
            Route("/v1/models", self.page, methods=["GET"]),
            Route("/v1/models/{id:path}", self.read, methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        self.auth.principal(request.headers)
        names = dict.fromkeys([*self.catalog.names(), *await self._from_wildcards()])
        return json_response({"object": "list", "data": [_model(name) for name in names]})

    async def read(self, request: Request) -> Response:
        self.auth.principal(request.headers)
        name = request.path_params["id"]
        self.catalog.resolve(name)
        return json_response(_model(name))

    async def _from_wildcards(self) -> list[str]:
        async with self._asking:
            if time.monotonic() - self._asked > _FRESH_SECONDS:
                found = await asyncio.gather(*(self._expand(each) for each in self.catalog.wildcards()))
                self._wild = [name for names in found for name in names]
                self._asked = time.monotonic()
        return self._wild

    async def _expand(self, wildcard: str) -> list[str]:
        """`openai/*` becomes what OpenAI lists; a provider that does not answer adds nothing."""
        try:
            deployment = self.catalog.resolve(wildcard)
            names = await self.listing(deployment)
        except (RequestError, UpstreamUnavailable) as error:
            log.warning("no models listed for %s: %s", wildcard, error)
            return []
        return [name if wildcard == "*" else wildcard.replace("*", name, 1) for name in names]


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "rememberd"}
