"""Stores the users' own settings, and the apps that use a memory, under pseudonyms."""

from collections.abc import Sequence

from rememberd.access.apps import App, AppRights, AppStore, Sighting
from rememberd.encryption.keyring import Keyring
from rememberd.ports import Preferences, PreferenceStore
from rememberd.types import EVERY_SCOPE, Millis, Space


class SealedPreferences:
    def __init__(self, preferences: PreferenceStore, keyring: Keyring) -> None:
        self.preferences, self.keyring = preferences, keyring

    async def of(self, space: Space) -> Preferences:
        paused, zone = await self.preferences.of(self._sealed(space))
        return Preferences(paused, zone and self.keyring.root.named(zone).removesuffix(f"\0{space.user}"))

    async def pause(self, space: Space) -> None:
        await self.preferences.pause(self._sealed(space))

    async def resume(self, space: Space) -> None:
        await self.preferences.resume(self._sealed(space))

    async def set_time_zone(self, space: Space, zone: str | None) -> None:
        sealed = zone and self.keyring.root.name(f"{zone}\0{space.user}")
        await self.preferences.set_time_zone(self._sealed(space), sealed)

    async def erase(self, user: str, at: Millis) -> None:
        await self.preferences.erase(self.keyring.owner(user), at)

    def _sealed(self, space: Space) -> Space:
        if space.scope == EVERY_SCOPE:
            return Space(self.keyring.owner(space.user), EVERY_SCOPE)
        return self.keyring.space(space)


class SealedApps:
    """Replaces the names of users, apps and scopes by pseudonyms. Names of keys, times and counts stay readable."""

    def __init__(self, apps: AppStore, keyring: Keyring) -> None:
        self.apps, self.keyring = apps, keyring

    async def rights(self, user: str, app: str) -> AppRights:
        return self._plain(user, await self.apps.rights(self.keyring.owner(user), self._sealed(user, app)))

    async def set(self, user: str, app: str, rights: AppRights) -> bool:
        sealed = rights._replace(scope=rights.scope and self._sealed(user, rights.scope))
        return await self.apps.set(self.keyring.owner(user), self._sealed(user, app), sealed)

    async def saw(self, user: str, sightings: Sequence[Sighting]) -> None:
        sealed = [each._replace(app=self._sealed(user, each.app)) for each in sightings]
        await self.apps.saw(self.keyring.owner(user), sealed)

    async def all(self, user: str) -> list[App]:
        found = await self.apps.all(self.keyring.owner(user))
        return [
            App(each.seen._replace(app=self._name(user, each.seen.app)), self._plain(user, each.rights))
            for each in found
        ]

    async def erase(self, user: str, at: Millis) -> None:
        await self.apps.erase(self.keyring.owner(user), at)

    def _plain(self, user: str, rights: AppRights) -> AppRights:
        return rights._replace(scope=rights.scope and self._name(user, rights.scope))

    def _sealed(self, user: str, name: str) -> str:
        """A pseudonym that differs for each user, so that nobody can see that two users have the same app."""
        return self.keyring.root.name(f"{name}\0{user}")

    def _name(self, user: str, sealed: str) -> str:
        return self.keyring.root.named(sealed).removesuffix(f"\0{user}")
