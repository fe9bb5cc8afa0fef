"""Authentication: finds the principal of an API key or a sign-in."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from rememberd.access.client_keys import ClientKeys
from rememberd.access.principals import digest
from rememberd.access.rate_limit import RateLimits
from rememberd.access.signed_in import SIGNED_IN, SignedIn
from rememberd.errors import RequestError
from rememberd.telemetry.clock import wall_clock
from rememberd.telemetry.usage.counts import seconds_left
from rememberd.types import Millis, Principal

LOCAL = Principal("local", user="local")
# The last name is how containers call this machine; no other site can make a browser use it.
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "host.docker.internal"})
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "cf-connecting-ip")


class Auth:
    """Accepts keys of the settings and created keys. If no key was ever created, no admin key is set and only this
    machine can connect (`local_only`), everyone is the user `local`. After the first key was created, requests always
    need a key, even if the keys are lost.

    `configured`: the keys of the settings, by digest. The time of a look-up by digest depends only on digests, which
    nobody can choose, so it reveals nothing about existing keys. The admin key is compared in constant time. With
    `client_keys`, everyone with a provider's key is accepted. `spent` gives the tokens that a key (by name) has used
    today. With `sign_in`, users may also sign in: `SignInMiddleware` puts them into the ASGI scope."""

    def __init__(
        self,
        configured: Mapping[bytes, Principal],
        admin_key: str | None = None,
        *,
        local_only: bool = True,
        origins: Collection[str] = (),
        limits: RateLimits | None = None,
        spent: Callable[[str], int] = lambda key: 0,
        client_keys: ClientKeys | None = None,
        sign_in: bool = False,
    ) -> None:
        self.local_only, self.origins, self.limits, self.spent = local_only, origins, limits, spent
        self.client_keys, self.sign_in = client_keys, sign_in
        self._configured = configured
        self._made: Mapping[bytes, Principal] = {}
        self._seen, self._ever_made = False, True  # until the created keys are read
        self._uses: dict[bytes, Millis] = {}
        self._admin = digest(admin_key) if admin_key else None
        self._principals = self._configured

    @property
    def configured(self) -> Collection[Principal]:
        return self._configured.values()

    @property
    def one_user(self) -> bool:
        """True if only one user can use this proxy; False until the created keys are known."""
        return self.serves_one_user(lambda holder: True)

    def serves_one_user(self, counts: Callable[[Principal], bool]) -> bool:
        """True if all holders of keys that `counts` selects are one user; False until the created keys are known."""
        holders = [each for each in self._principals.values() if counts(each)]
        named = any(each.trust_identity or each.jwt_secret for each in holders)
        unknown = self.client_keys is not None or self.sign_in or not self._seen
        return not unknown and not named and len({each.user for each in holders}) <= 1

    def reload(self, other: Auth) -> None:
        """Replace the configured keys with those of `other`."""
        self._configured, self._admin = other._configured, other._admin
        self._principals = {**self._made, **self._configured}

    def replace_made_keys(self, made: Mapping[bytes, Principal], *, ever_made: bool) -> None:
        """`made`: the valid created keys, by digest. `ever_made`: whether a key was ever created."""
        self._made, self._seen, self._ever_made = made, True, ever_made
        self._principals = {**made, **self._configured}

    @property
    def _needs_no_key(self) -> bool:
        closed = self._configured or self._ever_made or self._admin is not None or self.sign_in
        return not closed and self.local_only

    def principal(self, headers: Mapping[str, str], scope: Mapping[str, Any], *, counts: bool = True) -> Principal:
        """The sender of the request of this ASGI `scope`. `counts`: whether the request counts against the key's rate
        limit. Raises `RequestError`: 401 for a missing, unknown or expired key, 403 for a web page of another site,
        429 over the key's limit."""
        if self.client_keys is not None and (own := key_of(headers)):
            return self.client_keys.principal(own)
        if self._needs_no_key:
            _refuse_strangers(headers, self.origins)
            return LOCAL
        if somebody := signed_in(scope):
            return somebody.principal
        key = key_of(headers)
        hashed = digest(key) if key else b""
        found = self._principals.get(hashed)
        if found is None:
            what = "that API key is not known" if key else "an API key is needed"
            how = "send one of the configured keys as `Authorization: Bearer KEY`"
            raise RequestError(401, "invalid_api_key", f"{what}: {how}{', or sign in' if self.sign_in else ''}")
        now = wall_clock()
        if found.expires_at is not None and found.expires_at <= now:
            raise RequestError(401, "expired_api_key", "that API key has expired: ask for a new one")
        self._uses[hashed] = now
        if counts and found.requests_per_minute is not None:
            self._count(hashed, found.requests_per_minute)
        if counts and found.tokens_per_day is not None and self.spent(found.name) >= found.tokens_per_day:
            message = f"this key has used its {found.tokens_per_day} tokens for today (UTC)"
            raise RequestError(429, "token_limit_exceeded", message, retry_after=seconds_left())
        return found

    def take_uses(self) -> dict[bytes, Millis]:
        """The last use of each created key since the last call, by the key's digest."""
        uses, self._uses = self._uses, {}
        return {hashed: at for hashed, at in uses.items() if hashed in self._made}

    def knows(self, key: str) -> bool:
        """True if this is an API key or the admin key."""
        hashed = digest(key)
        return hashed in self._principals or hashed == self._admin

    def admin(self, headers: Mapping[str, str], scope: Mapping[str, Any]) -> str:
        """The admin's name. Raises `RequestError`: 401 for a wrong admin key, 403 if no admin is configured, or for a
        signed-in user without the admin claim."""
        if somebody := signed_in(scope):
            if not somebody.admin:
                raise RequestError(403, "not_an_admin", "your account has no admin claim (sign_in.admin_claim)")
            return f"sign-in:{somebody.user}"
        if self._admin is None and not self.sign_in:
            raise RequestError(403, "no_admin_key", "the admin API needs an admin key: set `admin_key`")
        if self._admin is None or not hmac.compare_digest(digest(key_of(headers) or ""), self._admin):
            raise RequestError(401, "invalid_api_key", "this path needs the admin key as `Authorization: Bearer KEY`")
        return "admin"

    def metrics(self, headers: Mapping[str, str]) -> None:
        """Raises `RequestError`: 401 if an admin key is set and this is not it, 403 for a web page of another
        site."""
        if self._admin is not None:
            self.admin(headers, {})
        elif self._needs_no_key:
            _refuse_strangers(headers, self.origins)

    def refuse_foreign_page(self, headers: Mapping[str, str]) -> None:
        """Raises `RequestError` 403 for a page of another site that is not one of `origins`, whatever key it has."""
        origin = headers.get("origin")
        if origin is None or origin in self.origins or _hostname(origin) in _LOOPBACK:
            return
        if _hostname(origin) is None or _hostname(origin) != _hostname(headers.get("host", "")):
            message = f"a page of {origin!r} may not ask: list it in server.cors_origins"
            raise RequestError(403, "foreign_origin", message)

    def _count(self, hashed: bytes, per_minute: int) -> None:
        seconds = self.limits.take(hashed, per_minute) if self.limits else None
        if seconds is not None:
            message = f"this key may make {per_minute} requests per minute; try again in {seconds} s"
            raise RequestError(429, "rate_limit_exceeded", message, retry_after=seconds)


