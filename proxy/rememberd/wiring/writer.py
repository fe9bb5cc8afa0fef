"""Builds the writer process."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rememberd.errors import ConfigError, QueueUnavailable, RequestError, UpstreamUnavailable
from rememberd.memory.embedding.embedder import release_free_memory
from rememberd.memory.embedding.reindex import Reindexing
from rememberd.memory.erasure import undo_interrupted
from rememberd.memory.learn.llm.llm_extract import Model
from rememberd.memory.learn.llm.llm_worker import LlmWorker
from rememberd.memory.learn.rules.extract import Rules
from rememberd.memory.learn.writer import DAY_MS, Writer
from rememberd.memory.recall.needs import learn
from rememberd.memory.safety.privacy import Privacy
from rememberd.pipeline.outbox import Outbox
from rememberd.ports import Embedder, ExtractionQueue, MemoryStore, TurnQueue, Upstream
from rememberd.settings.schema import Settings
from rememberd.telemetry.background import keep_running, running
from rememberd.telemetry.traffic import TRAFFIC, Traffic
from rememberd.types import CHAT, Deployment
from rememberd.upstream.byte_lane import ByteLane
from rememberd.upstream.catalog import Catalog
from rememberd.upstream.http_proxy import HttpProxies
from rememberd.upstream.translate.litellm_lane import LitellmLane, load_litellm
from rememberd.wiring import store as stores
from rememberd.wiring.components import build_embedder, build_privacy
from rememberd.wiring.encryption import Encryption, open_encryption
from rememberd.wiring.queue import QueueBundle, open_queue, require_format, risks

log = logging.getLogger("rememberd.app")

_LEARNING_NICE = 5  # users wait for the embedding of a question, but not for that of a turn

SAME = "same"  # a value of `memory.extract.model`: the model that answered


@asynccontextmanager
async def running_writer(
    settings: Settings, model_list: Sequence[Mapping[str, Any]], environ: Mapping[str, str]
) -> AsyncIterator[Writer]:
    """The writer: opens the store, serves an embedded one to the web processes, and learns from the queue, also with
    the model `extract.model` of `model_list`.

    Raises `ConfigError`, `EmbedderUnavailable`."""
    deployment = extraction(settings, model_list, environ)
    privacy, sees_all = build_privacy(settings), extracts_locally(settings, model_list, environ)
    if (
        deployment is not None
        and settings.memory.extract.model != SAME
        and deployment(None).lane(CHAT) == "translate"
    ):
        load_litellm()  # the import takes seconds: do it before web processes wait for the store
    embedder = build_embedder(settings, nice=_LEARNING_NICE)
    await embedder.start()
    try:
        async with (
            open_encryption(settings) as seal,
            stores.for_writer(settings, embedder, seal.store) as kept,
            _recording(settings, seal) as records,
            _extracting(
                settings,
                deployment,
                records,
                kept.store,
                embedder,
                None if sees_all else privacy,
                HttpProxies.of(environ),
            ) as extraction_queue,
        ):
            if records.file is not None:
                for unsealed in kept.unsealed:
                    await undo_interrupted(unsealed, records.file.interrupted())
                await records.file.clear_interrupted()
            writer = Writer(
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
                chats_ago=Traffic(settings.data_path / TRAFFIC).quiet_for,
                keep_receipts_ms=settings.memory.receipts_days * DAY_MS,
            )
            reindexing = Reindexing(kept.store, kept.unsealed[0], embedder, records.queue)
            learning = keep_running("topics", partial(_learn_topics, embedder, settings.data_path))
            async with running(learning), running(keep_running("reindexing", reindexing.run)):
                yield writer
    finally:
        embedder.close()


async def _learn_topics(embedder: Embedder, data: Path) -> None:
    await learn(embedder, data / "topics")
    release_free_memory()


@asynccontextmanager
async def _recording(settings: Settings, seal: Encryption) -> AsyncIterator[QueueBundle]:
    """Opens the queue. Releases the leases of a dead predecessor at the start and those of this writer at the end.
    Adopts the spools of dead web processes of this host."""
    await require_format(settings)
    records = open_queue(settings, seal)
    outbox = Outbox(records.queue, records.spool, settings.memory.deadline_ms)
    try:
        await _warn_of_risks(settings)
        await _released(records.queue)
        await _released(records.extraction_queue)
        outbox.start()
        yield records
        await _released(records.extraction_queue)
        await _released(records.queue)
    finally:
        await outbox.close()
        await records.queue.close()


async def _warn_of_risks(settings: Settings) -> None:
    try:
        for risk in await risks(settings):
            log.warning("turns could be lost: %s", risk)
    except QueueUnavailable as error:
        log.warning("could not find out whether Redis may lose turns: %s", error)


async def _released(leases: TurnQueue | ExtractionQueue) -> None:
    """Release leases, so that no turn waits until its lease ends."""
    try:
        await leases.release()
    except QueueUnavailable as error:
        log.warning("leases were not released; they end later: %s", error)


@asynccontextmanager
async def _extracting(
    settings: Settings,
    deployment: Callable[[str | None], Deployment] | None,
    records: QueueBundle,
    store: MemoryStore,
    embedder: Embedder,
    hidden: Privacy | None,
    proxies: HttpProxies,
) -> AsyncIterator[ExtractionQueue | None]:
    """Runs the extraction by a model and yields its queue; None without a model."""
    if deployment is None:
        yield None
        return
    lanes: dict[str, Upstream] = {"bytes": ByteLane(proxies), "translate": LitellmLane()}
    extract = settings.memory.extract
    model = Model(deployment, lanes, extract.timeout_seconds)
    stage = LlmWorker(
        records.extraction_queue, records.queue, store, embedder, model, extract.daily_tokens, hidden, records.usage
    )
    try:
        async with running(stage.run()):
            yield records.extraction_queue
    finally:
        for lane in lanes.values():
            await lane.close()


def extraction(
    settings: Settings, model_list: Sequence[Mapping[str, Any]], environ: Mapping[str, str]
) -> Callable[[str | None], Deployment] | None:
    """A function that returns the deployment of `extract.model`; None if no model is set. Raises `ConfigError`."""
    name = settings.memory.extract.model
    if name is None:
        return None
    catalog = Catalog(model_list, environ, settings.aliases, settings.fallbacks)
    if name == SAME:
        return partial(_answered_by, catalog)
    try:
        catalog.resolve(name)
    except RequestError as error:
        raise ConfigError(f"memory.extract.model: {error.message}") from error
    return lambda _answered_by: catalog.resolve(name)


def _answered_by(catalog: Catalog, model: str | None) -> Deployment:
    """The model that answered, so that no other provider gets the user's words. Raises `UpstreamUnavailable` if it is
    no longer configured."""
    try:
        return catalog.resolve(model or "")
    except RequestError as error:
        raise UpstreamUnavailable(f"memory.extract.model is same: {error.message}") from error


def extracts_locally(settings: Settings, model_list: Sequence[Mapping[str, Any]], environ: Mapping[str, str]) -> bool:
    """True if `extract.model` may see private memories: all deployments of that name are local."""
    name = settings.memory.extract.model
    if name is None or name == SAME:
        return False
    catalog = Catalog(model_list, environ, settings.aliases, settings.fallbacks)
    return all(each.local for each in catalog.candidates(name))
