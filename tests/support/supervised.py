"""Processes for the supervisor's tests; each writes a journal, one `name event pid time` a line.

python -m tests.support.supervised parent JOURNAL GRACE_S NAME:MODE…    modes: good, stubborn, crash, config-error
python -m tests.support.supervised serve JOURNAL WORKERS                web workers that answer with their pid
python -m tests.support.supervised child JOURNAL NAME MODE [--fd N] [--parent-fd N]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from rememberd.processes.supervisor import CONFIG_ERROR, Child, listen, serve, supervise, watch_parent


def child_argv(journal: str, name: str, mode: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.supervised", "child", journal, name, mode]


async def parent(journal: str, grace_s: str, *children: str) -> int:
    pairs = [child.split(":") for child in children]
    stages = {"writer": 1}
    return await supervise(
        [
            Child(name, child_argv(journal, name, mode), stage=stages.get(name, 0), grace_s=float(grace_s))
            for name, mode in pairs
        ]
    )


async def server(journal: str, workers: str) -> int:
    web, writer = child_argv(journal, "web", "good"), child_argv(journal, "writer", "good")
    with listen("127.0.0.1", 0) as listener:
        return await serve(listener, workers=int(workers), web=web, writer=writer, grace_s=5)


async def child(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    for name in ("journal", "name", "mode"):
        parser.add_argument(name)
    parser.add_argument("--fd", type=int)
    parser.add_argument("--parent-fd", type=int)
    args = parser.parse_args(argv)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, (lambda: None) if args.mode == "stubborn" else stop.set)
    if args.parent_fd is not None:
        watch_parent(args.parent_fd, stop.set)
    port = await answer(args.fd) if args.fd is not None else 0
    note(args.journal, args.name, f"port-{port}" if port else "start")
    if args.mode == "crash":
        return 1
    if args.mode == "config-error":
        return CONFIG_ERROR
    await stop.wait()
    note(args.journal, args.name, "stopping")
    await asyncio.sleep(0.2)
    note(args.journal, args.name, "stopped")
    return 0


async def answer(fd: int) -> int:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(str(os.getpid()).encode())
        writer.close()

    listener = socket.socket(fileno=fd)
    await asyncio.start_server(reply, sock=listener)
    return int(listener.getsockname()[1])


def note(journal: str, name: str, event: str) -> None:
    with Path(journal).open("a") as lines:
        lines.write(f"{name} {event} {os.getpid()} {time.monotonic()}\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    roles: dict[str, Callable[..., Coroutine[Any, Any, int]]] = {"parent": parent, "serve": server, "child": child}
    sys.exit(asyncio.run(roles[sys.argv[1]](*sys.argv[2:])))
