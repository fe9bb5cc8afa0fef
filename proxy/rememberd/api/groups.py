"""`/admin/groups*`: the operator creates and removes groups and their members. No text of a memory is shown."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rememberd.access.auth import Auth
from rememberd.access.groups import Group, Groups, group_from
from rememberd.api.dependencies import require_admin
from rememberd.api.serializers import refuse_unknown
from rememberd.dialects import body as json_body
from rememberd.errors import RequestError
from rememberd.http.request import note, read_body
from rememberd.http.responses import json_response

_FIELDS = ("name", "members", "claim_role", "keep_contributions")
_LARGEST_BODY = 1_048_576

Erase = Callable[[str], Awaitable[int]]


class GroupsAdmin:
    """Each handler raises `RequestError`: 401 or 403 without the admin key, 409 for a group of the settings."""

    def __init__(self, auth: Auth, groups: Groups, erase: Erase) -> None:
        self.auth, self.groups, self.erase = auth, groups, erase

    async def list_groups(self, request: Request) -> Response:
        await self._enter(request)
        shown = [group_json(each, configured=name in self.groups.configured) for name, each in self._sorted()]
        return json_response({"object": "list", "data": shown})

    async def create(self, request: Request) -> Response:
        await self._enter(request)
        group = asked_group(await self._fields(request))
        note(request.scope, scope=f"@{group.name}")
        return json_response(group_json(await self.groups.create(group), configured=False), 201)

    async def add_member(self, request: Request) -> Response:
        await self._enter(request)
        name, user = request.path_params["name"], request.path_params["user"]
        role = (await self._fields(request)).get("role", "writer")
        asked_group({"name": name, "members": {user: role}})
        note(request.scope, scope=f"@{name}", whose=user)
        return json_response(group_json(await self.groups.set_member(name, user, role), configured=False))

    async def remove_member(self, request: Request) -> Response:
        """The removal is valid from the next request on, in every process."""
        await self._enter(request)
        name, user = request.path_params["name"], request.path_params["user"]
        note(request.scope, scope=f"@{name}", whose=user)
        return json_response(group_json(await self.groups.set_member(name, user, None), configured=False))

    async def remove(self, request: Request) -> Response:
        """Removes the group with all its memories."""
        await self._enter(request)
        name = request.path_params["name"]
        erased = await self.groups.remove(name, self.erase)
        note(request.scope, scope=f"@{name}", count=erased)
        return json_response({"object": "group.removed", "name": name, "deleted": erased})

    async def _enter(self, request: Request) -> None:
        require_admin(self.auth, request)
        await self.groups.look()

    async def _fields(self, request: Request) -> dict[str, Any]:
        raw = await read_body(request.receive, request.headers, _LARGEST_BODY)
        return json_body.parse(raw) if raw else {}

    def _sorted(self) -> list[tuple[str, Group]]:
        return sorted(self.groups.all.items())


def asked_group(fields: dict[str, Any]) -> Group:
    """Raises `RequestError` 400."""
    refuse_unknown(fields, _FIELDS)
    try:
        return group_from(fields)
    except ValueError as error:
        raise RequestError(400, "invalid_group", str(error)) from None


def group_json(group: Group, *, configured: bool) -> dict[str, Any]:
    fields = {name: getattr(group, name) for name in _FIELDS}
    return {"object": "group", "configured": configured} | fields
