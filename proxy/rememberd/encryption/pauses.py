"""Which memories are paused, by pseudonym."""

from __future__ import annotations

from rememberd.encryption.keyring import Keyring
from rememberd.ports import PauseStore
from rememberd.types import EVERY_SCOPE, Space


class SealedPauses:
    def __init__(self, pauses: PauseStore, keyring: Keyring) -> None:
        self.pauses, self.keyring = pauses, keyring

    async def paused(self, space: Space) -> bool:
        return await self.pauses.paused(self._sealed(space))

    async def pause(self, space: Space) -> None:
        await self.pauses.pause(self._sealed(space))

    async def resume(self, space: Space) -> None:
        await self.pauses.resume(self._sealed(space))

    def _sealed(self, space: Space) -> Space:
        if space.scope == EVERY_SCOPE:
            return Space(self.keyring.owner(space.user), EVERY_SCOPE)
        return self.keyring.space(space)
