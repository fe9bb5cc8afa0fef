"""Sign-in: the authorization code flow with PKCE (RFC 6749, RFC 7636, OpenID Connect Core 1.0), from the first
redirect to the session."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.requests import cookie_parser

from rememberd.access.sign_in.provider import OpenIdProvider
from rememberd.access.sign_in.sessions import Sessions
from rememberd.access.signed_in import ClaimRules, SignedIn
from rememberd.errors import RequestError
from rememberd.telemetry.clock import wall_clock

CALLBACK = "/signin/callback"
RESOURCE = "/.well-known/oauth-protected-resource"
FLOW_SECONDS = 600  # from the first redirect to the callback
_SESSION, _FLOW = "rememberd-session", "rememberd-signin"


class Started(NamedTuple):
    """Where to send the browser, and the cookie that binds the callback to this browser."""

    url: str
    cookie: str


@dataclass(eq=False)
class SignIn:
    """`public_url` is this proxy's address for browsers; None: the address of the request. `audience` is the required
    audience of access tokens; None refuses all access tokens."""

    provider: OpenIdProvider
    sessions: Sessions
    rules: ClaimRules
    public_url: str | None
    audience: str | None

    @property
    def secure(self) -> bool:
        """True if browsers use TLS. Then cookies are sent only to this host, and only by TLS."""
        return (self.public_url or "").startswith("https://")

    def cookie_name(self, purpose: str) -> str:
        name = _FLOW if purpose == "flow" else _SESSION
        return f"__Host-{name}" if self.secure else name

    def session_cookie(self, header: str) -> str | None:
        return self._cookie(header, "session")

    async def start(self, base: str) -> Started:
        """`base` is the address that the browser used. Raises `RequestError` 503."""
        flow = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        url = await self.provider.authorization_url(f"{self.home(base)}{CALLBACK}", **flow)
        signed = self.sessions.signer.sign_json("flow", flow | {"until": time.time() + FLOW_SECONDS})
        return Started(url, signed)

    async def finish(self, base: str, query: Mapping[str, str], cookies: str) -> str:
        """The session's cookie. Raises `RequestError`: 400 if this browser did not begin this sign-in, has already
        finished it or took too long; 401, 403 and 503 like `OpenIdProvider` and `ClaimRules`. Raises
        `QueueUnavailable`."""
        flow = self.sessions.signer.verified_json("flow", self._cookie(cookies, "flow") or "")
        if not flow or not secrets.compare_digest(flow["state"].encode(), query.get("state", "").encode()):
            raise RequestError(400, "sign_in_unknown", "this browser did not begin this sign-in: sign in again")
        if flow["until"] < time.time():
            raise RequestError(400, "sign_in_expired", "this sign-in took too long: sign in again")
        if query.get("iss", self.provider.issuer) != self.provider.issuer:  # RFC 9207
            raise RequestError(400, "sign_in_refused", "the answer comes from another provider: sign in again")
        if "code" not in query:
            reason = query.get("error", "no code")[:64]
            raise RequestError(400, "sign_in_refused", f"the provider refused this sign-in ({reason}): sign in again")
        claims = await self.provider.claims_of_code(
            f"{self.home(base)}{CALLBACK}", query["code"], flow["nonce"], flow["verifier"]
        )
        now = wall_clock()
        signed_in = self.rules.read(claims, now + self.sessions.lasts_ms)
        if not await self.sessions.first_use(flow["nonce"], now + FLOW_SECONDS * 1000):
            raise RequestError(400, "sign_in_used", "this sign-in was already used: sign in again")
        return await self.sessions.start(signed_in)

    async def bearer(self, token: str) -> SignedIn:
        """Raises `RequestError`: 401 for an invalid token, 403 for one that names no user, 503 without the
        provider."""
        if self.audience is None:
            raise RequestError(
                401, "invalid_token", "access tokens are not accepted here: sign_in.audience is not set"
            )
        claims = await self.provider.claims_of_access_token(token, self.audience)
        return self.rules.read(claims, int(claims["exp"]) * 1000 + self.provider.clock_skew_ms)

    async def sign_out_url(self, base: str) -> str | None:
        """The provider's address for signing out; None if it has none or does not answer."""
        try:
            return await self.provider.end_session_url(f"{self.home(base)}/")
        except RequestError:
            return None

    def protected_resource(self, base: str, path: str) -> dict[str, Any] | None:
        """The metadata of RFC 9728 for the resource at `path`; None if access tokens are not accepted."""
        if self.audience is None:
            return None
        server = {"authorization_servers": [self.provider.issuer], "bearer_methods_supported": ["header"]}
        return {"resource": f"{self.home(base)}{path}", "resource_name": "rememberd"} | server

    def home(self, base: str) -> str:
        return (self.public_url or base).rstrip("/")

    def _cookie(self, header: str, purpose: str) -> str | None:
        return cookie_parser(header).get(self.cookie_name(purpose))
