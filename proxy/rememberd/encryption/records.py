"""Seals receipts, cached blocks and the memory tool's files before they are stored."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from rememberd.encryption.cipher import Cipher, DecryptionError
from rememberd.encryption.keyring import Keyring
from rememberd.encryption.queue import UNREADABLE
from rememberd.errors import QueueUnavailable
from rememberd.ports import BlockCache, ReceiptStore, ToolFileStore
from rememberd.types import Millis, Receipt, Space

log = logging.getLogger("rememberd.sealed")


class SealedReceipts:
    """Replaces memories, turns and models by pseudonyms. Times, counts and outcomes stay readable."""

    def __init__(self, receipts: ReceiptStore, keyring: Keyring) -> None:
        self.receipts, self.keyring = receipts, keyring

    async def put(self, receipt: Receipt) -> bool:
        cipher = await self.keyring.own(receipt.space.user)
        return await self.receipts.put(
            replace(
                receipt,
                space=self.keyring.space(receipt.space),
                model=cipher.name(receipt.model),
                turn_id=receipt.turn_id and self.keyring.root.id(receipt.turn_id),
                recalled=_sealed(cipher, receipt.recalled),
                written=_sealed(cipher, receipt.written),
            )
        )

    async def written(self, space: Space, receipt_id: str, ids: Sequence[str], outcome: str) -> None:
        cipher = await self.keyring.known(space.user)
        if cipher is not None:
            await self.receipts.written(self.keyring.space(space), receipt_id, _sealed(cipher, ids), outcome)

    async def get(self, space: Space, receipt_id: str) -> Receipt | None:
        found = await self.receipts.get(self.keyring.space(space), receipt_id)
        return next(iter(await self._opened(space, [found] if found else [])), None)

    async def recent(self, space: Space, limit: int) -> list[Receipt]:
        return await self._opened(space, await self.receipts.recent(self.keyring.space(space), limit))

    async def recalled(self, space: Space) -> tuple[Millis | None, frozenset[str]]:
        cipher = await self.keyring.known(space.user)
        if cipher is None:
            return None, frozenset()
        since, ids = await self.receipts.recalled(self.keyring.space(space))
        return since, frozenset(cipher.plain_id(each) for each in ids)

    async def _opened(self, space: Space, found: list[Receipt]) -> list[Receipt]:
        """The receipts that can be decrypted."""
        cipher, opened = await self.keyring.known(space.user), list[Receipt]()
        if cipher is None:
            return []
        for sealed in found:
            try:
                opened.append(self._plain(cipher, space, sealed))
            except DecryptionError as error:
                _count("receipt", error)
        return opened

    def _plain(self, cipher: Cipher, space: Space, sealed: Receipt) -> Receipt:
        return replace(
            sealed,
            space=space,
            model=cipher.named(sealed.model),
            turn_id=sealed.turn_id and self.keyring.root.plain_id(sealed.turn_id),
            recalled=tuple(cipher.plain_id(each) for each in sealed.recalled),
            written=tuple(cipher.plain_id(each) for each in sealed.written),
        )

    async def erase(self, user: str, at: Millis) -> int:
        return await self.receipts.erase(self.keyring.owner(user), at)

    async def expire(self, older_than: Millis) -> int:
        return await self.receipts.expire(older_than)


class SealedBlockCache:
    """Seals the blocks. How often a space has changed stays readable."""

    def __init__(self, block_cache: BlockCache, keyring: Keyring) -> None:
        self.block_cache, self.keyring = block_cache, keyring

    async def bump(self, space: Space) -> int:
        return await self.block_cache.bump(self.keyring.space(space))

    async def get(self, space: Space, key: str) -> tuple[int, tuple[int, bytes] | None]:
        cipher = await self.keyring.known(space.user)
        version, found = await self.block_cache.get(self.keyring.space(space), self.keyring.root.id(key))
        if not cipher or not found:
            return version, None
        try:
            return version, (found[0], cipher.open(found[1], f"block {key}"))
        except DecryptionError as error:
            _count("block", error)
            return version, None

    async def versions(self, spaces: Sequence[Space]) -> list[tuple[int, int]]:
        return await self.block_cache.versions([self.keyring.space(space) for space in spaces])

    async def put(
        self, space: Space, key: str, version: int, value: bytes, *, at: Millis, replaces: Millis = 0
    ) -> None:
        cipher = await self.keyring.own(space.user)
        sealed = cipher.seal(value, f"block {key}")
        await self.block_cache.put(
            self.keyring.space(space), self.keyring.root.id(key), version, sealed, at=at, replaces=replaces
        )

    async def erase(self, user: str) -> int:
        return await self.block_cache.erase(self.keyring.owner(user))

    async def expire(self, older_than: Millis) -> int:
        return await self.block_cache.expire(older_than)


class SealedToolFiles:
    """Raises `QueueUnavailable` for files that cannot be decrypted, so that nobody overwrites them."""

    def __init__(self, files: ToolFileStore, keyring: Keyring) -> None:
        self.files, self.keyring = files, keyring

    async def get(self, space: Space) -> tuple[int, bytes]:
        version, body = await self.files.get(self.keyring.space(space))
        # After the files: somebody else may make the user's key and the first file between two calls.
        cipher = await self.keyring.known(space.user) if body else None
        if cipher is None:
            return version, b""
        try:
            return version, cipher.open(body, f"files {space.scope}")
        except DecryptionError as error:
            raise QueueUnavailable(f"the memory tool's files cannot be decrypted: {error}") from error

    async def put(self, space: Space, version: int, body: bytes, *, at: Millis) -> bool:
        sealed = (await self.keyring.own(space.user)).seal(body, f"files {space.scope}")
        return await self.files.put(self.keyring.space(space), version, sealed, at=at)

    async def erase(self, user: str, at: Millis) -> None:
        await self.files.erase(self.keyring.owner(user), at)


def _sealed(cipher: Cipher, ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(cipher.id(each) for each in ids)


def _count(part: str, error: DecryptionError) -> None:
    UNREADABLE.labels(part).inc()
    log.error("a %s cannot be decrypted (%s) and is left out", part, error)
