"""The health server of a writer that runs without `rememberd serve`: /health and /metrics on a separate port."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette

from rememberd.access.auth import Auth
from rememberd.api.health import Health
from rememberd.http.connection_limits import limited_protocol
from rememberd.http.exception_handlers import EXCEPTION_HANDLERS
from rememberd.memory.learn.writer import Writer
from rememberd.processes import supervisor
from rememberd.settings.schema import Settings, configured_keys
from rememberd.wiring.components import connection_limits
from rememberd.wiring.routes import health_routes


class _HealthServer(uvicorn.Server):
    """A server that leaves the signals to the writer."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def health_app(settings: Settings, writer: Writer) -> Starlette:
    auth = Auth(configured_keys(settings.keys or ()), settings.admin_key, local_only=settings.server.local_only)
    checks = {
        "store": writer.store.ping,
        "queue": writer.queue.stats,
        "embedder": lambda: writer.embedder.dense("ready?"),
    }
    health = Health(auth, writer.queue, checks, alive=writer.alive)
    return Starlette(routes=health_routes(health), exception_handlers=EXCEPTION_HANDLERS)


@asynccontextmanager
async def writer_health_server(settings: Settings, writer: Writer) -> AsyncIterator[None]:
    """Raises `ConfigError` if the port cannot be bound."""
    server = settings.server
    if server.metrics_port is None:
        yield
        return
    listener = supervisor.listen(server.host, server.metrics_port, "server.metrics_port")
    health = _HealthServer(
        uvicorn.Config(
            health_app(settings, writer),
            lifespan="off",
            access_log=False,
            log_config=None,
            log_level="warning",
            http=limited_protocol(connection_limits(settings)),
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    running = asyncio.create_task(health.serve(sockets=[listener]))
    try:
        yield
    finally:
        health.should_exit = True
        await running
        listener.close()
