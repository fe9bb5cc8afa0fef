"""`rememberd check`: one line for each part; exit code 1 if one of them is not right."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.errors import RememberdError
from rememberd.processes.run import model_list, prepare
from rememberd.settings.schema import Settings
from rememberd.storage.edge.socket_protocol import socket_path
from rememberd.types import Deployment
from rememberd.upstream.byte_lane import ByteLane
from rememberd.upstream.catalog import Catalog
from rememberd.wiring import store as stores
from rememberd.wiring.components import build_audit_log, build_embedder
from rememberd.wiring.encryption import Encryption, open_encryption
from rememberd.wiring.queue import open_queue, risks
from rememberd.wiring.writer import extraction

EXAMPLES = """\
  rememberd check
  rememberd check --config team.yaml && rememberd serve --config team.yaml
"""

_PATIENCE_SECONDS = 5.0
_LITTLE_SPACE = 1024**3  # bytes; the store refuses to write below 64 MiB


class Finding(NamedTuple):
    part: str
    ok: bool
    about: str


@a_command("check", EXAMPLES)
@config_option
def command(config: Path | None) -> int:
    return asyncio.run(check(settings_of(config), os.environ))


async def check(settings: Settings, environ: Mapping[str, str]) -> int:
    """Prints as it finds. The settings themselves were read before this; a mistake there has stopped us already."""
    wrong = 0
    async for finding in _findings(settings, environ):
        wrong += not finding.ok
        print(f"{'ok   ' if finding.ok else 'WRONG'}  {finding.part:<10} {finding.about}", flush=True)
    return 1 if wrong else 0


async def _findings(settings: Settings, environ: Mapping[str, str]) -> AsyncIterator[Finding]:
    server = settings.server
    keys = ", ".join(key.name for key in settings.keys or []) or "none: loopback only, one user 'local'"
    yield Finding("server", True, f"{server.host}:{server.port}, {server.workers} worker(s); keys: {keys}")
    yield await _tried("data", lambda: _data(settings))
    yield await _tried("audit log", lambda: _audit_log(settings))
    yield await _tried("embedder", lambda: _embedder(settings))
    yield await _tried("queue", lambda: _queue(settings))
    yield await _tried("store", lambda: _store(settings))
    yield await _tried("encryption", lambda: _encryption(settings))
    try:
        models = await model_list(settings, environ)
        catalog = Catalog(models, environ)
    except RememberdError as error:
        yield Finding("models", False, str(error))
        return
    names = [*catalog.names(), *catalog.wildcards()]
    if not names:
        yield Finding("models", False, "none: set a provider's key such as OPENAI_API_KEY, or write a model_list")
    if settings.memory.extract.model is not None:
        yield await _tried("extraction", lambda: _extraction(settings, models, environ))
    for deployment in _distinct([catalog.resolve(name) for name in names]):
        yield await _tried("model", lambda deployment=deployment: _model(deployment))  # type: ignore[misc]


async def _tried(part: str, look: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(part, True, await asyncio.wait_for(look(), _PATIENCE_SECONDS))
    except RememberdError as error:
        return Finding(part, False, str(error))
    except TimeoutError:
        return Finding(part, False, f"no answer within {_PATIENCE_SECONDS:.0f} s")


async def _data(settings: Settings) -> str:
    prepare(settings)
    free = shutil.disk_usage(settings.data_path).free
    if free < _LITTLE_SPACE:
        raise RememberdError(f"{settings.data_path}: only {free // 2**20} MiB free; writes stop below 64 MiB")
    return f"{settings.data_path}, {free // 2**30} GiB free"


async def _audit_log(settings: Settings) -> str:
    """Opened as each entry opens it."""
    log = build_audit_log(settings, Encryption(None))
    try:
        return f"{log.path}, {log.open_size() // 1024} KiB"
    except OSError as error:
        raise RememberdError(f"{log.path} cannot be written to: {error.strerror}") from error


async def _embedder(settings: Settings) -> str:
    embedder = build_embedder(settings)
    began = time.perf_counter()
    await embedder.start()
    embedder.close()
    return f"{embedder.name}, {embedder.dim} dimensions, loaded in {time.perf_counter() - began:.1f} s"


async def _encryption(settings: Settings) -> str:
    async with open_encryption(settings) as seal:
        if seal.keyring is None:
            return "memories are not encrypted at rest"
        versions, newest = await seal.keyring.versions(), seal.keyring.newest.id
    if versions.total() > versions[newest]:
        old = versions.total() - versions[newest]
        raise RememberdError(f"{old} keys are wrapped by an older master key: run `rememberd encryption rotate`")
    return f"on, {versions.total() - 1} users' keys wrapped by the master key {newest}"


async def _queue(settings: Settings) -> str:
    async with open_encryption(settings) as seal:
        queue = open_queue(settings, seal).queue
        try:
            stats = await queue.stats()
            letters = await queue.dead()
        finally:
            await queue.close()
    if found := await risks(settings):
        raise RememberdError(f"turns could be lost: {'; '.join(found)}")
    if letters:
        causes = "; ".join(sorted({letter.error for letter in letters}))
        raise RememberdError(f"{stats.dead} turns could not be stored; `rememberd dead replay` tries again: {causes}")
    where = "Redis" if settings.memory.queue.url else "SQLite"
    return f"{where}, {stats.depth} turns waiting, the oldest for {stats.oldest_age_ms / 1000:.0f} s"


async def _extraction(settings: Settings, models: Sequence[Mapping[str, Any]], environ: Mapping[str, str]) -> str:
    extraction(settings, models, environ)
    wanted = settings.memory.extract
    async with open_encryption(settings) as seal:
        records = open_queue(settings, seal)
        try:
            stats, letters = await records.extraction_queue.stats(), await records.extraction_queue.dead()
        finally:
            await records.queue.close()
    if letters:
        causes = "; ".join(sorted({letter.error for letter in letters}))
        raise RememberdError(f"{stats.dead} turns are dead letters; `rememberd dead replay` tries again: {causes}")
    spent = f"{stats.tokens:,} tokens today, at most {wanted.daily_tokens:,} for each user"
    return f"{wanted.model}: {spent}; {stats.waiting} turns waiting"


async def _store(settings: Settings) -> str:
    url = settings.memory.store.url
    if url is None and not socket_path(settings.data_path).exists():
        return "embedded; not running (start `rememberd serve`)"
    embedder = build_embedder(settings)
    await embedder.start()
    store = stores.for_web(settings, embedder, seal=lambda store: store).store
    try:
        await store.ping()
    finally:
        await store.close()
        embedder.close()
    return "the Qdrant server answers" if url else "embedded, the writer answers"


async def _model(deployment: Deployment) -> str:
    name = f"{deployment.model_name} -> {deployment.provider}/{deployment.upstream_model}"
    if not deployment.speaks:
        if deployment.api_key is None:
            raise RememberdError(f"{name}: no api_key")
        return f"{name}, translated by litellm; the provider was not asked"
    upstream = ByteLane()
    try:
        listed = await upstream.models(deployment)
    except RememberdError as error:
        raise RememberdError(f"{name}: {error}") from error
    finally:
        await upstream.close()
    if "*" not in deployment.upstream_model and deployment.upstream_model not in listed:
        return f"{name}: the provider answers, but does not list this model"
    return f"{name}: the provider answers"


def _distinct(deployments: list[Deployment]) -> list[Deployment]:
    return list({(each.model_name, each.provider, each.upstream_model): each for each in deployments}.values())
