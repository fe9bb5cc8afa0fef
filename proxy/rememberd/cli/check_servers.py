"""What `rememberd check` asks the servers and files that the settings name. Each function returns what it found, and
raises `RememberdError` if that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rememberd.errors import RememberdError
from rememberd.memory.embedding.suggestion import suggested_model
from rememberd.settings.schema import Settings, Store
from rememberd.storage.edge.shard import check_embedder
from rememberd.storage.edge.socket_protocol import socket_path
from rememberd.storage.qdrant.collection import NoCollection, check_version
from rememberd.storage.qdrant.connection import Connection
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Deployment
from rememberd.upstream.byte_lane import ByteLane
from rememberd.upstream.http_proxy import HttpProxies
from rememberd.wiring import store as stores
from rememberd.wiring.components import build_embedder
from rememberd.wiring.encryption import open_encryption
from rememberd.wiring.queue import existing_queue, risks
from rememberd.wiring.store_move import check_move, next_place, place
from rememberd.wiring.writer import extraction


async def redis(settings: Settings) -> str:
    await risks(settings)  # raises an error if there is no answer; the line of the queue says what it found
    return "answers; the queue, receipts, keys and usage are there"


async def sign_in(settings: Settings) -> str:
    from rememberd.access.sign_in.provider import OpenIdProvider

    given = settings.sign_in
    openid = OpenIdProvider(given.issuer or "", given.client_id or "", given.client_secret, given.scopes or [])
    try:
        await openid.metadata()
    except RememberdError as error:
        raise RememberdError(f"{given.issuer}: {error}") from error
    finally:
        await openid.close()
    return f"{given.issuer} answers"


async def queue(settings: Settings) -> str:
    async with existing_queue(settings) as records:
        if records is None:
            return "SQLite, created by the first start"
        stats, refused = await records.queue.stats(), await records.spool.dead()
        letters = [*await records.queue.dead(), *refused]
    if found := await risks(settings):
        raise RememberdError(f"turns could be lost: {'; '.join(found)}")
    if letters:
        causes = "; ".join(sorted({letter.error for letter in letters}))
        raise RememberdError(
            f"{stats.dead + len(refused)} turns could not be stored; `rememberd dead replay` tries again: {causes}"
        )
    where = "Redis" if settings.memory.queue.url else "SQLite"
    return f"{where}, {stats.depth} turns waiting, the oldest for {stats.oldest_age_ms / 1000:.0f} s"


async def extraction_queue(
    settings: Settings, models: Sequence[Mapping[str, Any]], environ: Mapping[str, str]
) -> str:
    extraction(settings, models, environ)
    wanted = settings.memory.extract
    async with existing_queue(settings) as records:
        if records is None:
            return f"{wanted.model}: no turns yet"
        stats, letters = await records.extraction_queue.stats(), await records.extraction_queue.dead()
    if letters:
        causes = "; ".join(sorted({letter.error for letter in letters}))
        raise RememberdError(f"{stats.dead} turns are dead letters; `rememberd dead replay` tries again: {causes}")
    spent = f"{stats.tokens:,} tokens today, at most {wanted.daily_tokens:,} for each user"
    return f"{wanted.model}: {spent}; {stats.waiting} turns waiting"


async def store(settings: Settings, *, redis_answers: bool = True) -> str:
    url, embedder = settings.memory.store.url, build_embedder(settings)
    await embedder.start()
    if url is None and not socket_path(settings.data_path).exists():
        if ((folder := settings.data_path / "qdrant") / "embedder.json").exists():
            check_embedder(folder, embedder.name, embedder.dim)
        return "embedded; not running (start `rememberd serve`)"
    check_move(settings.data_path, place(settings))
    await _every_address(settings.memory.store)
    if url and not redis_answers:  # which has the deletions that a reader of the store asks for
        return "the Qdrant server answers"
    async with open_encryption(settings, read_only=True) as seal:
        opened = (
            seal.store(stores.on_server(settings, embedder, "reading"))
            if url
            else stores.for_web(settings, embedder, seal.store).store
        )
        try:
            await opened.ping()
            model = await suggested_model(opened, embedder, await opened.users("", 20), wall_clock())
        except NoCollection as error:
            return f"the Qdrant server answers; {error}"
        finally:
            await opened.close()
            embedder.close()
    hint = f"; most memories are not in English: memory.embedding.model: {model} finds more" if model else ""
    return ("the Qdrant server answers" if url else "embedded, the writer answers") + hint


async def next_store(settings: Settings) -> str:
    """The place that memories are moved to, while the proxy runs."""
    there = next_place(settings)
    if there is None or not there.memory.store.urls:
        return "embedded, in data_dir"
    await _every_address(there.memory.store)
    return f"{place(there)} answers"


async def _every_address(at: Store) -> None:
    """The proxy goes on without a node that is away, so that nobody would notice an address that is mistyped."""
    away = []
    for url in at.urls:
        node = Connection([url], at.api_key)
        try:
            await check_version(node)
        except RememberdError as error:
            away.append(str(error))
        finally:
            await node.close()
    if away:
        several = f"{len(away)} of {len(at.urls)} addresses: " if len(at.urls) > 1 else ""
        raise RememberdError(several + "; ".join(away))


async def provider(deployment: Deployment, environ: Mapping[str, str]) -> str:
    name = f"{deployment.model_name} -> {deployment.provider}/{deployment.upstream_model}"
    if not deployment.speaks:
        if deployment.api_key is None:
            raise RememberdError(f"{name}: no api_key")
        return f"{name}, translated by litellm; the provider was not asked"
    upstream = ByteLane(HttpProxies.of(environ))
    try:
        listed = await upstream.models(deployment)
    except RememberdError as error:
        raise RememberdError(f"{name}: {error}") from error
    finally:
        await upstream.close()
    unlisted = "*" not in deployment.upstream_model and deployment.upstream_model not in listed
    return f"{name}: the provider answers{', but does not list this model' if unlisted else ''}"
