"""Identifies the sender of a request without an API key, by a session or by an access token of the provider."""

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rememberd.access.auth import Auth, key_of
from rememberd.access.sign_in.flow import RESOURCE, SignIn
from rememberd.access.signed_in import SIGNED_IN, SignedIn
from rememberd.errors import QueueUnavailable, RequestError
from rememberd.http.request import header_values

CSRF_HEADER = "x-csrf-token"
_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+")  # a signed JWT
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class SignInMiddleware:
    """ASGI middleware: puts a `SignedIn` into the scope. For a bad token or a missing CSRF token it puts the
    `RequestError` there, which is raised when a handler asks for the sender. An API key takes precedence over a
    cookie."""

    def __init__(self, app: ASGIApp, sign_in: SignIn, auth: Auth) -> None:
        self.app, self.sign_in, self.auth = app, sign_in, auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                scope[SIGNED_IN] = await self._sender(scope["method"], header_values(scope))
            except RequestError as error:
                scope[SIGNED_IN] = error
            except QueueUnavailable:
                message = "sessions cannot be read; try again in a moment"
                scope[SIGNED_IN] = RequestError(503, "sessions_unavailable", message, retry_after=1)
        pointed = scope["type"] == "http" and scope["path"] == "/mcp" and self.sign_in.audience is not None
        await self.app(scope, receive, self._pointing(scope, send) if pointed else send)

    def _pointing(self, scope: Scope, send: Send) -> Send:
        """Tells an MCP client that is refused where to get a token (RFC 9728, 5.1), and whether the one that it sent
        is why (RFC 6750, 3.1)."""

        async def pointing(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                why = 'error="invalid_token", ' if isinstance(scope.get(SIGNED_IN), RequestError) else ""
                where = f"{self.sign_in.home(str(Request(scope).base_url))}{RESOURCE}/mcp"
                value = f'Bearer {why}resource_metadata="{where}"'
                kept = [each for each in message["headers"] if each[0] != b"www-authenticate"]
                message["headers"] = [*kept, (b"www-authenticate", value.encode())]
            await send(message)

        return pointing

    async def _sender(self, method: str, headers: Mapping[str, str]) -> SignedIn | None:
        if key := key_of(headers):
            is_token = _TOKEN.fullmatch(key) and not self.auth.knows(key)
            return await self.sign_in.bearer(key) if is_token else None
        cookie = self.sign_in.session_cookie(headers.get("cookie", ""))
        somebody = await self.sign_in.sessions.read(cookie) if cookie else None
        if cookie is None or somebody is None or method in _SAFE:
            return somebody
        if not self.sign_in.sessions.is_csrf_token(cookie, headers.get(CSRF_HEADER, "")):
            message = "a request with a session's cookie needs the X-CSRF-Token that GET signin/session returns"
            raise RequestError(403, "csrf_token_missing", message)
        return somebody
