"""Requests to a Qdrant server or cluster, at any of its addresses, with a time limit and our own errors."""

import asyncio
import os
import time
from asyncio import Task
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson
from prometheus_client import Counter

from rememberd.errors import ConfigError, StoreUnavailable
from rememberd.storage.qdrant.nodes import Node, Nodes
from rememberd.upstream.http_client import Client
from rememberd.upstream.http_proxy import HttpProxies

# The limit of every call, even if its answer arrives slowly; a recall has a shorter deadline of its own.
CALL_SECONDS = 10.0
# When an answer takes longer, the next address is asked as well. A search takes 5 to 10 ms, and a recall must end
# within 150; a page or a write takes 5 to 160 ms, and should not be made twice because a server is busy.
SEARCH_PATIENCE_S, PATIENCE_S = 0.04, 1.0
_AGAIN_S = 0.1  # between tries while a collection is being created
_BEING_MADE = b"0 of 0 read operations"

failures = Counter("rememberd_qdrant_errors_total", "Calls that the Qdrant server refused or left unanswered")
failovers = Counter("rememberd_qdrant_failovers_total", "Requests that another address had to answer as well")


class Refused(StoreUnavailable):
    """The server answered with this status instead of a result."""

    def __init__(self, message: str, status: int, content: bytes) -> None:
        super().__init__(message)
        self.status, self.content = status, content

    @property
    def exists_already(self) -> bool:
        return self.status == 409 or b"already exists" in self.content

    @property
    def is_final(self) -> bool:
        """Whether every other address would answer the same."""
        return self.status < 500

    @property
    def is_early(self) -> bool:
        return self.status == 500 and _BEING_MADE in self.content


class Behind(StoreUnavailable):
    """The node lacks a write that was made."""


class Request(NamedTuple):
    method: str
    path: str
    body: bytes


Send = Callable[[str, str, Any], Coroutine[Any, Any, Any]]  # method, path and body: the result at one node
Work = Callable[[Send], Coroutine[Any, Any, Any]]


