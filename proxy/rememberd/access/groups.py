"""Groups of people who share memories: their members and the members' rights."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, get_args

from rememberd.errors import InputRejected, QueueUnavailable, RequestError
from rememberd.types import GROUP_SCOPE, SCOPE, Identity, Memory, Role, Space

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

ROLES: tuple[Role, ...] = get_args(Role)
_REFRESH_SECONDS = 1.0
_UNKNOWN = "unknown"

T = TypeVar("T", bound="Group | None")

log = logging.getLogger("rememberd.groups")


@dataclass(frozen=True, slots=True)
class Group:
    """`members` by user. `claim_role` is the role of users whose sign-in names the group; None: no role. With
    `keep_contributions`, an erased member's memories stay, without the name. `former` are users who were members;
    None: unknown."""

    name: str
    members: Mapping[str, Role] = field(default_factory=dict)
    claim_role: Role | None = None
    keep_contributions: bool = False
    former: tuple[str, ...] | None = ()

    def may_hold(self, user: str) -> bool:
        """True if the group may have memories that the user contributed."""
        return self.former is None or self.claim_role is not None or user in self.members or user in self.former


def group_from(given: Mapping[str, Any]) -> Group:
    """Raises `ValueError` with advice."""
    name, members, claimed = given.get("name"), given.get("members") or {}, given.get("claim_role")
    if not isinstance(name, str) or not SCOPE.fullmatch(name):
        raise ValueError("`name` must be 1 to 64 letters, digits, dots, dashes or underscores")
    if not isinstance(members, Mapping):
        raise ValueError(f"`members` of {name!r} must be a table of users and their roles")
    for user, role in members.items():
        if not isinstance(user, str) or not user.strip() or not user.isprintable() or role not in ROLES:
            raise ValueError(f"`members` of {name!r}: {user!r} must be a user with one role of {', '.join(ROLES)}")
    if claimed is not None and claimed not in ROLES:
        raise ValueError(f"`claim_role` of {name!r} must be one of {', '.join(ROLES)}, or null")
    if not isinstance(given.get("keep_contributions", False), bool):
        raise ValueError(f"`keep_contributions` of {name!r} must be true or false")
    return Group(name, dict(members), claimed, bool(given.get("keep_contributions")))


Change = Callable[[Group | None], Group | None]


class GroupStore(Protocol):
    """Where the groups are stored that were created while the proxy runs. Each method raises `QueueUnavailable`."""

    async def all(self) -> list[Group]: ...

    async def change(self, name: str, change: Change) -> Group | None:
        """Replace the group by the result of `change` (None: there is no group). `change` may be called again."""

    async def version(self) -> str:
        """A text that changes with each change by any process; "" if no group was ever created. It is cheap enough to
        be read for every request."""

    async def close(self) -> None: ...


def without_members(group: Group, gone: Collection[str]) -> Group:
    """The group without these members, who become former ones."""
    members = {name: role for name, role in group.members.items() if name not in gone}
    return replace(group, members=members, former=_with(group.former, gone & group.members.keys()))


class Groups:
    """The current groups: those of the settings, and the created (`made`) ones as they are when a request begins."""

    def __init__(self, configured: Iterable[Group] = (), made: GroupStore | None = None) -> None:
        self.configured, self.made = {group.name: group for group in configured}, made
        self._known: dict[str, Group] = {}
        self._version = ""
        self._one_at_a_time = asyncio.Lock()  # an older state must not replace a newer one
        self._put_in_force()

    def reload(self, other: Groups) -> None:
        """Replace the configured groups with those of `other`."""
        self.configured = other.configured
        self._put_in_force()

    @property
    def any_made(self) -> bool:
        return self.made is not None and bool(self._version or self._known)

    async def refresh(self) -> None:
        """After this, a removed member is no longer a member in this process. While the created groups cannot be
        read, they have no members. Costs nothing if no group was created."""
        if self.any_made:
            await self.look()

    async def look(self) -> None:
        """Like `refresh`, but also if no group was created so far."""
        if self.made is None:
            return
        try:
            if await self.made.version() == self._version:
                return
            async with self._one_at_a_time:
                version = await self.made.version()
                if version != self._version:
                    self._known = {group.name: group for group in await self.made.all()}
                    self._version = version
                    self._put_in_force()
        except QueueUnavailable as error:
            if self._version != _UNKNOWN:
                log.error("groups cannot be read and have no members until they can be read: %s", error)
            self._known, self._version = {}, _UNKNOWN
            self._put_in_force()

    async def run(self) -> None:
        """Read the groups every second, so that the first group is noticed."""
        while True:
            await self.look()
            await self.note_configured()
            await asyncio.sleep(_REFRESH_SECONDS)

    async def note_configured(self) -> None:
        """Remember the groups of the settings and their members, so that erasing a user still finds contributions
        after a group was removed from the settings."""
        if self._version == _UNKNOWN or self.made is None:
            return
        for name, group in self.configured.items():
            noted = self._known.get(name)
            if noted and (
                noted.former is None or (group.members.keys() <= set(noted.former) and not group.claim_role)
            ):
                continue
            try:
                await self.made.change(name, partial(_noted, group))
            except QueueUnavailable as error:
                log.warning("a group of the settings is not recorded yet: %s", error)

    async def leave(self, user: str) -> dict[str, bool]:
        """Remove the user from all created groups. Returns the result of `holding`. Raises `QueueUnavailable`."""
        for group in await self.made.all() if self.made else ():
            if self.made is not None and user in group.members:
                await self.made.change(group.name, lambda there: there and without_members(there, {user}))
        await self.look()
        return await self.holding(user)

    async def holding(self, user: str) -> dict[str, bool]:
        """The groups that may have contributions of the user, and whether these stay (without the name) when the user
        is erased. Raises `QueueUnavailable`."""
        made = {group.name: group for group in await self.made.all()} if self.made else {}
        holding = {name for groups in (made, self.configured) for name, each in groups.items() if each.may_hold(user)}
        return {name: group.keep_contributions for name, group in (made | self.configured).items() if name in holding}

    async def forget(self, user: str) -> None:
        """Remove the user from the former members of all groups. Call it after `leave`, when the user's contributions
        are deleted. Raises `QueueUnavailable`."""
        for group in await self.made.all() if self.made else ():
            if self.made is not None and user in (group.former or ()):
                await self.made.change(group.name, partial(_without_name, user))

    async def create(self, group: Group) -> Group:
        """Raises `InputRejected` if a group has this name, and `QueueUnavailable`."""

        def change(there: Group | None) -> Group:
            if there is not None:
                raise InputRejected("group_exists", f"there is a group {group.name!r}", param="name")
            return group

        return await self._change(group.name, change)

    async def set_member(self, name: str, user: str, role: Role | None) -> Group:
        """`role` None removes the user. Raises the errors of `create`, also for a group that does not exist."""

        def change(there: Group | None) -> Group:
            if there is None:
                raise _no_such(name)
            left = without_members(there, {user})
            return left if role is None else replace(left, members={**left.members, user: role})

        return await self._change(name, change)

    async def remove(self, name: str, erase: Callable[[str], Awaitable[int]]) -> int:
        """Remove the group and erase its memories with `erase`. First all members are removed, so that nobody can
        read or write the memories. The group exists until its memories are erased: then this can be repeated, and a
        new group of the same name is empty. Returns the number of erased memories. Raises the errors of `set_member`
        and `erase`."""

        def emptied(there: Group | None) -> Group:
            if there is None:
                raise _no_such(name)
            return Group(name, former=without_members(there, there.members.keys()).former)

        await self._change(name, emptied)
        erased = await erase(Space.of_group(name).user)
        await self._change(name, lambda there: None)
        return erased

    async def _change(self, name: str, change: Callable[[Group | None], T]) -> T:
        if name in self.configured:
            message = f"the group {name!r} is in the settings: change it there"
            raise InputRejected("group_is_configured", message, param="name")
        if self.made is None:
            raise QueueUnavailable("groups cannot be stored")
        changed = await self.made.change(name, change)
        await self.look()
        return cast(T, changed)

    async def close(self) -> None:
        if self.made is not None:
            await self.made.close()

    def resolved(self, identity: Identity, scopes: Iterable[str] | None) -> Identity:
        """The identity with its roles. `scopes` are those that the key may use, None for all. Raises `RequestError`
        403 if the scope is a group's and the user is not a member."""
        roles = dict(self._roles.get(identity.user, {}))
        for name in identity.groups:
            claimed = self.all[name].claim_role if name in self.all else None
            if claimed is not None:
                roles[name] = max(roles.get(name, claimed), claimed, key=ROLES.index)
        if scopes is not None:
            allowed = set(scopes)
            roles = {name: role for name, role in roles.items() if GROUP_SCOPE + name in allowed}
        if identity.group is not None and identity.group not in roles:
            message = f"you are not a member of {identity.scope}, or there is no such group"
            raise RequestError(403, "not_a_member", message, param="X-Memory-Scope")
        return replace(identity, roles=roles) if roles else identity

    def _put_in_force(self) -> None:
        self.all = self._known | self.configured
        self._roles: dict[str, dict[str, Role]] = {}
        for group in self.all.values():
            for user, role in group.members.items():
                self._roles.setdefault(user, {})[group.name] = role


