"""The three kinds of processes: `serve` starts the others, `web` answers requests, `writer` stores memories."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rememberd.errors import ConfigError, EmbedderUnavailable
from rememberd.processes import supervisor
from rememberd.processes.announcement import announce, model_list
from rememberd.processes.scratch import BACKUP, remove_abandoned
from rememberd.settings.schema import Settings, load
from rememberd.storage import formats
from rememberd.telemetry import logs

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from rememberd.memory.embedding.embedder import FastEmbedder  # all are large, and the parent does not use them
    from rememberd.memory.recall.needs import Needs

log = logging.getLogger("rememberd.serve")

_FILES = 65_536
_MODEL_SECONDS = 15.0
_SWITCH_SECONDS = 0.0005


async def serve(settings: Settings, config: Path | None, environ: Mapping[str, str]) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code. Raises `ConfigError`."""
    logs.configure(settings.server.log_format)
    prepare(settings)
    listener = supervisor.listen(settings.server.host, settings.server.port)
    metrics = tempfile.mkdtemp(prefix="rememberd-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics
    # -P: modules in the folder where `serve` is started are not imported
    command = [sys.executable, "-P", "-m", "rememberd"]
    named = ["--config", str(config)] if config else []
    announcement = asyncio.create_task(announce(settings, environ, listener))
    try:
        return await supervisor.serve(
            listener,
            workers=settings.server.workers,
            web=[*command, "web", *named],
            writer=[*command, "writer", *named],
            grace_s=settings.server.grace_seconds + settings.server.drain_seconds,
        )
    finally:
        announcement.cancel()
        shutil.rmtree(metrics, ignore_errors=True)


async def web(
    settings: Settings, config: Path | None, environ: Mapping[str, str], listener: socket.socket, parent: int | None
) -> int:
    """Run a web process. On SIGHUP it reads the models and keys of the file `config` again."""
    import uvicorn

    from rememberd.http.connection_limits import limited_protocol
    from rememberd.http.drain import DrainingServer, DrainMiddleware
    from rememberd.telemetry.background import cancel_and_wait, keep_running
    from rememberd.wiring.app import build_app
    from rememberd.wiring.components import build_embedder, connection_limits
    from rememberd.wiring.encryption import open_encryption
    from rememberd.wiring.queue import require_format

    logs.configure(settings.server.log_format)
    if parent is None:  # otherwise `serve` has done it
        prepare(settings)
    _raise_file_limit()
    embedder = build_embedder(settings)
    loading = asyncio.create_task(_load(embedder))  # chats before its end are served without memory
    preparing = asyncio.create_task(_prepare(loading, embedder, settings.data_path / "topics"))
    async with AsyncExitStack() as stack:
        # Also after an error, which may be raised before the loading begins: it must not begin after the end.
        stack.callback(embedder.close)
        stack.push_async_callback(cancel_and_wait, loading)  # raises its exception
        stack.callback(preparing.cancel)
        stack.enter_context(_telemetry("web", environ))
        await require_format(settings)
        seal = await stack.enter_async_context(open_encryption(settings))
        app = build_app(settings, await model_list(settings, environ), environ, embedder, seal)
        draining = DrainMiddleware(app)
        server = DrainingServer(
            uvicorn.Config(
                draining,
                interface="asgi3",  # uvicorn does not recognise it: `DrainMiddleware` is not a coroutine function
                access_log=False,
                proxy_headers=False,  # `App` reads them
                log_config=None,
                log_level="warning",
                http=limited_protocol(connection_limits(settings)),
                ws="none",  # requests to switch to WebSocket or h2c are ignored
                server_header=False,
                timeout_graceful_shutdown=settings.server.grace_seconds,
            ),
            draining,
            settings.server.drain_seconds,
        )

        def stop() -> None:
            server.should_exit = True

        if parent is not None:
            supervisor.watch_parent(parent, stop)
        changed = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, changed.set)
        reloading = asyncio.create_task(keep_running("reload", partial(_reload, app, config, environ, changed)))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await asyncio.wait({loading, serving}, return_when=asyncio.FIRST_COMPLETED)
        _settle()
        if loading.done() and loading.exception() is not None:
            stop()
        await serving
        reloading.cancel()
    return 0


