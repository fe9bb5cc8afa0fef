"""Seals turns before they are spooled."""

import logging
from collections.abc import Awaitable, Callable
from typing import Self

from rememberd.encryption.cipher import Cipher, DecryptionError
from rememberd.encryption.keyring import Keyring
from rememberd.encryption.queue import UNREADABLE, opened_letter, sealed_turn
from rememberd.errors import MemoryUnavailable
from rememberd.memory.serialization import turn_from_json
from rememberd.ports import Spool
from rememberd.ports.queues import DeadLetter, SpooledTurn
from rememberd.types import Turn

log = logging.getLogger("rememberd.sealed")


class SealedSpool:
    """The `Spool` port around another spool. A turn is sealed with its user's key, or with the root's key if the
    user's key cannot be read now (Redis is unavailable) or does not exist yet."""

    def __init__(self, spool: Spool, keyring: Keyring) -> None:
        self.spool, self.keyring = spool, keyring

    async def append(self, turn: Turn) -> int:
        return await self.spool.append(await self._sealed(turn))

    async def dead_letter(self, turn: Turn, error: str) -> None:
        error = self.keyring.root.seal_text(error.encode(), "error")
        await self.spool.dead_letter(await self._sealed(turn), error)

    async def dead(self) -> list[DeadLetter]:
        return [opened_letter(self.keyring, letter) for letter in await self.spool.dead()]

    async def replay(self, put: Callable[[Turn], Awaitable[bool]]) -> int:
        async def put_opened(sealed: Turn) -> bool:
            turn = await self._opened(sealed)
            return turn is not None and await put(turn)

        return await self.spool.replay(put_opened)

    async def erase(self, user: str) -> None:
        await self.spool.erase(self.keyring.owner(user))

    async def _sealed(self, turn: Turn) -> Turn:
        try:
            cipher = await self.keyring.known(turn.space.user)
        except MemoryUnavailable:
            cipher = None
        return sealed_turn(self.keyring, cipher or self.keyring.root, turn, "spooled")

    async def read(self, position: int) -> list[SpooledTurn]:
        return [each._replace(turn=await self._opened(each.turn)) for each in await self.spool.read(position)]

    async def clear(self, position: int) -> bool:
        return await self.spool.clear(position)

    async def adopt(self) -> list[Self]:
        return [type(self)(each, self.keyring) for each in await self.spool.adopt()]

    async def close(self) -> None:
        await self.spool.close()

    async def _opened(self, sealed: Turn | None) -> Turn | None:
        if sealed is None:
            return None
        try:
            cipher = await self.keyring.known(self.keyring.plain_space(sealed.space).user)
            return turn_from_json(self._plain(sealed, cipher))
        except DecryptionError as error:
            UNREADABLE.labels("turn").inc()
            log.error("a spooled turn cannot be decrypted (%s) and is left out: was its user erased?", error)
            return None

    def _plain(self, sealed: Turn, cipher: Cipher | None) -> bytes:
        place = f"spooled {self.keyring.root.plain_id(sealed.id)}"
        if cipher is not None:
            try:
                return cipher.open_text(sealed.user_text, place)
            except DecryptionError:
                pass  # sealed with the root's key, before this user had one
        return self.keyring.root.open_text(sealed.user_text, place)
