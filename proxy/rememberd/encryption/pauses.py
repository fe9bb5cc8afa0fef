"""Who has paused their memory, by pseudonym."""

from __future__ import annotations

from rememberd.encryption.keyring import Keyring
from rememberd.ports import PauseStore


class SealedPauses:
    def __init__(self, pauses: PauseStore, keyring: Keyring) -> None:
        self.pauses, self.keyring = pauses, keyring

    async def paused(self, user: str) -> bool:
        return await self.pauses.paused(self.keyring.owner(user))

    async def pause(self, user: str) -> None:
        await self.pauses.pause(self.keyring.owner(user))

    async def resume(self, user: str) -> None:
        await self.pauses.resume(self.keyring.owner(user))
