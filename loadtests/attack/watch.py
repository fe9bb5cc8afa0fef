"""Is the proxy alive while it is attacked? `/health/live` is asked all the time, from a process of its own: in the
attackers' own process it would wait for them."""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

PAUSE = 0.02  # seconds between two questions
# That are kept open and asked in turn. A process that hangs takes no new connection, so that the others would answer
# instead; of eight connections, both of two processes have one, but for one time in 128.
CONNECTIONS = 8
PATIENCE = 60.0  # seconds
HERE = Path(__file__).parents[2]


@asynccontextmanager
async def watched(port: int) -> AsyncIterator[dict[str, Any]]:
    """What is yielded is filled at the end: how often it was asked and not answered with 200, milliseconds, and after
    how many seconds the slowest came."""
    command, pipe = [sys.executable, "-m", "loadtests.attack.watch", str(port)], asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=HERE)
    found = dict[str, Any]()
    try:
        yield found
    finally:
        told, _ = await process.communicate(b"")
        found |= json.loads(told)


def watch(port: int, over: threading.Event) -> dict[str, float]:
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE) for _ in range(CONNECTIONS)]
    seconds, refused = list[float](), 0
    while len(seconds) < CONNECTIONS or not over.wait(PAUSE):
        connection = connections[len(seconds) % CONNECTIONS]
        began = time.monotonic()
        try:
            refused += _status(connection) != 200
        except (OSError, http.client.HTTPException):
            connection.close()  # it is opened again when it is asked the next time
            refused += 1
        seconds.append(time.monotonic() - began)
    for connection in connections:
        connection.close()
    ordered = sorted(seconds)
    slowest = seconds.index(ordered[-1])
    return {
        "asked": len(ordered),
        "refused": refused,
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
        "slowest_ms": round(ordered[-1] * 1000, 1),
        "slowest_at_s": round(sum(seconds[: slowest + 1]) + PAUSE * slowest),
    }


def _status(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/health/live")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def _until_told(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


if __name__ == "__main__":
    finished = threading.Event()
    threading.Thread(target=_until_told, args=(finished,), daemon=True).start()
    print(json.dumps(watch(int(sys.argv[1]), finished)))
