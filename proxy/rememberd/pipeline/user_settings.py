"""What the user has set for their memory, and for the app that asks: a request does no more than that."""

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
    """Two look-ups by key for a chat in which memory takes part. Where they fail, nothing can be learned either:
    settings are kept where turns wait."""

    def __init__(self, app_log: AppLog, pauses: PauseStore) -> None:
        self.app_log, self.pauses = app_log, pauses

    async def applied(self, request: ChatRequest, headers: Mapping[str, str]) -> ChatRequest:
        """`request` as the user lets it be. The app counts as seen, whatever it may do."""
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
            log.warning("no pauses, and no rights of apps: %s", error)
            return request
        return replace(request, mode="off", user_turn=None) if paused else request


async def _limited(
    request: ChatRequest, turn: UserTurn, rights: AppRights, headers: Mapping[str, str]
) -> ChatRequest:
    """In the app's scope, if the request names none and its key may use it."""
    scopes = request.principal.scopes
    if rights.scope and "x-memory-scope" not in headers and (scopes is None or rights.scope in scopes):
        identity = replace(turn.identity, scope=rights.scope)
        turn = await asyncio.to_thread(user_turn, request.dialect, identity, turn.asked, request.body)
        request = replace(request, identity=identity, user_turn=turn)
    mode = narrower(request.mode, rights.memory)
    return replace(request, mode=mode, user_turn=None if mode == "off" else turn)
