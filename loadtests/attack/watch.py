"""Is the proxy alive while it is attacked? `/health/live` is asked all the time, from a thread of its own."""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PAUSE = 0.02  # seconds between two questions
PATIENCE = 60.0  # seconds


class Watch(threading.Thread):
    """Each question comes over a connection of its own, so that every web process is asked in turn."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.seconds: list[float] = []
        self.refused = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(PAUSE):
            began = time.monotonic()
            try:
                self.refused += self._status() != 200
            except (OSError, http.client.HTTPException):
                self.refused += 1
            self.seconds.append(time.monotonic() - began)

    def _status(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", "/health/live")
            return connection.getresponse().status
        finally:
            connection.close()

    def report(self) -> dict[str, float]:
        """How often it was asked and not answered with 200, and milliseconds."""
        ordered = sorted(self.seconds)
        p99 = ordered[int(len(ordered) * 0.99)]
        return {
            "asked": len(ordered),
            "refused": self.refused,
            "p99_ms": round(p99 * 1000, 1),
            "slowest_ms": round(ordered[-1] * 1000, 1),
        }


@asynccontextmanager
async def watched(port: int) -> AsyncIterator[Watch]:
    watch = Watch(port)
    watch.start()
    try:
        yield watch
    finally:
        watch.over.set()
        await asyncio.to_thread(watch.join)
