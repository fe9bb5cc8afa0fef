"""The keyring: one key for each user, encrypted with the master key, in a separate file or in Redis.

When a user's row is deleted, nobody can read that user's data any more, in any file or backup. The root's key makes
the pseudonyms. To replace the master key, only these rows need to change.
"""

import logging
import os
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from rememberd.encryption.cipher import KEY_BYTES, Cipher, invalid_tag
from rememberd.encryption.master_key import Master
from rememberd.errors import ConfigError, StoreUnavailable
from rememberd.types import Space

ROOT = ""  # the owner of the root's key; no pseudonym is empty
_NONCE_BYTES = 12
_CACHED = 256  # users; each takes about 10 kB, without cached names

log = logging.getLogger("rememberd.sealed")


class Row(NamedTuple):
    master: str
    wrapped: bytes


class Keys(Protocol):
    """Stores the encrypted keys by owner. `place` is used in messages. Every method raises `QueueUnavailable`."""

    place: str

    async def begun(self) -> bool:
        """True if the root's row exists."""

    async def begin(self, root: Row, turned: bool, fresh: bool) -> tuple[Row, bool] | None:
        """The root's row, and whether vectors are rotated. If there is no row and `fresh` (nothing was stored
        before), store the given row; if not `fresh`, return None."""

    async def get(self, owner: str) -> Row | None:
        """Raises `StoreUnavailable` if the root's row is missing: then other rows may be missing too."""

    async def get_or_add(self, owner: str, made: Row) -> Row:
        """If several processes add a row for the same owner at once, all get the same row. Raises as `get` does."""

    async def drop(self, owner: str) -> str:
        """Delete the row. Returns why its bytes may still be on the disk; "" if they are not."""

    async def rewrap(self, newest: str, again: Callable[[str, Row], Row]) -> int:
        """Replace the rows whose master key is not `newest`, and wipe the old ones. Returns their number."""

    async def versions(self) -> Counter[str]: ...

    async def close(self) -> None: ...


class Keyring:
    """Call `await start()` first. `masters` is not empty; the first one encrypts. `left` says why the bytes of a
    destroyed key may still be on the disk.

    Raises `QueueUnavailable` if the keys cannot be read, `StoreUnavailable` if a row's master key is unknown.
    """

    def __init__(self, keys: Keys, masters: Sequence[Master], *, rotate_vectors: bool = False) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.keys, self.newest, self.rotate_vectors = keys, masters[0], rotate_vectors
        self._masters = {master.id: AESGCM(master.key) for master in masters}
        self._ciphers: OrderedDict[str, tuple[Row, Cipher]] = OrderedDict()
        self.root: Cipher
        self.left = ""

    async def start(self, fresh: Callable[[], Awaitable[bool]]) -> None:
        """Read the root's key, or create it if `fresh()` says that nothing was stored. Raises `ConfigError`."""
        made = self._wrapped(ROOT, os.urandom(KEY_BYTES))
        begun = await self.keys.begin(made, self.rotate_vectors, False)
        if begun is None:
            # `fresh()` must come before `begin`: another process may create the key meanwhile and store something.
            begun = await self.keys.begin(made, self.rotate_vectors, await fresh())
        if begun is None:
            raise plaintext_error(self.keys.place)
        row, turned = begun
        if row.master not in self._masters:
            raise ConfigError(
                f"{self.keys.place} needs the master key with the id {row.master}; memory.encryption names"
                f" {', '.join(self._masters)}: add it after the newest one"
            )
        if turned != self.rotate_vectors:
            raise ConfigError(
                "memory.encryption.rotate_vectors cannot be changed when there are memories: set it back"
            )
        self.root = Cipher(self._unwrapped(ROOT, row), ROOT)

    def owner(self, user: str) -> str:
        """The user's pseudonym."""
        return self.root.name(user)

    def space(self, space: Space) -> Space:
        """The pseudonyms of user and scope. Two users' scopes of the same name have different pseudonyms."""
        return Space(self.owner(space.user), self.root.name(f"{space.scope}\0{space.user}"))

    def plain_space(self, sealed: Space) -> Space:
        """Raises `DecryptionError`."""
        user = self.root.named(sealed.user)
        return Space(user, self.root.named(sealed.scope).removesuffix(f"\0{user}"))

    async def known(self, user: str) -> Cipher | None:
        """The user's cipher; None if the user has no key. The key is looked up every time (10 µs in a file, about 300
        in Redis), so that each process notices an erasure by another."""
        owner = self.owner(user)
        row = await self.keys.get(owner)
        if row is None:
            self._ciphers.pop(owner, None)
            return None
        return self._cipher(owner, row)

    async def own(self, user: str) -> Cipher:
        """The user's cipher, with a new key for a new user. The key is stored when this returns."""
        found = await self.known(user)
        if found is not None:
            return found
        owner = self.owner(user)
        made = self._wrapped(owner, os.urandom(KEY_BYTES))
        return self._cipher(owner, await self.keys.get_or_add(owner, made))

    async def holds(self, user: str, cipher: Cipher) -> bool:
        """True if this is still the user's key."""
        current = await self.known(user)
        return current is not None and current.fingerprint == cipher.fingerprint

    async def delete_key(self, user: str) -> None:
        """Destroy the user's key and wipe its bytes from the disk."""
        owner = self.owner(user)
        self.left = await self.keys.drop(owner)
        self._ciphers.pop(owner, None)
        if self.left:
            log.error("an erased user's key is deleted, but its bytes may still be on the disk: %s", self.left)

    async def rotate(self) -> int:
        """Encrypt every key with the newest master key and wipe the old form. Returns how many keys were changed. If
        it is interrupted, run it again."""
        return await self.keys.rewrap(
            self.newest.id, lambda owner, row: self._wrapped(owner, self._unwrapped(owner, row))
        )

    async def versions(self) -> Counter[str]:
        """The number of keys that each master key has encrypted, by the master key's id."""
        return await self.keys.versions()

    async def close(self) -> None:
        self._ciphers.clear()
        await self.keys.close()

    def _cipher(self, owner: str, row: Row) -> Cipher:
        kept = self._ciphers.get(owner)
        if kept is None or kept[0] != row:
            kept = self._ciphers[owner] = row, Cipher(self._unwrapped(owner, row), owner)
            if len(self._ciphers) > _CACHED:
                self._ciphers.popitem(last=False)
        self._ciphers.move_to_end(owner)
        return kept[1]

    def _wrapped(self, owner: str, key: bytes) -> Row:
        nonce = os.urandom(_NONCE_BYTES)
        return Row(self.newest.id, nonce + self._masters[self.newest.id].encrypt(nonce, key, owner.encode()))

    def _unwrapped(self, owner: str, row: Row) -> bytes:
        master = self._masters.get(row.master)
        if master is None:
            raise StoreUnavailable(f"a key needs the master key {row.master}, which this process does not have")
        try:
            return master.decrypt(row.wrapped[:_NONCE_BYTES], row.wrapped[_NONCE_BYTES:], owner.encode())
        except invalid_tag() as error:
            raise StoreUnavailable(f"a key in {self.keys.place} is damaged: restore it from a backup") from error


def plaintext_error(place: object) -> ConfigError:
    """The error for data that was stored without a master key or whose keys are lost."""
    return ConfigError(
        f"the memories in {place} are not encrypted: export those of each user with `rememberd memories export`,"
        " set another data_dir, and import them with `rememberd import`. If they were encrypted before, their keys"
        " are lost: restore keyring.db, or Redis's {rememberd}:keys, from a backup"
    )
