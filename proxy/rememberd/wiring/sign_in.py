"""Sign-in with an OpenID provider, if the settings name one. Only then are its libraries imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from starlette.middleware import Middleware

from rememberd.access.auth import Auth
from rememberd.access.client_keys import load_secret
from rememberd.access.signed_in import ClaimRules
from rememberd.ports import SessionStore
from rememberd.settings.schema import Settings
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.sessions import SqliteSessions

if TYPE_CHECKING:
    from rememberd.access.sign_in.flow import SignIn
    from rememberd.access.sign_in.sessions import Sessions

_SCOPES = ["openid", "profile", "email"]
_HOUR_MS = 3_600_000


class SignInParts(NamedTuple):
    sign_in: SignIn

    def middleware(self, auth: Auth) -> Middleware:
        from rememberd.access.sign_in.middleware import SignInMiddleware

        return Middleware(SignInMiddleware, sign_in=self.sign_in, auth=auth)

    async def close(self) -> None:
        await self.sign_in.provider.close()
        await self.sign_in.sessions.store.close()


def open_sign_in(settings: Settings) -> SignInParts | None:
    """Sends no request yet: the provider may start later than this proxy."""
    given = settings.sign_in
    if given.issuer is None or given.client_id is None:
        return None
    from rememberd.access.sign_in.flow import SignIn
    from rememberd.access.sign_in.provider import OpenIdProvider

    provider = OpenIdProvider(given.issuer, given.client_id, given.client_secret, given.scopes or _SCOPES)
    sessions = _sessions(settings)
    rules = ClaimRules(given.user_claim, given.groups_claim, given.admin_claim)
    return SignInParts(SignIn(provider, sessions, rules, given.public_url, given.audience))


async def end_sessions(settings: Settings, user: str) -> None:
    """End all sessions of an erased user, for all web processes. Raises `QueueUnavailable`."""
    if settings.sign_in.issuer is not None:
        sessions = _sessions(settings)
        try:
            await sessions.end_all(user)
        finally:
            await sessions.store.close()


def _sessions(settings: Settings) -> Sessions:
    from rememberd.access.sign_in.sessions import Sessions, Signer

    secret = settings.sign_in.cookie_secret
    signer = Signer(secret.encode() if secret else load_secret(settings.data_path / "sessions.secret"))
    return Sessions(_store(settings), signer, settings.sign_in.session_hours * _HOUR_MS)


def _store(settings: Settings) -> SessionStore:
    if not settings.memory.queue.url:
        return SqliteSessions(Database(settings.data_path / "sessions.db"))
    from rememberd.storage.redis.client import RedisClient
    from rememberd.storage.redis.records import RedisSessions

    return RedisSessions(RedisClient(settings.memory.queue.url))