class Connection:
    """`where` is the address, or addresses, without secrets. Nothing is sent before the first call. A search asks the
    next address after `search_patience_s`."""

    def __init__(self, urls: Sequence[str], api_key: str | None = None, call_seconds: float = CALL_SECONDS) -> None:
        """Raises `ConfigError` for an invalid URL."""
        self.nodes = Nodes([_node(url) for url in urls], self._is_ready)
        self.where = ", ".join(node.where for node in self.nodes.all)
        self._call_seconds, self.search_patience_s = call_seconds, SEARCH_PATIENCE_S
        self._client = Client(HttpProxies.of(os.environ))
        # Compressed answers are streamed in several writes, each of which waits 40 ms for a delayed ACK. A request
        # may be repeated on a new connection: all of ours are idempotent.
        self._headers = {"accept-encoding": "identity", "content-type": "application/json", "idempotency-key": "-"}
        if api_key:
            self._headers["api-key"] = api_key

    async def ask(self, method: str, path: str, body: Any = None, *, patience: float = PATIENCE_S) -> Any:
        """The result of a request that may be made twice without harm. Raises `StoreUnavailable`."""
        return await self.at_one_node(lambda send: send(method, path, body), patience=patience)

    async def at_one_node(self, work: Work, *, patience: float = PATIENCE_S) -> Any:
        """The result of `work`, which sends all its requests to one node. If that node fails or is slow, `work` runs
        at the next one. Raises `Behind` if `work` raised it at every node, otherwise `StoreUnavailable`."""
        last: StoreUnavailable | None = None
        try:
            async with asyncio.timeout(self._call_seconds):
                while True:
                    try:
                        return await self._first_answer(work, patience)
                    except Refused as error:
                        if not error.is_early:
                            raise
                        last = error
                    await asyncio.sleep(_AGAIN_S)
        except StoreUnavailable as error:
            failures.inc(not isinstance(error, Behind))
            raise
        except TimeoutError as error:
            failures.inc()
            raise last or StoreUnavailable(f"Qdrant at {self.where}: no answer in time") from error

    async def close(self) -> None:
        await self.nodes.close()
        self._client.close()

    async def _first_answer(self, work: Work, patience: float) -> Any:
        """The first answer: the next address is asked after `patience` or an error. A node that may have old data is
        asked only after an error. A search asks it after its patience too, because it has little time."""
        waiting = self.nodes.in_turn()
        if len(waiting) == 1:
            return await work(partial(self._answer, waiting[0]))
        asked: dict[Task[Any], Node] = {}
        failed: StoreUnavailable | None = None
        last_asked = 0.0
        try:
            while True:
                if waiting:
                    node, last_asked = waiting.pop(0), time.monotonic()
                    failovers.inc(len(waiting) + 1 < len(self.nodes.all))
                    asked[asyncio.create_task(work(partial(self._answer, node)))] = node
                waits = patience if waiting and _may_ask(waiting[0], asked.values(), patience) else None
                done, _ = await asyncio.wait(asked, timeout=waits, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    node = asked.pop(task)
                    error = task.exception()
                    if error is None:
                        for slow in asked.values() if not node.may_be_old else ():
                            slow.leave_out(only_slow=True)
                        return task.result()
                    if isinstance(error, Refused) and error.is_final:
                        raise error
                    if isinstance(error, Behind):
                        node.is_behind()
                        failed = failed or error
                    elif isinstance(error, StoreUnavailable):
                        if not isinstance(error, Refused) or error.status == 503:
                            node.leave_out()
                        failed = error
                    else:
                        raise error
                    if not waiting and not asked:
                        raise failed
        except asyncio.CancelledError:
            # Usually the deadline of a recall, which is shorter than `patience`. Otherwise a node that hangs would be
            # asked first again, and every second recall would miss its deadline.
            if time.monotonic() - last_asked > SEARCH_PATIENCE_S:
                for node in asked.values():
                    node.leave_out(only_slow=True)
            raise
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    async def _answer(self, node: Node, method: str, path: str, body: Any = None) -> Any:
        request = Request(method, path, b"" if body is None else orjson.dumps(body))
        status, content = await self._send(node, request)
        if status != 200:
            raise Refused(f"Qdrant at {node.where}: {_reason(request, status, content)}", status, content)
        try:
            found = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise StoreUnavailable(f"Qdrant at {node.where}: the answer is not JSON") from error
        node.answered()
        return found.get("result", found)

    async def _send(self, node: Node, request: Request) -> tuple[int, bytes]:
        try:
            response = await self._client.request(
                request.method,
                node.address,
                request.path,
                self._headers,
                request.body,
                read_timeout=self._call_seconds,
            )
            try:
                parts = []
                while part := await response.read():
                    parts.append(part)
                return response.status, b"".join(parts)
            finally:
                response.close()
        except (OSError, TimeoutError) as error:
            raise StoreUnavailable(f"Qdrant at {node.where}: {type(error).__name__}: {error}") from error

    async def _is_ready(self, node: Node) -> bool:
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(1):
                status, _ = await self._send(node, Request("GET", "/readyz", b""))
                return status == 200
        return False


def _may_ask(node: Node, slow: Iterable[Node], patience: float) -> bool:
    """Whether to ask `node` although the slow ones may still answer."""
    return not node.may_be_old or patience <= SEARCH_PATIENCE_S or all(each.may_be_old for each in slow)


def where(url: str) -> str:
    """`url` without user, password and query, so that it can be shown."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _node(url: str) -> Node:
    try:
        return Node.at(url.strip(), where(url.strip()))
    except ValueError:
        raise ConfigError(f"memory.store.url must look like http://qdrant:6333, not {where(url)}") from None


def _reason(request: Request, status: int, content: bytes) -> str:
    said = content[:200].decode(errors="replace")
    if status == 401:
        return "it refuses memory.store.api_key"
    if status == 403 and (request.path.endswith("aliases") or request.method in ("PUT", "DELETE")):
        return (
            f"memory.store.api_key may not {request.method} {request.path}. It needs the right to manage collections"
            f' and aliases (in a JWT: "access": "m"), not only to write to one collection. The server says: {said}'
        )
    if status == 403:
        return f"memory.store.api_key may not {request.method} {request.path}, or strict mode forbids it: {said}"
    return f"status {status}, {said}"
