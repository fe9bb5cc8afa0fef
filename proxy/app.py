"""The composition root: the only place that knows which adapter stands behind which port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.api.caller import Caller
from proxy.api.health import Health
from proxy.api.memories import Memories, json_response
from proxy.api.models import Models
from proxy.api.receipts import ReceiptApi
from proxy.auth import Auth
from proxy.chat import Chat
from proxy.errors import RequestError, Unavailable, UpstreamUnavailable
from proxy.memory.database import Database
from proxy.memory.embed import FastEmbedder
from proxy.memory.extract.rules import Rules
from proxy.memory.frozen import Frozen
from proxy.memory.queue.sqlite import SqliteQueue
from proxy.memory.recall import Recall
from proxy.memory.receipts import Receipts
from proxy.memory.store.edge import EdgeStore
from proxy.memory.store.edge_client import EdgeClient
from proxy.memory.store.edge_server import serving
from proxy.memory.store.edge_wire import socket_path
from proxy.memory.writer import DAY_MS, Writer
from proxy.metrics import CountAnswers
from proxy.requests import ClientGone
from proxy.settings import Settings
from proxy.upstream.catalog import Catalog
from proxy.upstream.failover import Failover
from proxy.upstream.passthrough import Passthrough
from proxy.upstream.translate import Translate
from proxy.wire.dialects import DIALECTS, dialect_for


def build_app(
    settings: Settings, model_list: Sequence[Mapping[str, Any]], environ: Mapping[str, str], embedder: FastEmbedder
) -> Starlette:
    """The web process; `embedder` has been started. Raises `ConfigError`."""
    auth = Auth(settings.keys or [], settings.admin_key)
    caller = Caller(auth)
    catalog = Catalog(model_list, environ)
    passthrough, translate = Passthrough(), Translate()
    upstream = Failover({"bytes": passthrough, "translate": translate})
    store = EdgeClient(socket_path(settings.data_path))
    database = build_database(settings)
    queue, receipts, frozen = SqliteQueue(database), Receipts(database), Frozen(database)
    memory, max_body_bytes = settings.memory, settings.server.max_body_mb * 2**20
    recall = Recall(store, embedder, memory.budget_tokens, memory.deadline_ms)
    chat = Chat(
        auth=auth,
        catalog=catalog,
        upstream=upstream,
        recall=recall,
        frozen=frozen,
        queue=queue,
        receipts=receipts,
        placement=memory.placement,
        deadline_ms=memory.deadline_ms,
        max_body_bytes=max_body_bytes,
    )
    memories = Memories(caller, store, embedder, recall, queue, frozen, receipts, max_body_bytes)
    health = Health(
        auth, queue, {"store": store.ping, "queue": queue.stats, "embedder": lambda: embedder.dense("ready?")}
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await chat.drain()
        await queue.close()
        await store.close()
        await passthrough.close()
        await translate.close()
        embedder.close()

    return Starlette(
        routes=[
            *(Route(path, chat, methods=["POST"]) for path in DIALECTS),
            *Models(auth, catalog, passthrough.models).routes(),
            *memories.routes(),
            *ReceiptApi(caller, receipts, store).routes(),
            *health.routes(),
        ],
        middleware=[Middleware(CountAnswers)],
        exception_handlers={
            RequestError: _refused,
            UpstreamUnavailable: _no_upstream,
            Unavailable: _no_memory,
            ClientGone: _nobody,
            HTTPException: _http,
            Exception: _bug,
        },
        lifespan=lifespan,
    )


@asynccontextmanager
async def running_writer(settings: Settings) -> AsyncIterator[Writer]:
    """The writer process: it has the store, serves it to the web processes, and learns from the queue.

    Raises `ConfigError`, `EmbedderUnavailable`."""
    embedder = build_embedder(settings)
    await embedder.start()
    database = build_database(settings)
    queue = SqliteQueue(database)
    store = EdgeStore.open(settings.data_path / "qdrant", dim=embedder.dim, embedder=embedder.name)
    try:
        async with serving(store, socket_path(settings.data_path)):
            await queue.release()
            yield Writer(
                queue,
                store,
                embedder,
                [Rules()],
                Receipts(database),
                Frozen(database),
                quiet_for=store.quiet_for,
                keep_receipts_ms=settings.memory.receipts_days * DAY_MS,
            )
    finally:
        await queue.close()
        await store.close()
        embedder.close()


def build_embedder(settings: Settings) -> FastEmbedder:
    return FastEmbedder(settings.memory.embedding.model, settings.memory.embedding.path)


def build_database(settings: Settings) -> Database:
    return Database(settings.data_path / "queue.db")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    response = _error(request, error.status, error.code, error.message, error.param)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def _no_upstream(request: Request, error: Exception) -> Response:
    assert isinstance(error, UpstreamUnavailable)
    return _error(request, error.status, "upstream_unavailable", str(error))


async def _no_memory(request: Request, error: Exception) -> Response:
    """Only the memory API fails closed; a chat never gets here."""
    response = _error(request, 503, "memory_unavailable", f"{error}; try again")
    response.headers["Retry-After"] = "1"
    return response


async def _nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(request, error.status_code, "not_found", f"{error.detail}: {request.url.path}")


async def _bug(request: Request, error: Exception) -> Response:
    """Starlette logs the traceback; the client learns no more than that."""
    return _error(request, 500, "internal_error", "an error of the proxy; its log says more")


def _error(request: Request, status: int, code: str, message: str, param: str | None = None) -> Response:
    """In the shape that a client of this path reads."""
    return json_response(dialect_for(request.url.path).error_body(status, code, message, param), status)
