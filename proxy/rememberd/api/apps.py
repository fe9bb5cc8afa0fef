"""`/v1/memories/apps`: which apps use a user's memory, and what each may do. `/admin/apps`: the same for the
operator."""

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rememberd.access.apps import App, AppRights, AppStore
from rememberd.access.auth import Auth
from rememberd.api.dependencies import CallerResolver, require_admin
from rememberd.api.serializers import flag_from, refuse_unknown, rfc3339
from rememberd.dialects import body as json_body
from rememberd.errors import RequestError
from rememberd.http.request import note, read_body
from rememberd.http.responses import json_response
from rememberd.types import SCOPE

_FIELDS = {"name", "reads", "writes", "scope"}
_LARGEST_BODY = 65_536


class AppsApi:
    """Each handler raises `RequestError`: 400 for an invalid field, 404 for an app that was never seen."""

    def __init__(self, caller: CallerResolver, auth: Auth, apps: AppStore) -> None:
        self.caller, self.auth, self.apps = caller, auth, apps

    async def page(self, request: Request) -> Response:
        return await self._page(self.caller.identity(request, whole_user=True).user)

    async def change(self, request: Request) -> Response:
        user = self.caller.identity(request, whole_user=True).user
        return await self._change(user, await _fields(request))

    async def admin_page(self, request: Request) -> Response:
        require_admin(self.auth, request)
        return await self._page(_user(request, request.query_params.get("user")))

    async def admin_change(self, request: Request) -> Response:
        require_admin(self.auth, request)
        fields = await _fields(request)
        return await self._change(_user(request, fields.pop("user", None)), fields)

    async def _page(self, user: str) -> Response:
        return json_response({"object": "list", "data": [_app_json(each) for each in await self.apps.all(user)]})

    async def _change(self, user: str, fields: dict[str, Any]) -> Response:
        refuse_unknown(fields, _FIELDS)
        found = next((each for each in await self.apps.all(user) if each.seen.app == fields.get("name")), None)
        rights = _rights(fields, found.rights) if found else None
        if found is None or rights is None or not await self.apps.set(user, found.seen.app, rights):
            raise RequestError(404, "app_not_found", "`name` must be an app that has used this memory", param="name")
        return json_response(_app_json(replace(found, rights=rights)))


def _user(request: Request, named: Any) -> str:
    if not isinstance(named, str) or not named:
        raise RequestError(400, "missing_user", "`user` must name the user whose apps these are", param="user")
    note(request.scope, whose=named)
    return named


async def _fields(request: Request) -> dict[str, Any]:
    return json_body.parse(await read_body(request.receive, request.headers, _LARGEST_BODY))


def _rights(fields: dict[str, Any], before: AppRights) -> AppRights:
    reads = flag_from(fields, "reads") if "reads" in fields else before.reads
    writes = flag_from(fields, "writes") if "writes" in fields else before.writes
    rights = before._replace(reads=reads, writes=writes)
    if "scope" not in fields:
        return rights
    scope = fields["scope"]
    if scope is not None and not (isinstance(scope, str) and SCOPE.fullmatch(scope)):
        message = "`scope` must be 1 to 64 letters, digits, dots, dashes or underscores, or null"
        raise RequestError(400, "invalid_scope", message, param="scope")
    return rights._replace(scope=scope)


def _app_json(app: App) -> dict[str, Any]:
    seen = app.seen
    times = {"first_seen_at": rfc3339(seen.first_at), "last_seen_at": rfc3339(seen.last_at)}
    counted = {"key": seen.key, "requests": seen.requests, **times}
    return {"object": "memory.app", "name": seen.app, **app.rights._asdict(), **counted}
