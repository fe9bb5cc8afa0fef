"""The processes that faults befall: web and writer processes, Redis and a stand-in for Qdrant, or one host's disk."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import aiohttp

from loadtests.machine import cores
from loadtests.servers import KEY, free_port
from loadtests.workers import models

# Milliseconds to the first token, between tokens, and how many; see `loadtests.fake`.
FIRST_MS, EVERY_MS, TOKENS = 20, 20, 8
DEADLINE_MS = 150
OPENS_IN_S = 300.0  # on a machine that has much else to do
_RESTART_S = 0.2
_DRAIN_S = 2
_DISK = "1g"  # room for a thousand kills, and quickly filled; the store refuses writes below 64 MB


class Skipped(Exception):
    """This fault cannot be made here, for the reason given."""


class Kept:
    """A process that is started again whenever it ends, as systemd or Kubernetes would; not while it is `down`."""

    def __init__(self, argv: Sequence[str], log: Path, environ: dict[str, str] | None = None) -> None:
        self.argv, self.log, self.environ = argv, log, environ or {}
        self.process: asyncio.subprocess.Process | None = None
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._running = asyncio.create_task(self._run())

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):  # it ended by itself meanwhile
                self.process.send_signal(number)

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """The process is killed, and stays away until the block ends."""
        self._may_run.clear()
        self.signal(signal.SIGKILL)
        yield
        self._may_run.set()

    @asynccontextmanager
    async def hanging(self) -> AsyncIterator[None]:
        """The process is stopped: its connections stay open, and nothing is answered."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    async def stop(self) -> None:
        self._running.cancel()
        self.signal(signal.SIGKILL)
        if self.process is not None:
            await self.process.wait()

    async def _run(self) -> None:
        while True:
            await self._may_run.wait()
            with self.log.open("ab") as log:
                self.process = await asyncio.create_subprocess_exec(
                    *self.argv, env=os.environ | self.environ, stdout=log, stderr=log
                )
            await self.process.wait()
            await asyncio.sleep(_RESTART_S)


