"""A real proxy in the tests' own process: the web process and the writer are two tasks of one event loop in a thread.

It starts in a tenth of the CPU that `proxy_server.running` takes, because everything is imported and loaded already.
It is for tests that ask it over HTTP: it has no process to signal, and shares its metrics with the tests. Its log has
the lines of all proxies here."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import uvloop

from rememberd.processes.run import prepare, web, writer
from rememberd.processes.supervisor import listen
from rememberd.settings.schema import load
from rememberd.telemetry.logs import Text
from tests.support.proxy_server import PATIENCE, Proxy, configured, eventually


@contextmanager
def running_here(
    folder: Path, models: Mapping[str, str], *, others: Sequence[Mapping[str, Any]] = (), **settings: Any
) -> Iterator[Proxy]:
    """`settings`, `models` and `others` as of `configured`."""
    with configured(folder, models, others, settings) as path, ExitStack() as stack:
        loaded = load(path, os.environ)
        prepare(loaded)
        listener = stack.enter_context(listen(loaded.server.host, loaded.server.port))
        host, port = listener.getsockname()
        proxy = Proxy(loaded.data_path, f"http://{host}:{port}")
        _keep_log(stack, proxy.log)
        # Ended in the opposite order: the writer stores what was asked last.
        writing = _started(stack, partial(writer, loaded, os.environ))
        answering = _started(stack, partial(web, loaded, path, os.environ, listener))

        def ready() -> bool:
            for part in (writing, answering):
                if part.done():
                    raise AssertionError("the proxy ended at its start") from part.exception()
            return proxy.is_ready()

        eventually(ready)
        yield proxy


def _keep_log(stack: ExitStack, lines: list[str]) -> None:
    root, ours, kept = logging.getLogger(), logging.getLogger("rememberd"), _Lines(lines)
    root.addHandler(kept)
    stack.callback(root.removeHandler, kept)
    stack.callback(ours.setLevel, ours.level)
    ours.setLevel(logging.INFO)


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines
        self.setFormatter(Text())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{self.format(record)}\n")


def _started(stack: ExitStack, work: Callable[[int], Coroutine[Any, Any, int]]) -> Future[int]:
    """The result of `work`. The end of `stack` ends it, by what it takes for the end of its parent process."""
    lifeline, held = os.pipe()
    result = asyncio.run_coroutine_threadsafe(work(lifeline), _loop())

    def end() -> None:
        os.close(held)
        try:
            result.result(PATIENCE)
        finally:
            os.close(lifeline)

    stack.callback(end)
    return result


class _Loop(uvloop.Loop):
    def add_signal_handler(self, *_: object) -> None:
        """Signals are the tests' own."""


@cache
def _loop() -> _Loop:
    """One for all proxies here, because the product counts in one thread."""
    loop = _Loop()
    threading.Thread(target=loop.run_forever, name="proxies", daemon=True).start()
    return loop
