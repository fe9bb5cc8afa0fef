"""Requests begin in turn, a few in each round of the event loop.

Those that come at once would all be parsed and checked in one round. With a hundred of them that takes half a second
on a busy machine, and `/health/live` and the streams that are under way would wait for its end.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable

from starlette.types import ASGIApp, Receive, Scope, Send

MOST = 16  # in a round
LONG_S = 0.004  # 20 requests without memory, or one or two with it, take so long

ADMITTED = "rememberd.admitted"  # in an ASGI scope

# Whatever may say who somebody is. Nothing is checked yet, and all people of a gateway may come with the same key.
_CALLER = frozenset(
    (b"authorization", b"x-api-key", b"cookie", b"x-memory-user", b"x-openwebui-user-id", b"x-openwebui-user-jwt")
)

Turn = asyncio.Future[None]


class AdmissionMiddleware:
    """ASGI middleware. One request begins in a round that follows a long one, and one more after each short one, up
    to `MOST`. As many wait as there are connections (`server.max_connections`). `/health/*` waits for nobody. Nor
    does a call of the app from within a request (by MCP): its scope is a copy of that of the request, which has
    waited.

    Callers take turns, whoever sends many requests at once. So do POSTs, which make models and the embedder work, and
    the others: a look-up does not wait for all chats that came before it. `clock` counts the seconds of CPU of this
    thread: other processes make no round long."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.thread_time) -> None:
        self.app, self.clock = app, clock
        self._may_begin, self._begun = 1, 0  # in this round
        self._since = 0.0
        self._posts, self._others = _Line(), _Line()
        self._lines = deque((self._posts, self._others))  # the next one first

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or scope["path"].startswith("/health/") or ADMITTED in scope:
            return self.app(scope, receive, send)
        scope[ADMITTED] = True
        return (self.app if self._begins() else self._in_turn)(scope, receive, send)

    def _begins(self) -> bool:
        if self._begun == 0:
            self._since = self.clock()
            asyncio.get_running_loop().call_soon(self._next_round)
        if self._begun >= self._may_begin:
            return False
        self._begun += 1
        return True

    async def _in_turn(self, scope: Scope, receive: Receive, send: Send) -> None:
        turn: Turn = asyncio.get_running_loop().create_future()
        line = self._posts if scope["method"] == "POST" else self._others
        line.add(tuple([value for name, value in scope["headers"] if name in _CALLER]), turn)
        await turn
        await self.app(scope, receive, send)

    def _next_round(self) -> None:
        began, self._since = self._since, self.clock()
        if self._since - began > LONG_S:
            self._may_begin = 1
        elif any(self._lines):
            self._may_begin = min(self._may_begin + 1, MOST)
        let_in = 0
        while let_in < self._may_begin and (turn := self._next()) is not None:
            turn.set_result(None)
            let_in += 1
        self._begun = self._may_begin if let_in else 0  # who comes now begins after those
        if let_in:
            asyncio.get_running_loop().call_soon(self._next_round)

    def _next(self) -> Turn | None:
        for _ in range(len(self._lines)):
            line = self._lines[0]
            self._lines.rotate()
            if (turn := line.next()) is not None:
                return turn
        return None


class _Line:
    """Turns that are waited for: the first one of each caller, then the second one of each."""

    def __init__(self) -> None:
        self._callers: OrderedDict[Hashable, deque[Turn]] = OrderedDict()

    def add(self, caller: Hashable, turn: Turn) -> None:
        self._callers.setdefault(caller, deque()).append(turn)

    def next(self) -> Turn | None:
        """None if nobody waits: those who have gone do not."""
        while self._callers:
            caller, turns = self._callers.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._callers[caller] = turns
            if not turn.done():
                return turn
        return None

    def __len__(self) -> int:
        return len(self._callers)
