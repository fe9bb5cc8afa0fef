"""Finds the caller of the memory API and the memories that the call may use."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from rememberd.access.apps import narrower
from rememberd.access.auth import Auth
from rememberd.access.groups import NO_GROUPS, Groups, may_change, may_write
from rememberd.access.identity import identify
from rememberd.api.mcp.internal_client import ASKING
from rememberd.dialects import body as json_body
from rememberd.errors import RequestError
from rememberd.http.request import header_values, note, read_body
from rememberd.memory.safety.quarantine import quarantine_if_suspicious
from rememberd.ports import MemoryStore
from rememberd.types import NEVER, Identity, Memory, MemoryMode, Principal, Space
from rememberd.upstream.catalog import Catalog


class CallerResolver:
    """Also reads the bodies of these calls, up to `max_body_bytes`."""

    def __init__(
        self, auth: Auth, groups: Groups = NO_GROUPS, catalog: Catalog | None = None, max_body_bytes: int = 2**25
    ) -> None:
        self.auth, self.groups, self.catalog, self.max_body_bytes = auth, groups, catalog, max_body_bytes

    async def body(self, request: Request) -> bytes:
        """Raises the errors of `read_body`."""
        return await read_body(request.receive, request.headers, self.max_body_bytes)

    async def fields(self, request: Request) -> dict[str, Any]:
        """The JSON object in the body. Raises the errors of `read_body`, and `RequestError` 400 for other JSON."""
        return json_body.parse(await self.body(request))

    def space(self, request: Request, *, whole_user: bool = False) -> Space:
        """The caller's own space, which is never a group's. Raises the errors of `identity`."""
        return self.identity(request, whole_user=whole_user).space

    def memories(self, request: Request, *, reads: bool = False) -> Space:
        """The space of the memories: the group's if the scope is a group. Raises the errors of `identity`, and 403
        for a reader unless the call only `reads`."""
        identity = self.identity(request)
        if not reads:
            _refuse_reader(identity)
        return identity.memories

    def refuse_others(self, request: Request, memories: Iterable[Memory]) -> None:
        """Raises `RequestError` 403 if the caller may not change one of these memories."""
        identity = self.identity(request, counts=False)
        if not all(may_change(identity, memory) for memory in memories):
            message = f"only an owner of {identity.scope} may change what others have contributed"
            raise RequestError(403, "not_yours", message)

    def refuse_to_members(self, request: Request, old: Memory, new: Memory) -> None:
        """Raises `RequestError` 403 if only an owner may change `old` to `new`: the new text reads like an order, or
        it becomes pinned."""
        identity = self.identity(request, counts=False)
        if new.pinned and not old.pinned and not _owns(identity):
            raise RequestError(403, "owners_pin", f"only an owner of {identity.scope} may pin, for all members")
        changed = new.text != old.text or new.valid_to != old.valid_to
        if changed and new.valid_to != NEVER and until_checked(identity, new).valid_to == NEVER:
            message = f"this reads like an order to an assistant: only an owner of {identity.scope} may let it pass"
            raise RequestError(403, "reads_like_an_order", message)

    def identity(self, request: Request, *, whole_user: bool = False, counts: bool = True) -> Identity:
        """`counts`: whether the call counts against the key's rate limit.

        Raises `RequestError`: 401 for a bad key; 403 if the key may name users and none is named, or if the call
        concerns the `whole_user` and the key is limited to scopes."""
        headers = header_values(request.scope)
        counts = counts and ASKING not in request.scope  # a tool's call was counted
        principal = self.auth.principal(headers, request.scope, counts=counts)
        note(request.scope, who=principal.name)
        _refuse_beyond(_allowed(principal, request), request)
        identity = identify(principal, headers, {}, self.groups)
        if whole_user and principal.scopes is not None:
            message = f"this key is for the scope {', '.join(principal.scopes)}; this needs one for all of the user"
            raise RequestError(403, "scope_not_allowed", message)
        if identity is None:
            raise RequestError(
                403, "no_identity", "this key speaks for several users: name one, as X-Memory-User or a signed token"
            )
        note(request.scope, whose=identity.user, scope=identity.scope)
        return identity

    def of_scope(self, request: Request, scope: str) -> Identity:
        """The caller's identity in another scope, in order to write there. Raises the errors of `memories`, and
        `RequestError` 400 or 403 for the scope."""
        named = header_values(request.scope) | {"x-memory-scope": scope}
        identity = identify(self.principal(request), named, {}, self.groups)
        if not scope or identity is None:
            raise RequestError(400, "invalid_scope", "`scope` must name one of your scopes", param="scope")
        _refuse_reader(identity)
        return identity

    def is_local(self, request: Request, model: str) -> bool:
        """True if this model is on the operator's own machines, by the same rule as in a chat. Raises `RequestError`
        404 for a model that this key may not use."""
        principal = self.principal(request)
        return all(each.local for each in self.catalog.targets(model, principal)) if self.catalog else False

    def told(self, request: Request, shown: dict[str, Any]) -> dict[str, Any]:
        """The part of a memory's JSON that this key or app may see: only its id if it may only write. Raises
        `RequestError` 401 for a bad key."""
        if _allowed(self.principal(request), request) == "on":
            return shown
        return {name: shown[name] for name in _OF_ANY_MEMORY if name in shown}

    def principal(self, request: Request) -> Principal:
        """The holder of the key. Does not count the request. Raises `RequestError` 401 for a bad key."""
        return self.auth.principal(header_values(request.scope), request.scope, counts=False)


_OF_ANY_MEMORY = ("id", "object", "asked")


def require_admin(auth: Auth, request: Request) -> None:
    """Raises the errors of `Auth.admin`."""
    note(request.scope, who=auth.admin(request.headers, request.scope))


def contributed(identity: Identity, memory: Memory) -> Memory:
    """The memory as it is stored for this caller. In a group only owners may pin, because a pinned memory is in the
    blocks of all members, before their own memories."""
    pinned = memory.pinned and _owns(identity)
    return replace(memory, group=identity.group, contributor=identity.contributor, pinned=pinned)


def _owns(identity: Identity) -> bool:
    """True if the caller may decide for all members."""
    return identity.group is None or identity.roles[identity.group] == "owner"


def until_checked(identity: Identity, memory: Memory) -> Memory:
    """In a group, a text that reads like an order is in quarantine until an owner releases it, because the models of
    all members would get it."""
    return memory if _owns(identity) else quarantine_if_suspicious(memory)


def _refuse_reader(identity: Identity) -> None:
    if not may_write(identity):
        message = f"you may read {identity.scope} and not write there: ask an owner of the group"
        raise RequestError(403, "readers_only_read", message, param="X-Memory-Scope")


async def read_anywhere(store: MemoryStore, identity: Identity, ids: Sequence[str]) -> list[Memory]:
    """The memories with these ids, in this order, from the caller's space and the groups that the caller may read."""
    spaces = [identity.memories, *map(Space.of_group, identity.looks_into)]
    found = [each for space in spaces for each in await store.get(space, ids)] if ids else []
    memories = {each.id: each for each in reversed(found)}
    return [memories[each] for each in ids if each in memories]


_READS = frozenset(("/v1/memories/search", "/v1/memories/preview"))  # POST requests that only read
_READS_AND_WRITES = "/v1/memories/files"  # a command's answer contains the text of the file


def _allowed(principal: Principal, request: Request) -> MemoryMode:
    """The memory mode of the key; for a call by MCP, limited by the app's rights."""
    context = request.scope.get(ASKING)
    return principal.memory if context is None else narrower(principal.memory, context.allowed)


def _refuse_beyond(allowed: MemoryMode, request: Request) -> None:
    """Raises `RequestError` 403 if the key may not do this. An MCP tool is checked by the API call that it makes."""
    path = request.url.path
    wants = "read" if request.method == "GET" or path in _READS else "write"
    if wants == "write" and path == _READS_AND_WRITES:
        wants = "read and write"
    if "dry_run" in request.query_params and allowed == "write":
        wants = "read"  # its answer shows known memories
    if path != "/mcp" and allowed not in ("on", wants):
        raise RequestError(403, "memory_not_allowed", f"this key or app may not {wants} memories, only: {allowed}")
