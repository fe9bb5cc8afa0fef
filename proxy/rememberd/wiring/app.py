"""Builds the web process. Only `wiring` knows which adapter implements which port."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.middleware import Middleware

from rememberd.access.api_keys import ApiKeyStore, KeyWatcher
from rememberd.access.apps import AppLog
from rememberd.access.audit_log import AuditLog, AuditMiddleware
from rememberd.access.auth import Auth
from rememberd.access.client_keys import CLIENT_KEYS_FILE, ClientKeys, load_secret
from rememberd.access.groups import Groups, GroupsMiddleware
from rememberd.access.object_owners import ObjectOwners
from rememberd.access.rate_limit import RateLimits
from rememberd.api.admin import Admin
from rememberd.api.apps import AppsApi
from rememberd.api.dead_letters import DeadLetterApi, DeadLetters
from rememberd.api.dependencies import CallerResolver
from rememberd.api.forward import Forward
from rememberd.api.groups import GroupsAdmin
from rememberd.api.health import Health
from rememberd.api.mcp.endpoint import Mcp
from rememberd.api.memories import Memories
from rememberd.api.memory_batches import MemoryBatches
from rememberd.api.memory_files import MemoryFiles
from rememberd.api.memory_review import MemoryReview
from rememberd.api.memory_stats import MemoryStats
from rememberd.api.memory_tool import MemoryTool
from rememberd.api.memory_writes import MemoryWrites
from rememberd.api.models import Models
from rememberd.api.ollama import OllamaApi
from rememberd.api.page import Page
from rememberd.api.receipts import ReceiptApi
from rememberd.api.sign_in import SignInApi
from rememberd.api.usage import UsageApi
from rememberd.http.admission import AdmissionMiddleware
from rememberd.http.app import AnswerMiddleware, App
from rememberd.http.cors import cross_origin
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.recall.recall import Recall
from rememberd.memory.safety.privacy import Privacy
from rememberd.pipeline.block import BlockSource
from rememberd.pipeline.chat import Chat
from rememberd.pipeline.outbox import Outbox
from rememberd.pipeline.record import Recorder
from rememberd.pipeline.user_settings import UserSettings
from rememberd.ports import MemoryStore, Upstream
from rememberd.settings.checks import configured_groups
from rememberd.settings.operator_patterns import linear_pattern
from rememberd.settings.schema import Settings, configured_keys
from rememberd.telemetry.traffic import TRAFFIC, Traffic
from rememberd.telemetry.usage.meter import UsageMeter
from rememberd.upstream.byte_lane import ByteLane
from rememberd.upstream.catalog import Catalog
from rememberd.upstream.failover import Failover
from rememberd.upstream.http_proxy import HttpProxies
from rememberd.upstream.translate.litellm_lane import LitellmLane
from rememberd.upstream.translate.ollama_lane import OllamaLane
from rememberd.wiring import store as stores
from rememberd.wiring.components import (
    build_audit_log,
    build_groups,
    build_keys,
    build_privacy,
    key_mark,
    search_disk,
)
from rememberd.wiring.encryption import Encryption
from rememberd.wiring.erasure import UserErasure
from rememberd.wiring.lifespan import lifespan
from rememberd.wiring.queue import QueueBundle, open_queue
from rememberd.wiring.routes import Handlers, routes
from rememberd.wiring.sign_in import SignInParts, open_sign_in


class Parts(NamedTuple):
    """The objects that the handlers of a web process share."""

    settings: Settings
    auth: Auth
    groups: Groups
    keys: ApiKeyStore
    watcher: KeyWatcher
    audit_log: AuditLog
    limits: RateLimits
    catalog: Catalog
    byte_lane: ByteLane
    litellm_lane: LitellmLane
    upstream: Failover
    store: MemoryStore
    embedder: FastEmbedder
    recall: Recall
    queues: QueueBundle
    owners: ObjectOwners
    meter: UsageMeter
    app_log: AppLog
    privacy: Privacy
    sign_in: SignInParts | None

    @property
    def max_body_bytes(self) -> int:
        return self.settings.server.max_body_mb * 2**20


def build_app(
    settings: Settings,
    model_list: Sequence[Mapping[str, Any]],
    environ: Mapping[str, str],
    embedder: FastEmbedder,
    encryption: Encryption,
) -> Starlette:
    """The app of a web process. `embedder` is already started. Raises `ConfigError`."""
    parts = _parts(settings, model_list, environ, embedder, encryption)
    handlers = _handlers(parts)
    app = App(
        routes=routes(handlers),
        middleware=[
            Middleware(AdmissionMiddleware, note=Traffic(settings.data_path / TRAFFIC).note),
            *cross_origin(settings.server.cors_origins or []),
            Middleware(AuditMiddleware, log=parts.audit_log),
            *([parts.sign_in.middleware(parts.auth)] if parts.sign_in else []),
            Middleware(AnswerMiddleware, settings.server.access_log),
            Middleware(GroupsMiddleware, groups=parts.groups),
        ],
        lifespan=lifespan(parts, handlers),
    )
    app.state.auth, app.state.groups, app.state.catalog = parts.auth, parts.groups, parts.catalog
    parts.catalog.warn_of_ignored()
    return app


def reconfigure(
    app: Starlette, settings: Settings, model_list: Sequence[Mapping[str, Any]], environ: Mapping[str, str]
) -> None:
    """Replace models, keys and groups for all later requests. If it raises `ConfigError`, nothing was changed."""
    catalog = Catalog(model_list, environ, settings.aliases, settings.fallbacks)
    app.state.auth.reload(Auth(configured_keys(settings.keys or ()), settings.admin_key))
    app.state.groups.reload(Groups(configured_groups(settings.groups or ())))
    app.state.catalog.reload(catalog)
    catalog.warn_of_ignored()


def _parts(
    settings: Settings,
    model_list: Sequence[Mapping[str, Any]],
    environ: Mapping[str, str],
    embedder: FastEmbedder,
    encryption: Encryption,
) -> Parts:
    limits = RateLimits(settings.data_path / "limits")
    queues = open_queue(settings, encryption)
    meter = UsageMeter(queues.usage)
    client_keys = None
    if settings.upstreams is not None:
        client_keys = ClientKeys(load_secret(settings.data_path / CLIENT_KEYS_FILE))
    auth = Auth(
        configured_keys(settings.keys or ()),
        settings.admin_key,
        local_only=settings.server.local_only,
        origins=settings.server.cors_origins or [],
        limits=limits,
        spent=meter.spent,
        client_keys=client_keys,
        sign_in=settings.sign_in.issuer is not None,
    )
    keys = build_keys(settings, encryption)
    byte_lane, litellm_lane = ByteLane(HttpProxies.of(environ)), LitellmLane()
    lanes: dict[str, Upstream] = {"bytes": byte_lane, "translate": litellm_lane}
    catalog = Catalog(model_list, environ, settings.aliases, settings.fallbacks)
    store, retrieve = stores.for_web(settings, embedder, encryption.store)
    memory, privacy = settings.memory, build_privacy(settings)
    return Parts(
        settings=settings,
        auth=auth,
        groups=build_groups(settings, encryption),
        keys=keys,
        watcher=KeyWatcher(auth, keys, key_mark(settings)),
        audit_log=build_audit_log(settings, encryption),
        limits=limits,
        catalog=catalog,
        byte_lane=byte_lane,
        litellm_lane=litellm_lane,
        upstream=Failover({**lanes, "ollama": OllamaLane(lanes)}),
        store=store,
        embedder=embedder,
        recall=Recall(store, embedder, memory.budget_tokens, memory.deadline_ms, privacy, retrieve),
        queues=queues,
        owners=ObjectOwners(auth, catalog, queues.owned),
        meter=meter,
        app_log=AppLog(queues.apps),
        privacy=privacy,
        sign_in=open_sign_in(settings),
    )


def _handlers(parts: Parts) -> Handlers:
    auth, catalog, store, queues = parts.auth, parts.catalog, parts.store, parts.queues
    caller, max_body_bytes = CallerResolver(auth, parts.groups, catalog, parts.max_body_bytes), parts.max_body_bytes
    redact_too, time_zone = tuple(parts.settings.memory.redact or ()), parts.settings.memory.time_zone
    writes = MemoryWrites(store, parts.embedder, queues.queue, queues.block_cache)
    erasure = UserErasure(parts.settings, store, parts.embedder, queues, parts.groups)
    search = partial(search_disk, parts.settings.data_path)
    forward = Forward(
        auth=auth,
        groups=parts.groups,
        catalog=catalog,
        upstream=parts.upstream,
        owners=parts.owners,
        meter=parts.meter,
        max_body_bytes=max_body_bytes,
    )
    models = Models(auth, catalog, parts.byte_lane.models, forward)
    return Handlers(
        chat=_chat(parts),
        forward=forward,
        models=models,
        ollama=OllamaApi(auth=auth, catalog=catalog, upstream=parts.upstream, models=models, limit=max_body_bytes),
        memories=Memories(caller, writes, parts.recall, erasure.erase, redact_too),
        batches=MemoryBatches(caller, writes, redact_too),
        files=MemoryFiles(caller, writes, queues.receipts, queues.tool_files, redact_too),
        stats=MemoryStats(caller, store, parts.recall, queues.receipts, queues.preferences, time_zone),
        tool=MemoryTool(caller, queues.tool_files, queues.preferences, redact_too),
        review=MemoryReview(caller, store, queues.receipts),
        receipts=ReceiptApi(caller, queues.receipts, store),
        admin=Admin(auth, parts.keys, parts.watcher, store, erasure.erase, erasure.texts_of, search),
        groups=GroupsAdmin(auth, parts.groups, erasure.erase),
        dead=DeadLetterApi(auth, DeadLetters(queues.queue, queues.extraction_queue, queues.spool)),
        usage=UsageApi(auth, queues.usage),
        apps=AppsApi(caller, auth, queues.apps),
        mcp=Mcp(caller, parts.privacy, parts.app_log, queues.preferences, max_body_bytes),
        health=_health(parts),
        sign_in=SignInApi(parts.sign_in.sign_in if parts.sign_in else None, auth),
        page=Page(),
    )


def _chat(parts: Parts) -> Chat:
    memory, queues = parts.settings.memory, parts.queues
    blocks = BlockSource(parts.recall, queues.block_cache, memory.deadline_ms)
    outbox = Outbox(queues.queue, queues.spool, memory.deadline_ms)
    return Chat(
        auth=parts.auth,
        groups=parts.groups,
        catalog=parts.catalog,
        owners=parts.owners,
        upstream=parts.upstream,
        blocks=blocks,
        meter=parts.meter,
        recorder=Recorder(outbox, queues.receipts, blocks, memory.deadline_ms, tuple(memory.redact or ())),
        user_settings=UserSettings(parts.app_log, queues.preferences),
        placement=memory.placement,
        side_tasks=[linear_pattern(pattern) for pattern in memory.side_tasks or ()],
        max_body_bytes=parts.max_body_bytes,
        time_zone=memory.time_zone,
    )


def _health(parts: Parts) -> Health:
    queue, embedder = parts.queues.queue, parts.embedder
    checks = {"store": parts.store.ping, "queue": queue.stats, "embedder": lambda: embedder.dense("ready?")}
    return Health(parts.auth, queue, checks)
