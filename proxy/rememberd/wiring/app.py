"""The composition root: the only place that knows which adapter stands behind which port."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from rememberd.access.api_keys import ApiKeyStore, KeyWatcher
from rememberd.access.audit_log import AuditLog, AuditMiddleware
from rememberd.access.auth import Auth
from rememberd.access.rate_limit import RateLimits
from rememberd.api import openapi
from rememberd.api.admin import Admin
from rememberd.api.dependencies import CallerResolver
from rememberd.api.forward import Forward
from rememberd.api.health import Health
from rememberd.api.mcp.endpoint import Mcp
from rememberd.api.memories import Memories
from rememberd.api.memory_stats import MemoryStats
from rememberd.api.models import Models
from rememberd.api.page import Page
from rememberd.api.receipts import ReceiptApi
from rememberd.dialects.registry import DIALECTS
from rememberd.errors import ConfigError, QueueUnavailable, RequestError
from rememberd.http.cors import cross_origin
from rememberd.http.exception_handlers import EXCEPTION_HANDLERS, wrong_method
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.erasure import undo_interrupted
from rememberd.memory.learn.llm.llm_extract import Model
from rememberd.memory.learn.llm.llm_worker import LlmWorker
from rememberd.memory.learn.rules.extract import Rules
from rememberd.memory.learn.writer import DAY_MS, Writer
from rememberd.memory.recall.recall import Recall
from rememberd.memory.retry import cancel_and_wait
from rememberd.memory.safety.privacy import Privacy
from rememberd.pipeline.chat import Chat
from rememberd.pipeline.router import ChatFirstRouter
from rememberd.ports import Embedder, ExtractionQueue, MemoryStore, TurnQueue, Upstream
from rememberd.settings.schema import Settings
from rememberd.storage.sqlite.api_keys import SqliteApiKeys
from rememberd.storage.sqlite.database import Database
from rememberd.telemetry.exposition import MetricsMiddleware
from rememberd.types import CHAT, Deployment
from rememberd.upstream.byte_lane import ByteLane
from rememberd.upstream.catalog import Catalog
from rememberd.upstream.failover import Failover
from rememberd.upstream.litellm_lane import LitellmLane, load_litellm
from rememberd.wiring import store as stores
from rememberd.wiring.encryption import Encryption, open_encryption
from rememberd.wiring.queue import QueueBundle, open_queue

log = logging.getLogger("rememberd.app")

_OURS = ("/v1/memories", "/v1/memories/{rest:path}", "/v1/receipts", "/v1/receipts/{rest:path}")


def build_app(
    settings: Settings,
    model_list: Sequence[Mapping[str, Any]],
    environ: Mapping[str, str],
    embedder: FastEmbedder,
    seal: Encryption,
) -> Starlette:
    """The web process; `embedder` has been started. Raises `ConfigError`."""
    limits = RateLimits(settings.data_path / "limits")
    origins = settings.server.cors_origins or []
    auth = Auth(
        settings.keys or [],
        settings.admin_key,
        local_only=settings.server.local_only,
        origins=origins,
        limits=limits,
    )
    keys = build_keys(settings, seal)
    watch = KeyWatcher(auth, keys)
    caller, audit_log = CallerResolver(auth), build_audit_log(settings, seal)
    catalog = Catalog(model_list, environ, settings.aliases, settings.fallbacks)
    passthrough, translate = ByteLane(), LitellmLane()
    upstream = Failover({"bytes": passthrough, "translate": translate})
    store, retrieving = stores.for_web(settings, embedder, seal.store)
    records = open_queue(settings, seal)
    queue, receipts, block_cache, pauses = records.queue, records.receipts, records.block_cache, records.pauses
    memory, max_body_bytes = settings.memory, settings.server.max_body_mb * 2**20
    privacy = build_privacy(settings)
    recall = Recall(store, embedder, memory.budget_tokens, memory.deadline_ms, privacy, retrieving)
    chat = Chat(
        auth=auth,
        catalog=catalog,
        upstream=upstream,
        recall=recall,
        block_cache=block_cache,
        queue=queue,
        receipts=receipts,
        pauses=pauses,
        placement=memory.placement,
        side_tasks=[re.compile(pattern) for pattern in memory.side_tasks or ()],
        deadline_ms=memory.deadline_ms,
        max_body_bytes=max_body_bytes,
    )
    forward = Forward(auth=auth, catalog=catalog, upstream=upstream, max_body_bytes=max_body_bytes)
    memories = Memories(
        caller,
        store,
        embedder,
        recall,
        queue,
        records.extraction_queue,
        block_cache,
        receipts,
        max_body_bytes,
        tuple(settings.memory.redact or ()),
    )
    mcp = Mcp(caller, privacy, pauses, max_body_bytes)
    health = Health(
        auth, queue, {"store": store.ping, "queue": queue.stats, "embedder": lambda: embedder.dense("ready?")}
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await watch.refresh()
        background = [asyncio.create_task(watch.run()), asyncio.create_task(audit_log.run())]
        yield
        await mcp.close()
        for task in background:
            task.cancel()
        audit_log.sync()
        await chat.drain()
        await keys.close()
        limits.close()
        await queue.close()
        await store.close()
        await passthrough.close()
        await translate.close()
        embedder.close()

    app = ChatFirstRouter(
        chat,
        routes=[
            *(Route(path, chat, methods=["POST"]) for path in DIALECTS),
            *openapi.routes(),
            *Models(auth, catalog, passthrough.models).routes(),
            Route("/v1/messages/count_tokens", forward, methods=["POST"]),
            *MemoryStats(caller, store, recall, receipts, pauses, max_body_bytes).routes(),
            *memories.routes(),
            *ReceiptApi(caller, receipts, store).routes(),
            *mcp.routes(),
            *Admin(auth, keys, watch, store, memories.erase_user).routes(),
            *health.routes(),
            *(Route(path, wrong_method, methods=["GET", "POST"]) for path in (*DIALECTS, *_OURS)),
            Route("/v1/{path:path}", forward, methods=["GET", "POST"]),
            *Page().routes(),
        ],
        middleware=[
            *cross_origin(origins),
            Middleware(MetricsMiddleware, settings.server.access_log),
            Middleware(AuditMiddleware, log=audit_log),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )
    app.state.auth, app.state.catalog = auth, catalog
    return app


@asynccontextmanager
async def running_writer(
    settings: Settings, model_list: Sequence[Mapping[str, Any]], environ: Mapping[str, str]
) -> AsyncIterator[Writer]:
    """The writer process: it has the store, serves an embedded one to the web processes, and learns from the queue,
    with the model `extract.model` of `model_list` beside it.

    Raises `ConfigError`, `EmbedderUnavailable`."""
    deployment = extraction(settings, model_list, environ)
    privacy, sees_all = build_privacy(settings), extracts_locally(settings, model_list, environ)
    if deployment is not None and deployment().lane(CHAT) == "translate":
        load_litellm()  # before anybody waits for the store: the import takes seconds
    embedder = build_embedder(settings)
    await embedder.start()
    try:
        async with (
            open_encryption(settings) as seal,
            stores.for_writer(settings, embedder, seal.store) as kept,
            _recording(settings, seal) as records,
            _extracting(
                settings, deployment, records, kept.store, embedder, None if sees_all else privacy
            ) as extraction_queue,
        ):
            if records.file is not None:
                for unsealed in kept.unsealed:
                    await undo_interrupted(unsealed, records.file.interrupted())
                await records.file.clear_interrupted()
            yield Writer(
                records.queue,
                kept.store,
                embedder,
                [Rules()],
                records.receipts,
                records.block_cache,
                extraction_queue=extraction_queue,
                extracts_private=sees_all,
                privacy=privacy,
                redact_too=tuple(settings.memory.redact or ()),
                quiet_for=kept.quiet_for,
                keep_receipts_ms=settings.memory.receipts_days * DAY_MS,
            )
    finally:
        embedder.close()


@asynccontextmanager
async def _recording(settings: Settings, seal: Encryption) -> AsyncIterator[QueueBundle]:
    """With the leases of this writer returned at the end, and those of a predecessor that died at the start."""
    records = open_queue(settings, seal)
    try:
        await _released(records.queue)
        await _released(records.extraction_queue)
        yield records
        await _released(records.extraction_queue)
        await _released(records.queue)
    finally:
        await records.queue.close()


async def _released(leases: TurnQueue | ExtractionQueue) -> None:
    """So that nobody need wait for their end."""
    try:
        await leases.release()
    except QueueUnavailable as error:
        log.warning("leases were not returned, and will lapse: %s", error)


@asynccontextmanager
async def _extracting(
    settings: Settings,
    deployment: Callable[[], Deployment] | None,
    records: QueueBundle,
    store: MemoryStore,
    embedder: Embedder,
    hidden: Privacy | None,
) -> AsyncIterator[ExtractionQueue | None]:
    """The second stage, and its turns; None without a model for it."""
    if deployment is None:
        yield None
        return
    lanes: dict[str, Upstream] = {"bytes": ByteLane(), "translate": LitellmLane()}
    model, daily_tokens = Model(deployment, lanes), settings.memory.extract.daily_tokens
    stage = LlmWorker(records.extraction_queue, records.queue, store, embedder, model, daily_tokens, hidden)
    running = asyncio.create_task(stage.run())
    try:
        yield records.extraction_queue
    finally:
        await cancel_and_wait(running)
        for lane in lanes.values():
            await lane.close()


def extraction(
    settings: Settings, model_list: Sequence[Mapping[str, Any]], environ: Mapping[str, str]
) -> Callable[[], Deployment] | None:
    """Where `extract.model` is, at each call; None if there is none. Raises `ConfigError`."""
    name = settings.memory.extract.model
    if name is None:
        return None
    catalog = Catalog(model_list, environ, settings.aliases, settings.fallbacks)
    try:
        catalog.resolve(name)
    except RequestError as error:
        raise ConfigError(f"memory.extract.model: {error.message}") from error
    return partial(catalog.resolve, name)


def extracts_locally(settings: Settings, model_list: Sequence[Mapping[str, Any]], environ: Mapping[str, str]) -> bool:
    """May `extract.model` see what is private? Only if all that answer for that name are local."""
    name = settings.memory.extract.model
    if name is None:
        return False
    catalog = Catalog(model_list, environ, settings.aliases, settings.fallbacks)
    return all(each.local for each in catalog.candidates(name))


def build_privacy(settings: Settings) -> Privacy:
    return Privacy(settings.memory.private_scopes or (), settings.memory.private_classes or ())


def build_embedder(settings: Settings) -> FastEmbedder:
    return FastEmbedder(settings.memory.embedding.model, settings.memory.embedding.path)


def build_audit_log(settings: Settings, seal: Encryption) -> AuditLog:
    return AuditLog(settings.data_path / "audit.jsonl", seal.name)


def build_keys(settings: Settings, seal: Encryption) -> ApiKeyStore:
    """Raises `ConfigError` for a URL that is none."""
    file = SqliteApiKeys(Database(settings.data_path / "keys.db"))
    if not settings.memory.queue.url:
        return file
    # Imported here: who has no Redis need not load its client.
    from rememberd.storage.redis.api_keys import RedisApiKeys
    from rememberd.storage.redis.client import RedisClient

    return RedisApiKeys(RedisClient(settings.memory.queue.url), seal.keyring.root if seal.keyring else None, file)


def reconfigure(
    app: Starlette, settings: Settings, model_list: Sequence[Mapping[str, Any]], environ: Mapping[str, str]
) -> None:
    """Put other models and keys in force for the requests to come. Raises `ConfigError`, and then nothing changed."""
    catalog = Catalog(model_list, environ, settings.aliases, settings.fallbacks)
    app.state.auth.reload(Auth(settings.keys or [], settings.admin_key))
    app.state.catalog.reload(catalog)