NO_GROUPS = Groups()


class GroupsMiddleware:
    """ASGI middleware: each request sees the groups as they are when it begins."""

    def __init__(self, app: ASGIApp, groups: Groups) -> None:
        self.app, self.groups = app, groups

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return (self._refreshed if self.groups.any_made else self.app)(scope, receive, send)

    async def _refreshed(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.groups.refresh()
        await self.app(scope, receive, send)


def _noted(configured: Group, there: Group | None) -> Group:
    there = there or Group(configured.name, keep_contributions=configured.keep_contributions)
    known = None if configured.claim_role else _with(there.former, configured.members.keys())
    return replace(there, former=known)


def _without_name(user: str, there: Group | None) -> Group | None:
    if there is None or there.former is None:
        return there
    return replace(there, former=tuple(name for name in there.former if name != user))


def _with(former: tuple[str, ...] | None, users: Collection[str]) -> tuple[str, ...] | None:
    return None if former is None else tuple(sorted({*former, *users}))


def _no_such(name: str) -> InputRejected:
    return InputRejected("group_not_found", f"there is no group {name[:64]!r}")


def may_write(identity: Identity) -> bool:
    """True if this identity may write memories in the space `identity.memories`."""
    return identity.group is None or identity.roles[identity.group] != "reader"


def may_change(identity: Identity, memory: Memory) -> bool:
    """True if this identity may edit and delete the memory. In a group, writers may change only their own
    memories."""
    if identity.group is None or identity.roles[identity.group] == "owner":
        return True
    return may_write(identity) and memory.contributor == identity.user
