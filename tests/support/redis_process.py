"""A real redis-server on a free port, with its own folder, that tests kill and start again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.proxy_server import eventually

MISSING = "redis-server is not installed (apt-get install redis-server)"


class RedisServer:
    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        argv += ["--save", "", "--appendonly", "yes", *self.options]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        eventually(self._answers)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait()

    def client(self) -> Any:
        return redis.Redis(port=self.port)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


@contextmanager
def redis_running(folder: Path, *options: str) -> Iterator[RedisServer]:
    """`options` are of the command line: `"--appendfsync", "always"`."""
    if shutil.which("redis-server") is None:
        pytest.skip(MISSING)
    server = RedisServer(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.kill(signal.SIGKILL)
