"""Who read, changed, exported or erased whose memories, and who created keys: one JSON line for each event, without
content.

The receipt of a chat says what it recalled and learned. Ids of memories are left out: they are made from the user and
the words, so a guess could be checked against them.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rememberd.http.request import NOTED, header_values, request_id
from rememberd.telemetry.metrics import counter

log = logging.getLogger("rememberd.audit_log")

ENTRIES = counter("rememberd_audit_entries", "Lines for the audit log.", "outcome", "written", "lost")

OPERATOR = "operator"  # everybody who can run our commands on this machine
_SYNC_EVERY_SECONDS = 1.0
_PLACES = ("/v1/memories", "/v1/receipts", "/admin/")
_ACTIONS = {
    "GET /v1/memories": "list",
    "POST /v1/memories": "add",
    "DELETE /v1/memories": "erase",
    "POST /v1/memories/search": "search",
    "GET /v1/memories/export": "export",
    "POST /v1/memories/import": "import",
    "GET /v1/memories/files": "files.list",
    "POST /v1/memories/files": "files.command",
    "POST /v1/memories/preview": "preview",
    "GET /v1/memories/stats": "stats",
    "PUT /v1/memories/settings": "settings",
    "GET /v1/memories/apps": "apps.list",
    "PATCH /v1/memories/apps": "apps.change",
    "GET /v1/memories/{id}": "read",
    "GET /v1/memories/{id}/history": "history",
    "PATCH /v1/memories/{id}": "change",
    "DELETE /v1/memories/{id}": "delete",
    "GET /v1/receipts/{id}": "receipt",
    "GET /admin/keys": "keys.list",
    "POST /admin/keys": "keys.create",
    "DELETE /admin/keys/{id}": "keys.revoke",
    "POST /admin/keys/{id}/rotate": "keys.rotate",
    "GET /admin/apps": "apps.list",
    "PATCH /admin/apps": "apps.change",
    "GET /admin/users": "users.list",
    "POST /admin/dead/replay": "dead.replay",
    "DELETE /admin/users/{user:path}": "erase",
}


class AuditLog:
    """Appends to `path`, shared by processes. It is opened anew for each line, so it can be moved away at any time
    (logrotate needs no signal). `name_of` says what stands for a user's name, or a scope's. Each line ends with
    `stamp`: the format and the version of who wrote it."""

    def __init__(
        self, path: Path, name_of: Callable[[str], str] = lambda user: user, stamp: Mapping[str, Any] | None = None
    ) -> None:
        self.path, self.name_of, self.stamp = path, name_of, stamp or {}
        self._unsynced = False

    def record(self, entry: Mapping[str, Any]) -> None:
        """Some 20 µs: a kill -9 after this loses nothing, a power cut at most the last second. What cannot be written
        is counted, and goes to the ordinary log."""
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry, **self.stamp}
        line |= {each: self.name_of(line[each]) for each in ("whose", "scope") if line.get(each) is not None}
        try:
            self._append(orjson.dumps(line) + b"\n")
        except OSError as error:
            ENTRIES.labels("lost").inc()
            log.error("an audit entry could not be written (%s): %s", error.strerror, orjson.dumps(line).decode())
        else:
            ENTRIES.labels("written").inc()

    def sync(self) -> None:
        """When this returns, what was written survives a power cut."""
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
    """ASGI middleware that writes a line before the end of each answer to a request with a key, or of the admin."""

    def __init__(self, app: ASGIApp, log: AuditLog) -> None:
        self.app, self.log = app, log

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        audited = scope["type"] == "http" and scope["path"].startswith(_PLACES)
        return (self._recorded if audited else self.app)(scope, receive, send)

    async def _recorded(self, scope: Scope, receive: Receive, send: Send) -> None:
        id, status, open = request_id(header_values(scope)), 0, True
        noted = scope[NOTED] = dict[str, Any]()

        def record() -> None:
            nonlocal open
            did = _ACTIONS.get(f"{scope['method']} {getattr(scope.get('route'), 'path', '')}")
            if open and did and noted:
                self.log.record({"did": did, **noted, "request": id, "status": status})
            open = False

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", id.encode())]
            elif not message.get("more_body", False):
                record()
            await send(message)

        try:
            await self.app(scope, receive, watch)
            status = 499  # if it did not end: the client left
        except Exception:
            status = 500
            raise
        finally:
            record()
