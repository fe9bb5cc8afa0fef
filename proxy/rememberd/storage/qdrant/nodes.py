"""The addresses of a cluster: which one is asked next, which are left out, and when they are used again."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from asyncio import Task
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from rememberd.upstream.http_client import Address, address

PORT = 6333
_FIRST_REST_S, _LONGEST_REST_S = 0.5, 15.0
# A node that hung serves old points for 7 to 12 s after it is back (measured with Qdrant 1.19).
SETTLES_S = 15.0
_SAY_EVERY_S = 60.0

log = logging.getLogger("rememberd.store")


class Node:
    """One address. After a failure or a slow answer it is left out, for longer each time, until it is ready again.

    `may_be_old`: the node was away, so its answers may be old. A node that was only slow has the newest data."""

    def __init__(self, to: Address, where: str) -> None:
        self.address, self.where = to, where
        self.left_out = self.may_be_old = self.settling = False
        self.settles_s, self.rests_until, self._said_until = SETTLES_S, 0.0, 0.0
        self._failures = 0

    @classmethod
    def at(cls, url: str, where: str) -> Node:
        """A node at `url`. Without a port, Qdrant's own port is used. Raises `ValueError`."""
        if not url.startswith(("http://", "https://")):
            raise ValueError("is not the address of a server")
        to = address(url)
        if urlsplit(url).port is None:
            to = to._replace(origin=to.origin._replace(port=PORT), host=f"{to.host}:{PORT}")
        return cls(to, where)

    def leave_out(self, *, only_slow: bool = False) -> None:
        if not self.left_out:
            log.warning("Qdrant at %s does not answer, or too slowly: the other addresses are asked", self.where)
        self.left_out, self.settling = True, False
        self.may_be_old |= not only_slow
        self.rests_until = time.monotonic() + min(_FIRST_REST_S * 2**self._failures, _LONGEST_REST_S)
        self._failures += 1

    def is_behind(self) -> None:
        """Log that the node lacks a write. It is still asked, because it may have everything of other users."""
        if time.monotonic() >= self._said_until:
            self._said_until = time.monotonic() + _SAY_EVERY_S
            log.warning("Qdrant at %s lacks writes that other nodes have: these are asked instead", self.where)

    def is_ready(self) -> None:
        """Use the node again: at once if it was only slow; otherwise when it is ready a second time, `settles_s`
        after the first."""
        if self.settling or not self.may_be_old:
            self.left_out = self.may_be_old = self.settling = False
            log.warning("Qdrant at %s is used again", self.where)
        else:
            self.settling = True
            self.rests_until = time.monotonic() + self.settles_s

    def answered(self) -> None:
        if not self.left_out:
            self._failures = 0


class Nodes:
    """`is_ready` asks a node that was left out whether it may be used again. No request of a user waits for it."""

    def __init__(self, nodes: Sequence[Node], is_ready: Callable[[Node], Awaitable[bool]]) -> None:
        self.all, self._is_ready = list(nodes), is_ready
        self._next = random.randrange(len(self.all))  # noqa: S311 - spreads the processes over the nodes
        self._asking: dict[str, Task[None]] = {}

    def in_turn(self) -> list[Node]:
        """The nodes in the order in which this request tries them. Nodes that are left out come later, and nodes that
        may have old data last."""
        self._next = (self._next + 1) % len(self.all)
        turn = self.all[self._next :] + self.all[: self._next]
        resting = [node for node in turn if node.left_out]
        for node in resting:
            if time.monotonic() >= node.rests_until and node.where not in self._asking:
                self._asking[node.where] = asyncio.create_task(self._ask(node))
        return sorted(turn, key=lambda node: (node.left_out, node.may_be_old))

    async def close(self) -> None:
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, node: Node) -> None:
        try:
            if await self._is_ready(node):
                node.is_ready()
            else:
                node.leave_out()
        finally:
            del self._asking[node.where]
