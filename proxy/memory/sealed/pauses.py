"""Who has paused their memory, by pseudonym."""

from __future__ import annotations

from proxy.memory.database import Database
from proxy.memory.pauses import Pauses
from proxy.memory.sealed.keyring import Keyring


class SealedPauses(Pauses):
    def __init__(self, database: Database, keyring: Keyring) -> None:
        super().__init__(database)
        self.keyring = keyring

    async def paused(self, user: str) -> bool:
        return await super().paused(self.keyring.owner(user))

    async def pause(self, user: str) -> None:
        await super().pause(self.keyring.owner(user))

    async def resume(self, user: str) -> None:
        await super().resume(self.keyring.owner(user))