class Deployment:
    """`processes` by name: "web-0" …, "writer-0" …, and of a `scaled` one "redis" and "qdrant". `ready` holds the
    names of the web processes that a load balancer would send requests to."""

    def __init__(self, folder: Path, deadline_ms: int = DEADLINE_MS) -> None:
        self.folder, self.deadline_ms = folder, deadline_ms
        self.processes: dict[str, Kept] = {}
        self.urls: dict[str, str] = {}
        self.ready: set[str] = set()
        self.qdrant = ""
        self.clock: Path | None = None
        self.disk: Path | None = None
        self._environ = {"PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics")}
        (folder / "metrics").mkdir()
        (folder / "disk").mkdir()

    @classmethod
    @asynccontextmanager
    async def scaled(cls, folder: Path, deadline_ms: int = DEADLINE_MS) -> AsyncIterator[Self]:
        """Two web and two writer processes on Redis and a stand-in for two Qdrant nodes. Raises `Skipped`."""
        if shutil.which("redis-server") is None:
            raise Skipped("redis-server is not installed")
        async with cls(folder, deadline_ms)._running() as here:
            redis = await here._redis()
            addresses = await here._qdrant()
            here.qdrant = addresses[0]
            await here._open({"store": {"url": addresses}, "queue": {"url": redis}}, writers=2)
            yield here

    @classmethod
    @asynccontextmanager
    async def one_host(cls, folder: Path, deadline_ms: int = DEADLINE_MS) -> AsyncIterator[Self]:
        """Two web processes and a writer with its embedded store and SQLite queue, on a small disk of their own and
        with a clock that can be shifted and an fsync that can be slow, where that is permitted."""
        async with cls(folder, deadline_ms)._running() as here:
            with small_disk(folder / "disk"):
                here._preload()
                await here._open({}, writers=1)
                yield here
                await here._stop()

    def web(self) -> list[str]:
        return [name for name in self.processes if name.startswith("web")]

    def writers(self) -> list[str]:
        return [name for name in self.processes if name.startswith("writer")]

    async def faults(self, **faults: Any) -> None:
        """Of the Qdrant server: the fields of `tests.support.qdrant_double.Faults`; none ends them."""
        async with aiohttp.ClientSession() as session:
            await session.put(f"{self.qdrant}/double/faults", json=faults)

    async def node(self, number: int, lags: bool = False, **faults: Any) -> None:
        """Of one of the Qdrant server's nodes; without `lags` it becomes equal to the other."""
        async with aiohttp.ClientSession() as session:
            body = {"faults": faults or None, "lags": lags}
            await session.put(f"{self.qdrant}/double/nodes/{number}", json=body)

    async def wait_ready(self) -> None:
        """All web processes, all their parts. Raises `TimeoutError`."""
        async with asyncio.timeout(OPENS_IN_S), aiohttp.ClientSession() as session:
            for url in self.urls.values():
                while await _status(session, url) != "ok":  # noqa: ASYNC110 - another process knows
                    await asyncio.sleep(0.1)

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[Self]:
        async with AsyncExitStack() as stack:
            self.model_port = stack.enter_context(models(1, 0, cores(False)))
            stack.push_async_callback(self._stop)
            yield self

    async def _stop(self) -> None:
        for process in self.processes.values():
            await process.stop()

    async def _open(self, memory: dict[str, Any], writers: int) -> None:
        config = self.folder / "rememberd.yaml"
        base = f"http://127.0.0.1:{self.model_port}/{FIRST_MS}-{EVERY_MS}-{TOKENS}/v1"
        params = {"model": "openai/steady", "api_base": base, "api_key": "sk-x"}
        settings = {
            "data_dir": str(self.folder / "disk" / "data"),
            "server": {"drain_seconds": _DRAIN_S},
            "memory": {"deadline_ms": self.deadline_ms} | memory,
            "model_list": [{"model_name": "steady", "litellm_params": params}],
            "keys": [{"name": "load", "key": KEY, "trust_identity": True}],
        }
        config.write_text(json.dumps(settings))
        for number in range(writers):
            self._start(f"writer-{number}", config, {})
        for number in range(2):
            port = str(free_port())
            self.urls[f"web-{number}"] = f"http://127.0.0.1:{port}"
            self._start(f"web-{number}", config, {"REMEMBERD_SERVER_PORT": port})
        await self.wait_ready()

    def _start(self, name: str, config: Path, environ: dict[str, str]) -> None:
        argv = [sys.executable, "-m", "rememberd", name.partition("-")[0], "--config", str(config)]
        self.processes[name] = Kept(argv, self.folder / f"{name}.log", self._environ | environ)

    async def _redis(self) -> str:
        port = str(free_port())
        argv = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        argv += ["--appendonly", "yes", "--appendfsync", "always"]
        self.processes["redis"] = Kept(argv, self.folder / "redis.log")
        return f"redis://127.0.0.1:{port}/0"

    async def _qdrant(self) -> list[str]:
        """The addresses of its two nodes."""
        port = _two_free_ports()
        argv = [sys.executable, "-m", "tests.support.qdrant_double", "--port", str(port), "--nodes", "2"]
        self.processes["qdrant"] = Kept(argv, self.folder / "qdrant.log")
        return [f"http://127.0.0.1:{each}" for each in (port, port + 1)]

    def _preload(self) -> None:
        """Libraries that stand between a process and its clock and disk; each reads a number from a file."""
        if shutil.which("cc") is None:
            return
        self.clock, self.disk = self.folder / "clock", self.folder / "fsync"
        libraries = [self.folder / f"{name}.so" for name in ("clock", "disk")]
        for library in libraries:
            source = Path(__file__).with_name(f"{library.stem}.c")
            subprocess.run(["cc", "-shared", "-fPIC", "-O2", str(source), "-o", str(library)], check=True)
        for number in (self.clock, self.disk):
            number.write_text("0")
        files = {"CLOCK_FILE": str(self.clock), "DISK_FILE": str(self.disk)}
        self._environ |= {"LD_PRELOAD": ":".join(map(str, libraries)), **files}


class Balancer:
    """Asks every web process again and again whether it is there and not about to stop. One whose memory is away
    still serves chats."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment

    async def run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            await asyncio.gather(*(self._watch(session, *each) for each in self.deployment.urls.items()))

    async def _watch(self, session: aiohttp.ClientSession, name: str, url: str) -> None:
        ready = self.deployment.ready
        while True:
            status = await _status(session, url)
            if status != "slow":  # then nobody knows: it stays what it was
                (ready.discard if status in ("stopping", "away") else ready.add)(name)
            await asyncio.sleep(0.1)


async def _status(session: aiohttp.ClientSession, url: str) -> str:
    try:
        async with session.get(f"{url}/health/ready") as answer:
            return str((await answer.json())["status"])
    except TimeoutError:
        return "slow"
    except aiohttp.ClientError:
        return "away"


def _two_free_ports() -> int:
    """The first of two that follow each other."""
    while True:
        port = free_port()
        with suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
            return port


@contextmanager
def small_disk(folder: Path) -> Any:
    """A file system of its own, in memory; an ordinary folder where mounting is not permitted."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(folder)]
    mounted = (
        shutil.which("mount") is not None and not subprocess.run(mount, capture_output=True, check=False).returncode
    )
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
