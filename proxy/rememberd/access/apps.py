"""The apps that use a user's memory, by the names that they send, and their rights.

An app can send any name, so these rights sort a user's own apps but do not protect: for that, limit the API key."""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from rememberd.errors import QueueUnavailable
from rememberd.telemetry.clock import wall_clock
from rememberd.types import MemoryMode, Millis

MOST_APPS = 100  # per user; one more app replaces the app that was not used for the longest time
LONGEST_NAME = 64
BROWSER, OPEN_WEBUI, UNNAMED = "browser", "Open WebUI", "unnamed"
_EVERY_S = 1.0
_AGAIN_MS: Millis = 60_000
_MOST_PENDING = 10_000
_VERSION = re.compile(r"/v?\d.*")
_MODES: dict[tuple[bool, bool], MemoryMode] = {
    (True, True): "on",
    (True, False): "read",
    (False, True): "write",
    (False, False): "off",
}

log = logging.getLogger("rememberd.apps")


class AppRights(NamedTuple):
    """Whether the app's requests may read and write memories, and their scope if they name none."""

    reads: bool = True
    writes: bool = True
    scope: str | None = None

    @property
    def memory(self) -> MemoryMode:
        return _MODES[self.reads, self.writes]


ALL_RIGHTS = AppRights()


def narrower(one: MemoryMode, other: MemoryMode) -> MemoryMode:
    """The mode that both modes allow."""
    return other if one in ("on", other) else one if other == "on" else "off"


class Sighting(NamedTuple):
    """The number of an app's `requests` since its last sighting, and the API key of the last one."""

    app: str
    key: str
    requests: int
    first_at: Millis
    last_at: Millis


@dataclass(frozen=True, slots=True)
class App:
    seen: Sighting  # of all its requests
    rights: AppRights = field(default=ALL_RIGHTS)


class AppStore(Protocol):
    """The apps of each user. Every method raises `QueueUnavailable`."""

    async def rights(self, user: str, app: str) -> AppRights:
        """`ALL_RIGHTS` if nothing was set. One look-up by key."""

    async def set(self, user: str, app: str, rights: AppRights) -> bool:
        """Returns False and stores nothing if the app was never seen."""

    async def saw(self, user: str, sightings: Sequence[Sighting]) -> None:
        """Add the sightings. Those from before the user's erasure are dropped. Of more than `MOST_APPS` apps, those
        that were not used for the longest time are dropped, unless rights were set for them."""

    async def all(self, user: str) -> list[App]:
        """The user's apps, the last seen first."""

    async def erase(self, user: str, at: Millis) -> None:
        """Delete the user's apps, and refuse sightings from before `at`."""


def app_name(headers: Mapping[str, str]) -> str:
    """The client's own name without its version: `X-Title` (a header that OpenRouter introduced), else the product in
    `User-Agent`. Header names are lower case."""
    title = headers.get("x-title", "")
    if not title and any(name.startswith("x-openwebui-") for name in headers):
        return OPEN_WEBUI  # its User-Agent names only its HTTP library
    return app_of(title or _product(headers)) or UNNAMED


def client_name(headers: Mapping[str, str]) -> str | None:
    """The value for `Source.client`: the product in `User-Agent` with its version, if it is the app's name; else the
    app's name. `app_of` gives the app's name for it."""
    product, app = _product(headers)[:LONGEST_NAME], app_name(headers)
    return (product or None) if app in (app_of(product), UNNAMED) else app


def app_of(client: str | None) -> str | None:
    """The app's name for a `Source.client`."""
    shown = _VERSION.sub("", client or "")
    if not shown.isprintable():
        shown = "".join(each for each in shown if each.isprintable())
    name = shown.strip()[:LONGEST_NAME].rstrip()
    return BROWSER if name == "Mozilla" else name or None


def _product(headers: Mapping[str, str]) -> str:
    return headers.get("user-agent", "").partition(" ")[0]


class AppLog:
    """Counts requests in this process. An app is stored at its first request, then at most once a minute. A killed
    process loses the last minute of its counts."""

    def __init__(self, store: AppStore) -> None:
        self.store = store
        self._counted: dict[tuple[str, str], Sighting] = {}
        self._written_at: dict[tuple[str, str], Millis] = {}

    def note(self, user: str, app: str, key: str, at: Millis) -> None:
        before = self._counted.get((user, app))
        if before is not None:
            self._counted[user, app] = before._replace(key=key, requests=before.requests + 1, last_at=at)
        elif len(self._counted) < _MOST_PENDING:
            self._counted[user, app] = Sighting(app, key, 1, at, at)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.flush(wall_clock())
            except QueueUnavailable as error:
                log.warning("apps cannot be stored; they are kept in this process and retried: %s", error)

    async def flush(self, now: Millis, *, everything: bool = False) -> None:
        """Raises `QueueUnavailable`; then the counts are kept for the next flush."""
        self._written_at = {at: when for at, when in self._written_at.items() if now - when < _AGAIN_MS}
        due = [at for at in self._counted if everything or at not in self._written_at]
        for user in dict.fromkeys(user for user, _ in due):
            apps = [app for each, app in due if each == user]
            sightings = [self._counted.pop((user, app)) for app in apps]
            try:
                await self.store.saw(user, sightings)
            except QueueUnavailable:
                for each in sightings:
                    self._put_back(user, each)
                raise
            self._written_at |= {(user, app): now for app in apps}

    def _put_back(self, user: str, missed: Sighting) -> None:
        since = self._counted.get((user, missed.app))
        if since is None:
            self._counted[user, missed.app] = missed
            return
        self._counted[user, missed.app] = since._replace(
            requests=since.requests + missed.requests, first_at=missed.first_at
        )

    async def close(self) -> None:
        try:
            await self.flush(wall_clock(), everything=True)
        except QueueUnavailable as error:
            log.warning("the apps of the last minute are not stored: %s", error)
