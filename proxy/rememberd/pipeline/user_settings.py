"""Applies the user's settings to a request: a paused memory, and the rights of the app that sent it."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from rememberd.access.apps import ALL_RIGHTS, AppLog, AppRights, narrower
from rememberd.errors import QueueUnavailable
from rememberd.pipeline.chat_request import ChatRequest, UserTurn, user_turn
from rememberd.ports import PauseStore

log = logging.getLogger("rememberd.chat")


class UserSettings:
    """Makes two look-ups by key for each chat that uses memory. If they fail, nothing can be learned either, because
    the settings are stored where the queue is."""

    def __init__(self, app_log: AppLog, pauses: PauseStore) -> None:
        self.app_log, self.pauses = app_log, pauses

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
            paused = request.user_turn is not None and await self.pauses.paused(request.user_turn.space)
        except QueueUnavailable as error:
            log.warning("pauses and the rights of apps could not be read: %s", error)
            return request
        return replace(request, mode="off", user_turn=None) if paused else request


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
