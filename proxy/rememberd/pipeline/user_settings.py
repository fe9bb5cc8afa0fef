"""Applies the user's settings to a request: pause and time zone, and the rights of the app that sent it."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from rememberd.access.apps import ALL_RIGHTS, AppLog, AppRights, narrower
from rememberd.errors import QueueUnavailable
from rememberd.memory.recall.dates import offset_of
from rememberd.pipeline.chat_request import ChatRequest, UserTurn, user_turn
from rememberd.ports import PreferenceStore

log = logging.getLogger("rememberd.chat")


class UserSettings:
    """Makes two look-ups by key for each chat that uses memory. If they fail, nothing can be learned either, because
    the settings are stored where the queue is."""

    def __init__(self, app_log: AppLog, preferences: PreferenceStore) -> None:
        self.app_log, self.preferences = app_log, preferences

    async def applied(self, request: ChatRequest, headers: Mapping[str, str]) -> ChatRequest:
        """`request`, limited to what the user allows. The app is recorded as seen, whatever its rights are."""
        turn = request.user_turn
        if turn is None:
            return request
        self.app_log.note(turn.identity.user, request.app, request.principal.name, request.at)
        try:
            rights = await self.app_log.store.rights(turn.identity.user, request.app)
            if rights != ALL_RIGHTS:
                request = await _limited(request, turn, rights, headers)
            if request.user_turn is None:
                return request
            paused, zone = await self.preferences.of(request.user_turn.space)
        except QueueUnavailable as error:
            log.warning("the user's settings could not be read: %s", error)
            return request
        if paused:
            return replace(request, mode="off", user_turn=None)
        return _in_zone(request, zone) if zone and not headers.get("x-timezone") else request


def _in_zone(request: ChatRequest, zone: str) -> ChatRequest:
    try:
        return replace(request, offset=offset_of(zone, request.at))
    except ValueError as error:  # another host, whose list of time zones is newer, has taken this name
        log.warning("a user's time zone is left out: %s", error)
        return request


async def _limited(
    request: ChatRequest, turn: UserTurn, rights: AppRights, headers: Mapping[str, str]
) -> ChatRequest:
    """`request`, limited to the app's rights: in the app's scope, if the request names none and its key may use
    it."""
    scopes = request.principal.scopes
    if rights.scope and "x-memory-scope" not in headers and (scopes is None or rights.scope in scopes):
        identity = replace(turn.identity, scope=rights.scope)
        turn = await asyncio.to_thread(user_turn, request.dialect, identity, turn.asked, request.body)
        request = replace(request, identity=identity, user_turn=turn)
    mode = narrower(request.mode, rights.memory)
    return replace(request, mode=mode, user_turn=None if mode == "off" else turn)