def signed_in(scope: Mapping[str, Any]) -> SignedIn | None:
    """The signed-in user; None if the request has neither a session nor an access token. Raises the `RequestError`
    for an invalid one."""
    found = scope.get(SIGNED_IN)
    if isinstance(found, RequestError):
        raise found
    return found if isinstance(found, SignedIn) else None


def key_of(headers: Mapping[str, str]) -> str | None:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return headers.get("x-api-key", "").strip() or None


def _refuse_strangers(headers: Mapping[str, str], origins: Collection[str]) -> None:
    """Refuse requests without keys from web pages and reverse proxies: a page in the user's browser could write or
    (by DNS rebinding) read memories, and through a reverse proxy everybody would be the local user. Pages of
    `origins` are allowed."""
    if forwarded := next((name for name in _FORWARDED if name in headers), None):
        raise _foreign(f"a request that a proxy forwarded ({forwarded})")
    origin, host = headers.get("origin"), headers.get("host")
    if origin not in origins and headers.get("sec-fetch-site") == "cross-site":
        raise _foreign("a page of another site")
    for name, value in (("origin", origin), ("host", host)):
        if value and _hostname(value) not in _LOOPBACK and not (name == "origin" and value in origins):
            raise _foreign(f"{name} {value!r}")


def _foreign(what: str) -> RequestError:
    message = f"without keys only this machine is served, not {what}: configure `keys` to serve others"
    return RequestError(403, "foreign_origin", message)


def _hostname(value: str) -> str | None:
    try:
        return urlsplit(value if "//" in value else f"//{value}").hostname
    except ValueError:
        return None
