"""Key to principal."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256
from urllib.parse import urlsplit

from proxy.errors import RequestError
from proxy.settings import Key
from proxy.types import Principal

LOCAL = Principal("local", user="local")
# The last is this machine as containers call it; no other site can make a browser use that name.
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "host.docker.internal"})


class Auth:
    """Who may come in. Without keys everyone on this machine is the user `local`."""

    def __init__(self, keys: Sequence[Key], admin_key: str | None = None) -> None:
        # A digest as the dictionary key: how long a look-up takes then says nothing about the key itself.
        self._principals = {_digest(key.key): _principal(key) for key in keys}
        self._admin = _digest(admin_key) if admin_key else None

    @property
    def one_user(self) -> bool:
        """True if nobody but one user can come in."""
        holders = self._principals.values()
        named = any(each.trust_identity or each.jwt_secret for each in holders)
        return not named and len({each.user for each in holders}) <= 1

    def become(self, other: Auth) -> None:
        """Take over the keys of `other`, all at once."""
        self._principals, self._admin = other._principals, other._admin

    def principal(self, headers: Mapping[str, str]) -> Principal:
        """Raises `RequestError` 401 for a missing or unknown key, 403 for a web page of another site."""
        if not self._principals:
            _refuse_foreign_pages(headers)
            return LOCAL
        key = _key(headers)
        found = self._principals.get(_digest(key)) if key else None
        if found is None:
            what = "that API key is not known" if key else "an API key is needed"
            raise RequestError(
                401,
                "invalid_api_key",
                f"{what}: send one of the configured keys as `Authorization: Bearer KEY`",
            )
        return found

    def admin(self, headers: Mapping[str, str]) -> None:
        """Raises `RequestError` 401 unless no admin key is set or this is it."""
        if self._admin is None:
            return
        if not hmac.compare_digest(_digest(_key(headers) or ""), self._admin):
            raise RequestError(401, "invalid_api_key", "this path needs the admin key as `Authorization: Bearer KEY`")


def _principal(key: Key) -> Principal:
    models = None if key.models is None else tuple(key.models)
    return Principal(key.name, key.user, key.trust_identity, key.jwt_secret, models)


def _key(headers: Mapping[str, str]) -> str | None:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return headers.get("x-api-key", "").strip() or None


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def _refuse_foreign_pages(headers: Mapping[str, str]) -> None:
    """With no key to show, a page in the user's browser could write to or (by DNS rebinding) read the memory."""
    for name in ("origin", "host"):
        value = headers.get(name)
        if value and _hostname(value) not in _LOOPBACK:
            raise RequestError(
                403,
                "foreign_origin",
                f"without keys only this machine is served, not {name} {value!r}: configure `keys` for more",
            )


def _hostname(value: str) -> str | None:
    try:
        return urlsplit(value if "//" in value else f"//{value}").hostname
    except ValueError:
        return None
