"""API keys that are created while the proxy runs. Only their hashes are stored. Every process accepts a new key
within two seconds."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import orjson

from rememberd.access.auth import Auth
from rememberd.access.principals import digest, new_key
from rememberd.errors import InputRejected, QueueUnavailable
from rememberd.types import Millis, Principal

log = logging.getLogger("rememberd.keys")

_RECORD_USES_EVERY = 60  # refreshes
_TIMEOUT_SECONDS = 2.0
_UNREADABLE = "(unreadable)"
_MARK = "API keys were created here, so every request needs a key. Delete this file to serve without keys.\n"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Only the `digest` of the key is stored. A revoked key stays in the list, which shows who had access and that
    this proxy needs keys. A key that is not `readable` (a later version or another master key wrote it) is not
    accepted. `last_used_at` is up to a minute old; None: never."""

    id: str
    digest: bytes
    principal: Principal
    created_at: Millis
    revoked_at: Millis | None
    readable: bool = True
    last_used_at: Millis | None = None

    def expiring(self, at: Millis) -> ApiKey:
        """The same key, which ends at `at` unless it ends earlier."""
        ends = self.principal.expires_at
        expires_at = at if ends is None else min(ends, at)
        return replace(self, principal=replace(self.principal, expires_at=expires_at))


class ApiKeyStore(Protocol):
    """Where created keys are stored. Each method raises `QueueUnavailable`."""

    async def create(self, principal: Principal, at: Millis) -> tuple[ApiKey, str]:
        """The key itself is returned only here. Raises `InputRejected` if a valid key has the name."""

    async def revoke(self, id_or_name: str, at: Millis) -> ApiKey:
        """Raises `InputRejected` if no valid key has that id or name."""

    async def rotate(self, id_or_name: str, at: Millis, until: Millis) -> tuple[ApiKey, str]:
        """Creates a key of the same name with the same rights, which is returned only here; the old key ends at
        `until`. Raises `InputRejected` if no valid key has that id or name."""

    async def record_uses(self, times: Mapping[bytes, Millis]) -> None:
        """Store when the keys of these digests were last used."""

    async def all(self) -> list[ApiKey]:
        """In the order of creation, with the revoked ones."""

    async def version(self) -> str:
        """A text that changes with each change by any process. It is cheap enough to be read every second."""

    async def close(self) -> None: ...


class KeyMark:
    """A file that marks that keys were created here: if they are lost, the proxy must still require a key."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        return self.path.exists()

    def set(self) -> None:
        """Write the file. If this fails, it is logged; the keys are valid anyway."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.write_text(_MARK)
        except OSError as error:
            log.error("%s cannot be written; if the keys are lost, no key is needed: %s", self.path, error)


class KeyWatcher:
    """Passes the created keys to `auth`, and again whenever a key is created or revoked in any process."""

    def __init__(self, auth: Auth, keys: ApiKeyStore, mark: KeyMark) -> None:
        self.auth, self.keys, self.mark = auth, keys, mark
        self._version: str | None = None
        self._trouble = ""
        self._ever_made = mark.exists()
        self._revoked: set[str] = set()
        self._one_at_a_time = asyncio.Lock()  # an older state must not replace a newer one

    async def refresh(self) -> None:
        """While the keys cannot be read, the known ones stay valid; at the start, only those of the settings are."""
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    await self._adopt()
            except (QueueUnavailable, TimeoutError) as error:
                self._version = None
                reason = str(error) or f"no answer within {_TIMEOUT_SECONDS:.0f} s"
                if not self._trouble:
                    log.error("created keys cannot be read; the known ones stay valid: %s", reason)
                self._trouble = reason
            else:
                if self._trouble:
                    log.info("created keys can be read again")
                self._trouble = ""

    async def _adopt(self) -> None:
        """The stored keys may be restored from an older copy, or deleted. A revoked key stays revoked while this
        process lives, and if keys were needed once, they always are."""
        version = await self.keys.version()
        if version == self._version:
            return
        made = await self.keys.all()
        self._revoked |= {key.id for key in made if key.revoked_at is not None}
        if made and not self._ever_made:
            self.mark.set()
        elif self._ever_made and not made:
            log.error("the created keys are lost, but a key is still needed: create one (%s)", self.mark.path)
        self._ever_made = self._ever_made or bool(made)
        in_force = {key.digest: key.principal for key in made if key.readable and key.id not in self._revoked}
        self.auth.replace_made_keys(in_force, ever_made=self._ever_made)
        self._version = version

    async def run(self, refresh_s: float = 1.0) -> None:
        while True:
            for _ in range(_RECORD_USES_EVERY):
                await asyncio.sleep(refresh_s)
                await self.refresh()
            await self.record_uses()

    async def record_uses(self) -> None:
        """Store when each key was last used. If that fails, the times are dropped, because later uses follow."""
        if times := self.auth.take_uses():
            try:
                await self.keys.record_uses(times)
            except QueueUnavailable as error:
                log.warning("the times when keys were last used could not be stored: %s", error)


def made_key(principal: Principal, at: Millis) -> tuple[ApiKey, str]:
    """A new key as it is stored, and the key itself."""
    key = new_key()
    return ApiKey(f"key_{secrets.token_hex(8)}", digest(key), principal, at, None), key


def name_taken(name: str) -> InputRejected:
    message = f"there is already a key {name!r}: revoke it first, or choose another name"
    return InputRejected("key_exists", message, param="name")


def no_such_key(id_or_name: str) -> InputRejected:
    return InputRejected("key_not_found", f"there is no valid key {id_or_name[:64]!r}")


def stored_key(
    id: str,
    digest: bytes,
    principal: Callable[[], bytes],
    created_at: Millis,
    revoked_at: Millis | None,
    last_used_at: Millis | None = None,
) -> ApiKey:
    """The key from its stored fields; `principal` returns the JSON of the holder."""
    try:
        fields = orjson.loads(principal())
        for name in ("models", "scopes", "groups"):
            if fields.get(name) is not None:
                fields[name] = tuple(fields[name])
        return ApiKey(id, digest, Principal(**fields), created_at, revoked_at, last_used_at=last_used_at)
    except (ValueError, TypeError, KeyError) as error:
        log.error("the created key %s cannot be read and is not accepted: %s", id, error)
        return ApiKey(id, digest, Principal(_UNREADABLE), created_at, revoked_at, readable=False)
