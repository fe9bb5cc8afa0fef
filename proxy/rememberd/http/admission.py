"""Admits a few new requests in each iteration of the event loop.

Without it, a hundred requests that arrive together are all parsed and checked in one iteration. On a busy machine
that takes half a second, and `/health/live` and all running streams wait for it.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable

from starlette.types import ASGIApp, Receive, Scope, Send

MOST = 16  # new requests in one iteration
LONG_S = 0.004  # the time that 20 requests without memory take, or one or two with memory

WAITED_S = "rememberd.waited_s"  # in an ASGI scope: how long the request waited until it was admitted

# Every header that may identify the caller. None is verified yet. All users of a gateway may send the same key.
_CALLER = frozenset(
    (b"authorization", b"x-api-key", b"cookie", b"x-memory-user", b"x-openwebui-user-id", b"x-openwebui-user-jwt")
)

Turn = asyncio.Future[None]


class AdmissionMiddleware:
    """ASGI middleware. After an iteration longer than `LONG_S`, as many times fewer requests are admitted, at least
    one; after each short iteration, one more, up to `MOST`. The number that wait is limited by
    `server.max_connections`. `/health/*` never waits. A call of the app from within a request (by MCP) does not wait
    either: its scope is a copy of that request's scope.

    Callers take turns, so that one with many requests does not delay the others. POST requests and all others also
    take turns: a look-up does not wait for all earlier chats. `clock` gives this thread's CPU time in seconds, so
    that other processes do not make an iteration look long. `note` is called for each request."""

    def __init__(
        self, app: ASGIApp, clock: Callable[[], float] = time.thread_time, note: Callable[[], None] = lambda: None
    ) -> None:
        self.app, self.clock, self.note = app, clock, note
        self._may_begin, self._begun = 1, 0  # in this iteration
        self._since = 0.0
        self._posts, self._others = _Line(), _Line()
        self._lines = deque((self._posts, self._others))  # the next one first

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or scope["path"].startswith("/health/") or WAITED_S in scope:
            return self.app(scope, receive, send)
        self.note()
        scope[WAITED_S] = 0.0
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
        arrived = time.monotonic()
        await turn
        scope[WAITED_S] = time.monotonic() - arrived
        await self.app(scope, receive, send)

    def _next_round(self) -> None:
        began, self._since = self._since, self.clock()
        if (took := self._since - began) > LONG_S:
            self._may_begin = max(1, int(self._may_begin * LONG_S / took))
        elif any(self._lines):
            self._may_begin = min(self._may_begin + 1, MOST)
        let_in = 0
        while let_in < self._may_begin and (turn := self._next()) is not None:
            turn.set_result(None)
            let_in += 1
        self._begun = self._may_begin if let_in else 0  # new requests begin after the admitted ones
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
    """Waiting requests, in round-robin order of their callers."""

    def __init__(self) -> None:
        self._callers: OrderedDict[Hashable, deque[Turn]] = OrderedDict()

    def add(self, caller: Hashable, turn: Turn) -> None:
        self._callers.setdefault(caller, deque()).append(turn)

    def next(self) -> Turn | None:
        """None if no request waits. Requests of clients that have left are skipped."""
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
