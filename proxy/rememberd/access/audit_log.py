"""The audit log: who read, changed, exported or erased whose memories, and who created keys. One JSON line per event,
without content.

For chats there are receipts. Ids of memories are left out: they are digests of the user and the words, so that
somebody could check a guess against them.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rememberd.http.request import NOTED, header_values, request_id
from rememberd.telemetry.metrics import counter

log = logging.getLogger("rememberd.audit_log")

ENTRIES = counter("rememberd_audit_entries", "Lines for the audit log.", "outcome", "written", "lost")

OPERATOR = "operator"  # anybody who can run our commands on this machine
_ROLES = frozenset((OPERATOR, "admin", "local", "sign-in", "client-key"))
_ADMIN_BY_CLAIM = "sign-in:"
_SYNC_EVERY_SECONDS = 1.0
PLACES = ("/v1/memories", "/v1/receipts", "/admin/")
ACTIONS = {
    "GET /v1/memories": "list",
    "POST /v1/memories": "add",
    "DELETE /v1/memories": "erase",
    "POST /v1/memories/search": "search",
    "POST /v1/memories/delete": "delete",
    "POST /v1/memories/edit": "edit",
    "POST /v1/memories/restore": "restore",
    "POST /v1/memories/move": "move",
    "GET /v1/memories/export": "export",
    "POST /v1/memories/import": "import",
    "POST /v1/memories/import/read": "import.preview",
    "DELETE /v1/memories/imports/{id}": "import.undo",
    "GET /v1/memories/files": "files.list",
    "POST /v1/memories/files": "files.command",
    "POST /v1/memories/preview": "preview",
    "GET /v1/memories/stats": "stats",
    "GET /v1/memories/settings": "settings.read",
    "PUT /v1/memories/settings": "settings",
    "GET /v1/memories/apps": "apps.list",
    "PATCH /v1/memories/apps": "apps.change",
    "GET /v1/memories/groups": "topics",
    "GET /v1/memories/review": "review",
    "GET /v1/memories/{id}": "read",
    "GET /v1/memories/{id}/history": "history",
    "GET /v1/memories/{id}/why": "why",
    "PATCH /v1/memories/{id}": "change",
    "DELETE /v1/memories/{id}": "delete",
    "GET /v1/receipts": "receipts.list",
    "GET /v1/receipts/{id}": "receipt",
    "GET /admin/keys": "keys.list",
    "POST /admin/keys": "keys.create",
    "DELETE /admin/keys/{id}": "keys.revoke",
    "POST /admin/keys/{id}/rotate": "keys.rotate",
    "GET /admin/groups": "groups.list",
    "POST /admin/groups": "groups.create",
    "DELETE /admin/groups/{name}": "groups.remove",
    "PUT /admin/groups/{name}/members/{user:path}": "groups.member.add",
    "DELETE /admin/groups/{name}/members/{user:path}": "groups.member.remove",
    "GET /admin/apps": "apps.list",
    "PATCH /admin/apps": "apps.change",
    "GET /admin/usage": "usage",
    "GET /admin/users": "users.list",
    "GET /admin/dead": "dead.list",
    "POST /admin/dead/replay": "dead.replay",
    "DELETE /admin/users/{user:path}": "erase",
}


class AuditLog:
    """Appends to `path`, shared by processes. It is opened anew for each line, so it can be moved away at any time
    (logrotate needs no signal). `name_of` says what stands for a user's name, a scope's, and that of a key unless it
    is one of `known`. Each line ends with `stamp`: the format and the version of who wrote it."""

    def __init__(
        self,
        path: Path,
        name_of: Callable[[str], str] = lambda user: user,
        stamp: Mapping[str, Any] | None = None,
        known: Collection[str] = (),
    ) -> None:
        self.path, self.name_of, self.stamp, self.known = path, name_of, stamp or {}, frozenset(known) | _ROLES
        self._unsynced = False

    def record(self, entry: Mapping[str, Any]) -> None:
        """Takes about 20 µs. After this, a kill -9 loses nothing and a power cut at most the last second. An entry
        that cannot be written is counted and written to the ordinary log."""
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry, **self.stamp}
        line |= {each: self.name_of(line[each]) for each in ("whose", "scope") if line.get(each) is not None}
        line |= {each: self._key(line[each]) for each in ("who", "key") if line.get(each) is not None}
        try:
            self._append(orjson.dumps(line) + b"\n")
        except OSError as error:
            ENTRIES.labels("lost").inc()
            log.error("an audit entry could not be written (%s): %s", error.strerror, orjson.dumps(line).decode())
        else:
            ENTRIES.labels("written").inc()

    def sync(self) -> None:
        """After this, all written entries survive a power cut."""
        if not self._unsynced:
            return
        self._unsynced = False
        file = self._open()
        try:
            os.fsync(file)
        finally:
            os.close(file)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_SYNC_EVERY_SECONDS)
            try:
                await asyncio.to_thread(self.sync)
            except OSError as error:
                log.error("the audit log could not be synced: %s", error.strerror)

    def _key(self, name: str) -> str:
        if name in self.known:
            return name
        if name.startswith(_ADMIN_BY_CLAIM):
            return _ADMIN_BY_CLAIM + self.name_of(name.removeprefix(_ADMIN_BY_CLAIM))
        return self.name_of(name)

    def _append(self, line: bytes) -> None:
        """One write at the end of the file: Linux does not mix the writes of several processes."""
        file = self._open()
        try:
            if os.write(file, line) != len(line):
                raise OSError(0, "the disk is full")
        finally:
            os.close(file)
        self._unsynced = True

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


class AuditMiddleware:
    """ASGI middleware that writes a line before the end of each response to an authenticated request."""

    def __init__(self, app: ASGIApp, log: AuditLog) -> None:
        self.app, self.log = app, log

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        audited = scope["type"] == "http" and scope["path"].startswith(PLACES)
        return (self._recorded if audited else self.app)(scope, receive, send)

    async def _recorded(self, scope: Scope, receive: Receive, send: Send) -> None:
        id, status, open = request_id(header_values(scope)), 0, True
        noted = scope[NOTED] = dict[str, Any]()

        def record() -> None:
            nonlocal open
            did = ACTIONS.get(f"{scope['method']} {getattr(scope.get('route'), 'path', '')}")
            if open and did and noted:
                try:
                    self.log.record({"did": did, **noted, "request": id, "status": status})
                except Exception:  # what was done is done, and the answer has to say so
                    ENTRIES.labels("lost").inc()
                    log.exception("an audit entry of %s could not be made", did)
            open = False

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                kept = [each for each in message["headers"] if each[0] != b"x-request-id"]
                message["headers"] = [*kept, (b"x-request-id", id.encode())]
            elif not message.get("more_body", False):
                record()
            await send(message)

        try:
            await self.app(scope, receive, watch)
            status = 499  # if there is no record yet: the client left
        except Exception:
            status = 500
            raise
        finally:
            record()
