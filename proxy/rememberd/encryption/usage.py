"""Stores usage counts with pseudonyms for the users."""

from collections.abc import Mapping

from rememberd.encryption.cipher import DecryptionError
from rememberd.encryption.keyring import Keyring
from rememberd.telemetry.usage.counts import Counts, UsageKey, UsageStore


class SealedUsage:
    def __init__(self, usage: UsageStore, keyring: Keyring) -> None:
        self.usage, self.keyring = usage, keyring

    async def add(self, counted: Mapping[UsageKey, Counts]) -> None:
        await self.usage.add({self._sealed(at): counts for at, counts in counted.items()})

    async def rows(self, since: str, until: str) -> dict[UsageKey, Counts]:
        rows = await self.usage.rows(since, until)
        return {at._replace(user=self._named(at.user)): counts for at, counts in rows.items()}

    async def spent(self, day: str) -> dict[str, int]:
        return await self.usage.spent(day)

    async def erase(self, user: str) -> None:
        await self.usage.erase(self.keyring.owner(user))

    def _sealed(self, at: UsageKey) -> UsageKey:
        return at._replace(user=self.keyring.owner(at.user)) if at.user else at

    def _named(self, pseudonym: str) -> str:
        """The user's name; the pseudonym itself if another root key made it."""
        try:
            return self.keyring.root.named(pseudonym) if pseudonym else ""
        except DecryptionError:
            return pseudonym
