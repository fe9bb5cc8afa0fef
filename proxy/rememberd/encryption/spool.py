"""Turns sealed before they are spooled."""

from __future__ import annotations

import logging
from typing import Self

from rememberd.encryption.cipher import Cipher, DecryptionError
from rememberd.encryption.keyring import Keyring
from rememberd.encryption.queue import UNREADABLE
from rememberd.errors import MemoryUnavailable
from rememberd.memory.serialization import turn_from_json, turn_to_json
from rememberd.ports import Spool
from rememberd.types import SpooledTurn, Turn

log = logging.getLogger("rememberd.sealed")


class SealedSpool:
    """The `Spool` port over another. A turn is sealed with its user's key; with the root's key if the user's key
    cannot be read now (Redis is away) or does not exist yet."""

    def __init__(self, spool: Spool, keyring: Keyring) -> None:
        self.spool, self.keyring = spool, keyring

    async def append(self, turn: Turn) -> int:
        try:
            cipher = await self.keyring.known(turn.space.user)
        except MemoryUnavailable:
            cipher = None
        sealed = Turn(
            id=self.keyring.root.id(turn.id),
            space=self.keyring.space(turn.space),
            created_at=turn.created_at,
            user_text=(cipher or self.keyring.root).seal_text(turn_to_json(turn), f"spooled {turn.id}"),
            answer="",
            receipt="",
        )
        return await self.spool.append(sealed)

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