def exporter_wanted(environ: Mapping[str, str]) -> bool:
    """True if OpenTelemetry's own variables name an endpoint for traces or metrics."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    return any(environ.get(f"OTEL_EXPORTER_OTLP{kind}_ENDPOINT") for kind in ("", "_TRACES", "_METRICS"))


@contextmanager
def _telemetry(process: str, environ: Mapping[str, str]) -> Iterator[None]:
    """Start OpenTelemetry if it is configured. Raises `ConfigError` if its SDK is missing."""
    if not exporter_wanted(environ):
        yield
        return
    from rememberd.telemetry.otel import exporting

    with exporting(process):
        yield


async def _reload(app: Starlette, config: Path | None, environ: Mapping[str, str], changed: asyncio.Event) -> None:
    from rememberd.wiring.app import reconfigure

    while await changed.wait():
        changed.clear()
        try:
            settings = load(config, environ)
            reconfigure(app, settings, await model_list(settings, environ), environ)
        except ConfigError as error:
            log.error("the old models and keys are still used: %s", error)
        else:
            log.info("models and keys were read again; other settings need a restart")


async def _load(embedder: FastEmbedder) -> None:
    """Retry until the model is loaded. While it cannot be downloaded, chats are served without memory."""
    while True:
        try:
            return await embedder.start()
        except EmbedderUnavailable as error:
            log.error("no memory until the embedder is loaded; next try in %.0f s: %s", _MODEL_SECONDS, error)
        await asyncio.sleep(_MODEL_SECONDS)


async def _prepare(loading: asyncio.Task[None], embedder: FastEmbedder, cache: Path) -> None:
    """Load what the first chats need, so that they do not hold up others while the event loop loads it."""
    from rememberd.memory.embedding.embedder import release_free_memory
    from rememberd.memory.recall.needs import learn

    await loading
    await asyncio.to_thread(rehearse, await learn(embedder, cache))
    release_free_memory()


def rehearse(needs: Needs) -> None:
    """Read and compile files and patterns that chats need: .2 s, of which the first wish to forget takes half. What
    only questions in other languages need (20 ms) would take 2 MB more of everybody."""
    from rememberd.dialects.side_tasks import program_odds
    from rememberd.memory.learn.wishes.memory_commands import memory_command
    from rememberd.memory.recall.lexicon import asks_only_when
    from rememberd.memory.recall.needs import asks_what_was_told

    for said in ("Forget where I live.", "先週何を話しましたか？"):
        program_odds({}, {"messages": [{"role": "user", "content": said}]}, ())
        memory_command(said)
        asks_only_when(said)
        asks_what_was_told(said)
    needs.asked("Where do I live?", [0.0] * needs.statements.examples.shape[1])


async def writer(settings: Settings, environ: Mapping[str, str], parent: int | None) -> int:
    from rememberd.processes.writer_health import writer_health_server
    from rememberd.wiring.writer import running_writer

    logs.configure(settings.server.log_format)
    prepare(settings)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if parent is not None:
        supervisor.watch_parent(parent, stop.set)
    models = await model_list(settings, environ) if settings.memory.extract.model else []
    async with AsyncExitStack() as stack:
        stack.enter_context(_telemetry("writer", environ))
        work = await stack.enter_async_context(running_writer(settings, models, environ))
        if parent is None:  # under `serve` the web processes report its health
            await stack.enter_async_context(writer_health_server(settings, work))
        _settle()
        await work.run(stop)
    return 0


def _raise_file_limit() -> None:
    """Each connection and each call upstream needs a file descriptor: the usual limit of 1,024 would be reached
    before `max_connections`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _settle() -> None:
    """Exclude all objects so far from garbage collection: a full collection now stops all requests for 3 ms, not
    30."""
    gc.collect()
    gc.freeze()


def run(work: Coroutine[Any, Any, int]) -> int:
    """Run `work` on uvloop, with other settings of the interpreter. Switch interval: with Python's 5 ms, the event
    loop would wait 5 ms for a thread that reads a long text; now a tenth of that. Garbage collection: there are few
    cycles, and Python's search for them every 700 objects took 80 of 800 ms of a start and 2 % of the time of
    requests."""
    import uvloop

    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.set_threshold(10_000, 20, 20)
    return uvloop.run(work)


def prepare(settings: Settings) -> None:
    """Create the data directory, accessible only for its owner, and upgrade its format. Delete what a killed backup
    left there. Raises `ConfigError`."""
    try:
        settings.data_path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(f"cannot create data_dir {settings.data_path}: {error.strerror}") from error
    if not os.access(settings.data_path, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write to data_dir {settings.data_path}")
    remove_abandoned(settings.data_path, BACKUP)
    formats.upgrade(settings.data_path)
