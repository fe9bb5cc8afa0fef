"""`/signin…`: sign-in with the OpenID provider, and the browser's session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from rememberd.access.auth import Auth, signed_in
from rememberd.errors import RequestError
from rememberd.http.responses import json_response

if TYPE_CHECKING:
    from rememberd.access.sign_in.flow import SignIn

_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


class SignInApi:
    """Without `sign_in` there is no session, and the page asks for a key."""

    def __init__(self, sign_in: SignIn | None, auth: Auth) -> None:
        self._sign_in, self.auth = sign_in, auth

    @property
    def sign_in(self) -> SignIn:
        if self._sign_in is None:
            raise HTTPException(404, "Not Found")
        return self._sign_in

    async def start(self, request: Request) -> Response:
        """Raises `RequestError` 503 while the provider does not answer."""
        started = await self.sign_in.start(str(request.base_url))
        response = RedirectResponse(started.url, 303, headers=_PRIVATE)
        self._set(response, "flow", started.cookie)
        return response

    async def finish(self, request: Request) -> Response:
        """Errors are plain text, because a person reads them."""
        cookies, base = request.headers.get("cookie", ""), str(request.base_url)
        try:
            session = await self.sign_in.finish(base, request.query_params, cookies)
        except RequestError as error:
            text = f"You are not signed in: {error.message}\n\nThe memory page: {self.sign_in.home(base)}/\n"
            return PlainTextResponse(text, error.status, headers=_PRIVATE)
        response = RedirectResponse(f"{self.sign_in.home(base)}/", 303, headers=_PRIVATE)
        self._set(response, "session", session)
        self._set(response, "flow", None)
        return response

    async def session(self, request: Request) -> Response:
        """The signed-in user, whether the user or the key is an admin, and the CSRF token that changes need together
        with the cookie. Anybody may call this."""
        somebody = signed_in(request.scope)
        cookie = self._sign_in.session_cookie(request.headers.get("cookie", "")) if self._sign_in else None
        found = {
            "object": "session",
            "available": self._sign_in is not None,
            "user": somebody.user if somebody else None,
            "admin": self._is_admin(request),
            "groups": somebody.groups if somebody else (),
            "csrf_token": self.sign_in.sessions.csrf_token(cookie) if somebody and cookie else None,
        }
        return _private(json_response(found))

    async def protected_resource(self, request: Request) -> Response:
        """Tells clients of the API and of MCP where to get an access token."""
        path = "/mcp" if request.url.path.endswith("/mcp") else "/v1"
        found = self.sign_in.protected_resource(str(request.base_url), path)
        if found is None:
            raise HTTPException(404, "Not Found")
        return json_response(found)

    def _is_admin(self, request: Request) -> bool:
        """True for the admin claim or the admin key."""
        try:
            self.auth.admin(request.headers, request.scope)
        except RequestError:
            return False
        return True

    async def end(self, request: Request) -> Response:
        """Ends all sessions of this user; `url` is the provider's address for signing out there, too. Raises
        `RequestError` 403 without the CSRF token."""
        if somebody := signed_in(request.scope):
            await self.sign_in.sessions.end_all(somebody.user)
        url = await self.sign_in.sign_out_url(str(request.base_url))
        response = _private(json_response({"object": "session.ended", "url": url}))
        self._set(response, "session", None)
        return response

    def _set(self, response: Response, purpose: str, value: str | None) -> None:
        """`lax`, because the provider's redirect is a navigation from another site and must send the cookie."""
        name, secure = self.sign_in.cookie_name(purpose), self.sign_in.secure
        if value is None:
            response.delete_cookie(name, secure=secure, httponly=True, samesite="lax")
        else:
            response.set_cookie(name, value, secure=secure, httponly=True, samesite="lax")


def _private(response: Response) -> Response:
    response.headers.update(_PRIVATE)
    return response
