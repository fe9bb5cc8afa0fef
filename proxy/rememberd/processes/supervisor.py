"""`rememberd serve`: the parent process, which starts the web processes and the writer and restarts them when they
die.

It owns the listening socket: while a web process restarts, connections wait instead of failing. It imports no large
library, to keep its memory small.
"""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from rememberd.errors import ConfigError

CONFIG_ERROR = 2  # exit code of a child for a configuration error: a restart would not help
FIRST_DELAY_S, MAX_DELAY_S = 0.2, 10.0
HEALTHY_S = 30.0
SAME_REQUEST_S = 1.0
STOP_S = 5.0  # a web process needs at most this long to stop after its last stream

log = logging.getLogger("rememberd.supervisor")


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep running. When everything stops, the children of the lowest `stage` stop first. A child that
    has not exited `grace_s` seconds after SIGTERM is killed. `fds` are the file descriptors that it inherits. A child
    with `reloads` gets SIGHUP."""

    name: str
    argv: Sequence[str]
    fds: tuple[int, ...] = ()
    stage: int = 0
    grace_s: float = 30.0
    reloads: bool = False


async def serve(
    listener: socket.socket, *, workers: int, web: Sequence[str], writer: Sequence[str], grace_s: float
) -> int:
    """Run `workers` web processes and one writer until SIGTERM or SIGINT; returns the exit code.

    The command line `web` gets `--fd N`, the listening socket, and both get `--parent-fd N` for `watch_parent`.
    Streams may go on for `grace_s` after SIGTERM."""
    lifeline, held = os.pipe()  # the kernel closes `held` when this process ends, also after kill -9
    parent = ["--parent-fd", str(lifeline)]
    web = [*web, "--fd", str(listener.fileno()), *parent]
    children = [Child("writer", [*writer, *parent], (lifeline,), stage=1)]
    children += [
        Child(f"web-{n}", web, (listener.fileno(), lifeline), grace_s=grace_s + STOP_S, reloads=True)
        for n in range(workers)
    ]
    try:
        return await supervise(children)
    finally:
        os.close(held)
        os.close(lifeline)


def listen(host: str, port: int, setting: str = "server.port") -> socket.socket:
    """Raises `ConfigError`, which names the setting of the port, if the address cannot be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}; set {setting} to another") from error


def watch_parent(fd: int, stop: Callable[[], object]) -> None:
    """In a child: call `stop` when the parent process has ended. Nothing is ever written to `fd`."""
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(fd)
        stop()

    loop.add_reader(fd, gone)


async def supervise(children: Sequence[Child], *, first_delay_s: float = FIRST_DELAY_S) -> int:
    """Keep `children` running until SIGTERM or SIGINT, then stop them stage by stage. A further signal kills them,
    unless it follows the first within `SAME_REQUEST_S`: some programs (GNU timeout, init systems) send two.

    Returns 0, or 2 as soon as a child exits with that code (a configuration error).
    """
    end = asyncio.Event()
    keepers = [_ChildRunner(child, first_delay_s, end) for child in children]

    asked_at = 0.0

    def on_signal() -> None:
        nonlocal asked_at
        if not end.is_set():
            asked_at = time.monotonic()
        elif time.monotonic() - asked_at > SAME_REQUEST_S:
            for keeper in keepers:
                keeper.signal(signal.SIGKILL)
        end.set()

    def on_reload() -> None:
        for keeper in keepers:
            if keeper.child.reloads:
                keeper.signal(signal.SIGHUP)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_reload)
    await end.wait()
    for stage in sorted({child.stage for child in children}):
        await asyncio.gather(*(keeper.stop() for keeper in keepers if keeper.child.stage == stage))
    return CONFIG_ERROR if any(keeper.code == CONFIG_ERROR for keeper in keepers) else 0


class _ChildRunner:
    """One child and its restarts. `code` is its last exit code. A configuration error sets `end`."""

    def __init__(self, child: Child, first_delay_s: float, end: asyncio.Event) -> None:
        self.child, self.first_delay_s, self.end = child, first_delay_s, end
        self.code: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Send SIGTERM, and after the grace time SIGKILL. Returns when the child has exited."""
        self._stopping.set()
        self.signal(signal.SIGTERM)
        done, _ = await asyncio.wait([self._running], timeout=self.child.grace_s)
        if not done:
            log.warning("%s did not stop within %.0f s", self.child.name, self.child.grace_s)
            self.signal(signal.SIGKILL)
        await self._running

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):  # it has already exited
                self._process.send_signal(number)

    async def _run(self) -> None:
        delay = self.first_delay_s
        while not self._stopping.is_set():
            began = time.monotonic()
            self.code = await self._run_once()
            if self.code == CONFIG_ERROR:
                self.end.set()
                return
            if time.monotonic() - began >= HEALTHY_S:
                delay = self.first_delay_s
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            delay = min(2 * delay, MAX_DELAY_S)

    async def _run_once(self) -> int:
        try:
            # In a separate process group, Ctrl-C in a terminal reaches only the parent, which stops the children in
            # order.
            process = await asyncio.create_subprocess_exec(
                *self.child.argv, pass_fds=self.child.fds, stdin=subprocess.DEVNULL, process_group=0
            )
        except OSError as error:
            log.error("%s cannot be started: %s", self.child.name, error)
            return 1
        self._process = process
        log.info("%s started, pid %d", self.child.name, process.pid)
        if self._stopping.is_set():
            self.signal(signal.SIGTERM)
        code = await process.wait()
        self._process = None
        log.log(self._level(code), "%s exited: %s", self.child.name, _reason(code))
        return code

    def _level(self, code: int) -> int:
        as_asked = self._stopping.is_set() and code in (0, -signal.SIGTERM)  # uvicorn ends itself with its signal
        return logging.INFO if as_asked else logging.WARNING


def _reason(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"code {code}"
