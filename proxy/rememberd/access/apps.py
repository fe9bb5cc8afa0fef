"""The apps that use a user's memory, by the names that they give themselves, and what the user lets each of them do.

A name is a claim of the client. It sorts a user's own apps and keeps none out: for that, give a key fewer rights."""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from rememberd.errors import QueueUnavailable
from rememberd.telemetry.clock import wall_clock
from rememberd.types import MemoryMode, Millis

MOST_APPS = 100  # of one user; a further one takes the place of that which was away longest
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
    """May its requests read and write memories, and in which scope, where they name none?"""

    reads: bool = True
    writes: bool = True
    scope: str | None = None

    @property
    def memory(self) -> MemoryMode:
        return _MODES[self.reads, self.writes]


ALL_RIGHTS = AppRights()


def narrower(one: MemoryMode, other: MemoryMode) -> MemoryMode:
    """What both allow."""
    return other if one in ("on", other) else one if other == "on" else "off"


class Sighting(NamedTuple):
    """`requests` of an app since it was last counted, with the key that the last one had."""

    app: str
    key: str
    requests: int
    first_at: Millis
    last_at: Millis


@dataclass(frozen=True, slots=True)
class App:
    seen: Sighting  # all its requests
    rights: AppRights = field(default=ALL_RIGHTS)


class AppStore(Protocol):
    """The apps of each user. Every method raises `QueueUnavailable`."""

    async def rights(self, user: str, app: str) -> AppRights:
        """One look-up by key. `ALL_RIGHTS` if nothing was set."""

    async def set(self, user: str, app: str, rights: AppRights) -> bool:
        """False, and nothing is stored, if the app was never seen."""

    async def saw(self, user: str, sightings: Sequence[Sighting]) -> None:
        """Add them. Those that began before the user was erased are dropped; of more than `MOST_APPS` apps those that
        were away longest, unless they have rights of their own."""

    async def all(self, user: str) -> list[App]:
        """The last seen first."""

    async def erase(self, user: str, at: Millis) -> None:
        """Drop the user's apps, and refuse sightings of before `at`."""


def app_name(headers: Mapping[str, str]) -> str:
    """How the client calls itself, without its version: `X-Title`, which OpenRouter has asked clients for, or the
    product in `User-Agent`. Header names are lower case."""
    title = headers.get("x-title", "")
    if not title and any(name.startswith("x-openwebui-") for name in headers):
        return OPEN_WEBUI  # its User-Agent is that of its HTTP library
    return app_of(title or _product(headers)) or UNNAMED


def client_name(headers: Mapping[str, str]) -> str | None:
    """For `Source.client`: the product in `User-Agent` with its version, if that is what the app is called by; else
    the app's name. `app_of` it is the app's name."""
    product, app = _product(headers)[:LONGEST_NAME], app_name(headers)
    return (product or None) if app in (app_of(product), UNNAMED) else app


def app_of(client: str | None) -> str | None:
    """What the app is called in which something was said, by its `Source.client`."""
    shown = _VERSION.sub("", client or "")
    if not shown.isprintable():
        shown = "".join(each for each in shown if each.isprintable())
    name = shown.strip()[:LONGEST_NAME].rstrip()
    return BROWSER if name == "Mozilla" else name or None


def _product(headers: Mapping[str, str]) -> str:
    return headers.get("user-agent", "").partition(" ")[0]


class AppLog:
    """Counts requests here, and writes an app's down at once when it comes, then at most once a minute. A process
    that is killed loses the last minute of its counts."""

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
                log.warning("apps are counted here until they can be stored: %s", error)

    async def flush(self, now: Millis, *, everything: bool = False) -> None:
        """Raises `QueueUnavailable`; then the next flush goes on."""
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
