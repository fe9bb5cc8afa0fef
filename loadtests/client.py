"""The load: lean clients that follow a schedule made beforehand, one process of them.

Open loop: each request's latency counts from the moment it was due, whether or not it could be sent then, so that a
server that stalls is charged for everyone who would have come meanwhile (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import re
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from typing import cast

import httptools
import uvloop

from loadtests.prompts import Prompt, user_name

PATIENCE = 60.0  # seconds after the last request was due
_SPIN_SECONDS = 0.001  # event loops sleep in whole milliseconds; the rest is waited for actively
_SPIN_BELOW = 100.0  # requests/s; above, the schedule is dense enough

_TOKEN = re.compile(rb'"(\d+):(\d{9,}) "')


@dataclass(frozen=True, slots=True)
class Job:
    """What one client process does. `rate` is open loop, requests/s; without it `connections` are kept busy.

    `start` is a `time.monotonic`, common to all processes; `each` is how many tokens a stream has."""

    host: str
    port: int
    path: str
    headers: dict[str, str]
    prompt: Prompt
    seconds: float
    start: float
    rate: float | None = None
    connections: int = 1
    each: int = 0
    users: int = 0  # that ask in turn, as `preload` names them; 0 = whom the headers name


@dataclass
class Outcome:
    """Times in milliseconds: `latency` and `first` (byte of the body) from the moment due, `late` is how long after
    it a request was sent, `delay` a token's way from the model, `gap` the time between tokens."""

    latency: array[float] = field(default_factory=lambda: array("d"))
    first: array[float] = field(default_factory=lambda: array("d"))
    late: array[float] = field(default_factory=lambda: array("d"))
    delay: array[float] = field(default_factory=lambda: array("d"))
    gap: array[float] = field(default_factory=lambda: array("d"))
    tokens: int = 0
    lost: int = 0  # tokens that did not come, or not in their order
    sent: int = 0
    by_words: int = 0  # recalls that had no time for an embedding
    errors: Counter[str] = field(default_factory=Counter)
    memory: Counter[str] = field(default_factory=Counter)  # X-Memory-Status

    def add(self, other: Outcome) -> None:
        for name in ("latency", "first", "late", "delay", "gap"):
            getattr(self, name).extend(getattr(other, name))
        self.tokens, self.lost, self.sent = self.tokens + other.tokens, self.lost + other.lost, self.sent + other.sent
        self.by_words += other.by_words
        self.errors += other.errors
        self.memory += other.memory


class Connection(asyncio.Protocol):
    """A kept-alive connection, one request at a time."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.parser = httptools.HttpResponseParser(self)
        self.done: asyncio.Future[int] | None = None
        self.open = False
        self._expect()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.open = cast(asyncio.Transport, transport), True  # uvloop's has no such base class

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self.done and not self.done.done():
            self.done.set_exception(ConnectionError("closed before the end"))

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def send(self, request: bytes) -> asyncio.Future[int]:
        """The status, when the answer is complete."""
        self._expect()
        self.done = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.done

    def _expect(self) -> None:
        """Also before the first request: a server with too many connections refuses one at once."""
        self.first = self.before = 0.0
        self.expected, self.rest = 1, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-memory-status":
            self.outcome.memory[value.decode()] += 1
        elif name.lower() == b"x-memory-recall":
            self.outcome.by_words += 1

    def on_body(self, body: bytes) -> None:
        now = time.monotonic_ns()
        self.first = self.first or now / 1e9
        data = self.rest + body if self.rest else body
        end = data.rfind(b"\n") + 1
        self.rest = data[end:]
        for token in _TOKEN.finditer(data, 0, end):
            self._token(int(token[1]), int(token[2]), now)

    def _token(self, number: int, sent: int, now: int) -> None:
        self.outcome.tokens += 1
        if number != self.expected:
            self.outcome.lost += 1
        self.expected = number + 1
        self.outcome.delay.append((now - sent) / 1e6)
        if self.before:
            self.outcome.gap.append((now - self.before) / 1e6)
        self.before = now

    def on_message_complete(self) -> None:
        if self.done and not self.done.done():
            self.done.set_result(self.parser.get_status_code())


class Load:
    """A running job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.outcome = Outcome()
        self.idle: list[Connection] = []

    async def run(self) -> Outcome:
        if self.job.rate is not None:
            await self._open_loop(self.job.rate)
        else:
            await asyncio.gather(*(self._keep_busy() for _ in range(self.job.connections)))
        for connection in self.idle:
            connection.transport.close()
        return self.outcome

    async def _open_loop(self, rate: float) -> None:
        running = set()
        for due in schedule(self.job.start, rate, self.job.seconds):
            await _until(due, precise=rate <= _SPIN_BELOW)
            running.add(asyncio.create_task(self._ask(due)))
        _, late = await asyncio.wait(running, timeout=PATIENCE)
        for task in late:
            task.cancel()
        self.outcome.errors["no answer"] += len(late)

    async def _keep_busy(self) -> None:
        await _until(self.job.start)
        while (now := time.monotonic()) < self.job.start + self.job.seconds:
            await self._ask(now)

    async def _ask(self, due: float) -> None:
        self.outcome.sent += 1
        try:
            connection = await self._connection()
            self.outcome.late.append((time.monotonic() - due) * 1000)
            status = await connection.send(self._request())
        except OSError as error:
            self.outcome.errors[type(error).__name__] += 1
            return
        self._count(connection, status, due)
        self.idle.append(connection)

    def _count(self, connection: Connection, status: int, due: float) -> None:
        if status != 200:
            self.outcome.errors[str(status)] += 1
            return
        self.outcome.latency.append((time.monotonic() - due) * 1000)
        self.outcome.first.append((connection.first - due) * 1000)
        if self.job.prompt.stream:
            self.outcome.lost += max(0, self.job.each + 1 - connection.expected)

    async def _connection(self) -> Connection:
        while self.idle:
            if (connection := self.idle.pop()).open:
                return connection
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(lambda: Connection(self.outcome), self.job.host, self.job.port)
        return made

    def _request(self) -> bytes:
        body = self.job.prompt.body()
        lines = [f"POST {self.job.path} HTTP/1.1", f"host: {self.job.host}:{self.job.port}"]
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self.job.headers.items()]
        if self.job.users:
            lines.append(f"x-memory-user: {user_name(self.outcome.sent % self.job.users)}")
        return "\r\n".join([*lines, "\r\n"]).encode() + body


def schedule(start: float, rate: float, seconds: float) -> Iterator[float]:
    """When each request is due: evenly, which is the kindest load that still shows every stall."""
    return (start + number / rate for number in range(max(1, int(rate * seconds))))


async def _until(due: float, *, precise: bool = False) -> None:
    early = _SPIN_SECONDS if precise else 0.0
    if (wait := due - time.monotonic() - early) > 0:
        await asyncio.sleep(wait)
    while precise and time.monotonic() < due:  # noqa: ASYNC110 - there is no event but the clock
        await asyncio.sleep(0)


def work(pipe: Pipe) -> None:
    """A client process: jobs come in, outcomes go out, None ends it."""
    while (job := pipe.recv()) is not None:
        pipe.send(uvloop.run(Load(job).run()))
