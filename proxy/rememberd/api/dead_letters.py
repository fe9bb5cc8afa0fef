"""`/admin/dead`: the turns that could not be queued, stored or read by a model, without their text."""

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rememberd.access.auth import Auth
from rememberd.api.dependencies import require_admin
from rememberd.api.serializers import rfc3339
from rememberd.http.responses import json_response
from rememberd.ports import ExtractionQueue, Spool, TurnQueue
from rememberd.ports.queues import DeadLetter
from rememberd.types import Turn

log = logging.getLogger("rememberd.dead_letters")

MOST = 100


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Each method raises `QueueUnavailable`."""

    queue: TurnQueue
    extraction_queue: ExtractionQueue
    spool: Spool

    async def list(self) -> tuple[int, list[DeadLetter]]:
        """Returns the number of dead letters, and the first `MOST`."""
        refused = await self.spool.dead()
        letters = [*await self.queue.dead(MOST), *await self.extraction_queue.dead(MOST), *refused]
        count = len(refused) + (await self.queue.stats()).dead + (await self.extraction_queue.stats()).dead
        return count, letters[:MOST]

    async def replay(self) -> int:
        """Returns the number of turns that will be retried."""
        replayed = await self.queue.replay() + await self.extraction_queue.replay()
        return replayed + await self.spool.replay(partial(_taken, self.queue))


async def _taken(queue: TurnQueue, turn: Turn) -> bool:
    """Returns False if the queue still refuses the turn. A turn whose user was erased meanwhile is accepted and
    dropped."""
    try:
        await queue.put(turn)
    except (ValueError, TypeError, OverflowError) as error:
        log.warning("the queue still refuses a turn: %s", type(error).__name__)
        return False
    return True


class DeadLetterApi:
    def __init__(self, auth: Auth, letters: DeadLetters) -> None:
        self.auth, self.letters = auth, letters

    async def list(self, request: Request) -> Response:
        require_admin(self.auth, request)
        count, letters = await self.letters.list()
        return json_response({"object": "list", "total": count, "data": [_shown(each) for each in letters]})

    async def replay(self, request: Request) -> Response:
        require_admin(self.auth, request)
        return json_response({"object": "dead_letters.replayed", "count": await self.letters.replay()})


def _shown(letter: DeadLetter) -> dict[str, Any]:
    """Shows only the kind of the error: the rest may quote the turn."""
    return {
        "object": "dead_letter",
        "id": letter.turn_id,
        "user": letter.space.user,
        "scope": letter.space.scope,
        "created_at": rfc3339(letter.created_at),
        "attempts": letter.attempts,
        "error": letter.error.partition(":")[0][:64],
    }
