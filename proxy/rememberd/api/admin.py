"""`/admin/*`: the operator creates and revokes keys, lists users and erases them. No text of a memory is shown here:
the admin key is not valid for `/v1/memories` or chats."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rememberd.access.api_keys import ApiKey, ApiKeyStore, KeyWatcher
from rememberd.access.auth import Auth
from rememberd.access.principals import principal_from
from rememberd.api.dependencies import require_admin
from rememberd.api.serializers import refuse_unknown, rfc3339, switch_from
from rememberd.dialects import body as json_body
from rememberd.errors import RequestError
from rememberd.http.request import note, read_body
from rememberd.http.responses import json_response
from rememberd.ports import MemoryStore
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Principal, Space

_KEY_FIELDS = (
    "name",
    "user",
    "trust_identity",
    "models",
    "scopes",
    "requests_per_minute",
    "tokens_per_day",
    "expires_at",
    "memory",
)
_LARGEST_BODY = 65_536
_USERS = 50  # an answer

Erase = Callable[[str], Awaitable[int]]
TextsOf = Callable[[str], Awaitable[dict[str, str]]]
Prove = Callable[[Mapping[str, str]], Awaitable[dict[str, Any]]]


@dataclass(eq=False)
class Admin:
    """`texts_of(user)` are the texts that must not exist after an erasure, by label. `prove` searches the disk for
    them: `{"files", "bytes", "texts", "left": [{"file", "found"}]}`."""

    auth: Auth
    keys: ApiKeyStore
    watch: KeyWatcher
    store: MemoryStore
    erase: Erase
    texts_of: TextsOf
    prove: Prove

    async def list_keys(self, request: Request) -> Response:
        """The keys of the settings first. The keys themselves are never shown."""
        require_admin(self.auth, request)
        configured = [_shown(principal) | {"id": None, "configured": True} for principal in self.auth.configured]
        made = [key_json(key) for key in await self.keys.all()]
        return json_response({"object": "list", "data": configured + made})

    async def create_key(self, request: Request) -> Response:
        require_admin(self.auth, request)
        principal = asked_key(
            json_body.parse(await read_body(request.receive, request.headers, _LARGEST_BODY)), self.auth.configured
        )
        made, key = await self.keys.create(principal, wall_clock())
        note(request.scope, key=principal.name, whose=principal.user)
        await self.watch.refresh()
        return json_response(key_json(made) | {"key": key}, 201)

    async def revoke_key(self, request: Request) -> Response:
        require_admin(self.auth, request)
        revoked = await self.keys.revoke(request.path_params["id"], wall_clock())
        note(request.scope, key=revoked.principal.name, whose=revoked.principal.user)
        await self.watch.refresh()
        return json_response({"object": "key.revoked", "id": revoked.id, "name": revoked.principal.name})

    async def rotate_key(self, request: Request) -> Response:
        require_admin(self.auth, request)
        raw = await read_body(request.receive, request.headers, _LARGEST_BODY)
        overlap = (json_body.parse(raw) if raw else {}).get("overlap_seconds", 0)
        if type(overlap) is not int or overlap < 0:
            message = "`overlap_seconds` must be a whole number: how long the old key is still accepted"
            raise RequestError(400, "invalid_overlap", message, param="overlap_seconds")
        now = wall_clock()
        made, key = await self.keys.rotate(request.path_params["id"], now, now + overlap * 1000)
        note(request.scope, key=made.principal.name, whose=made.principal.user)
        await self.watch.refresh()
        return json_response(key_json(made) | {"key": key}, 201)

    async def list_users(self, request: Request) -> Response:
        """A page of users after `after`, in the store's own order."""
        require_admin(self.auth, request)
        spaces = await self.store.users(request.query_params.get("after", ""), _USERS + 1)
        by_user = [(user, list(each)) for user, each in groupby(spaces, key=lambda space: space.user)]
        shown = [await self._user(user, each) for user, each in by_user[:_USERS] if each[0].group is None]
        note(request.scope, count=len(shown))
        more = len(by_user) > _USERS
        return json_response(
            {"object": "list", "data": shown, "next_after": by_user[_USERS - 1][0] if more else None}
        )

    async def _user(self, user: str, spaces: list[Space]) -> dict[str, Any]:
        now = wall_clock()
        counts = [await self.store.count(space, now=now, include_past=True) for space in spaces]
        newest = [await self.store.page(space, limit=1, now=now, include_past=True) for space in spaces]
        return {
            "object": "user",
            "id": user,
            "scopes": sorted(space.scope for space in spaces),
            "memories": sum(counts),
            "newest_at": rfc3339(max((page[0].created_at for page, _ in newest if page), default=None)),
        }

    async def erase_user(self, request: Request) -> Response:
        """With `verify=true`, every file of this host's data directory is searched afterwards."""
        require_admin(self.auth, request)
        user, verify = request.path_params["user"], switch_from(request.query_params.get("verify"), "verify")
        if not user:
            raise RequestError(400, "missing_user", "name the user to erase: DELETE /admin/users/NAME")
        note(request.scope, whose=user)
        texts = await self.texts_of(user) if verify else {}
        erased = await self.erase(user)
        note(request.scope, count=erased)
        answer = {"object": "user.erased", "id": user, "deleted": erased}
        if verify:
            await self.store.flush()
            answer["proof"] = await self.prove(texts)
        return json_response(answer)


def asked_key(fields: Mapping[str, Any], configured: Any) -> Principal:
    """Raises `RequestError` 400 if the fields do not describe a key, 409 for the name of a `configured` key."""
    refuse_unknown(fields, _KEY_FIELDS)
    try:
        principal = principal_from(fields)
    except ValueError as error:
        raise RequestError(400, "invalid_key", str(error)) from None
    if principal.name in {each.name for each in configured}:
        raise RequestError(409, "key_exists", f"{principal.name!r} is a key of the settings", param="name")
    return principal


def key_json(key: ApiKey) -> dict[str, Any]:
    times = {name: rfc3339(getattr(key, name)) for name in ("created_at", "revoked_at", "last_used_at")}
    return _shown(key.principal) | {"id": key.id, "configured": False} | times


def _shown(principal: Principal) -> dict[str, Any]:
    fields = {name: getattr(principal, name) for name in _KEY_FIELDS}
    return {"object": "key"} | fields | {"expires_at": rfc3339(principal.expires_at)}
