"""`rememberd check`: checks each part and prints a line for it; exit code 1 if a part is wrong. It writes nothing."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click

from rememberd.cli import check_servers as ask
from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.cli.terminal.running_proxy import Running, running_proxy
from rememberd.encryption.master_key import masters
from rememberd.errors import RememberdError
from rememberd.memory.embedding.embedder import MULTILINGUAL, FastEmbedder, local_model
from rememberd.processes.announcement import model_list
from rememberd.processes.run import exporter_wanted
from rememberd.processes.supervisor import listen
from rememberd.settings.schema import Settings
from rememberd.storage import formats
from rememberd.telemetry.clock import wall_clock
from rememberd.upstream.catalog import Catalog
from rememberd.wiring import store as stores
from rememberd.wiring.components import build_audit_log, build_embedder, build_keys
from rememberd.wiring.encryption import Encryption, open_encryption
from rememberd.wiring.store_move import MOVES

EXAMPLES = """\
  rememberd check
  rememberd check --upgrade                                  # before the first start of a new version
  rememberd check --config team.yaml && rememberd serve --config team.yaml
"""

_TIMEOUT_SECONDS = 10.0  # a call to Redis fails with its reason after five
_LOADING_SECONDS = 60.0  # disk and CPU may be busy
_LITTLE_SPACE = 1024**3  # bytes; the store refuses to write below 64 MiB


class Finding(NamedTuple):
    part: str
    ok: bool
    about: str


@a_command("check", EXAMPLES)
@config_option
@click.option("--upgrade", is_flag=True, help="rehearse the upgrade of an older data_dir on copies of its databases")
def command(config: Path | None, upgrade: bool) -> int:
    return asyncio.run(check(settings_of(config), os.environ, upgrade=upgrade))


async def check(settings: Settings, environ: Mapping[str, str], *, upgrade: bool = False) -> int:
    """Prints each finding at once. Errors in the settings themselves are reported earlier, when they are read."""
    wrong = 0
    async for finding in _findings(settings, environ, upgrade):
        wrong += not finding.ok
        print(f"{'ok   ' if finding.ok else 'WRONG'}  {finding.part:<10} {finding.about}", flush=True)
    return 1 if wrong else 0


async def _findings(settings: Settings, environ: Mapping[str, str], upgrade: bool) -> AsyncIterator[Finding]:
    running = await asyncio.to_thread(running_proxy, settings)
    yield await _tried("server", lambda: _server(settings, running))
    redis = await _tried("Redis", lambda: ask.redis(settings)) if settings.memory.queue.url else None
    if redis is not None:
        yield redis
    reachable = redis is None or redis.ok  # otherwise each part that is there would wait for it again
    if reachable:
        yield await _tried("keys", lambda: _keys(settings))
    if settings.sign_in.issuer is not None:
        yield await _tried("sign-in", lambda: ask.sign_in(settings))
    yield await _tried("data", lambda: _data(settings))
    yield await _tried("format", lambda: _format(settings, upgrade))
    yield await _tried("audit log", lambda: _audit_log(settings))
    yield await _tried("embedder", lambda: _embedder(build_embedder(settings)), _LOADING_SECONDS)
    if (following := stores.next_embedder(settings)) is not None:
        yield await _tried("next model", lambda: _embedder(following), _LOADING_SECONDS)
    yield await _tried("statements", _judged_by_meaning, _LOADING_SECONDS)
    if reachable:
        yield await _tried("queue", lambda: ask.queue(settings))
    yield await _tried("store", lambda: ask.store(settings, redis_answers=reachable))
    if any(getattr(settings.memory.store, f"next_{name}") is not None for name in MOVES):
        yield await _tried("next store", lambda: ask.next_store(settings))
    if reachable:
        yield await _tried("encryption", lambda: _encryption(settings))
    if exporter_wanted(environ):
        yield await _tried("traces", _traces)
    if running is not None:
        yield await _tried("models", lambda: _running_models(settings, environ, running))
    try:
        models = await model_list(settings, environ)
        catalog = Catalog(models, environ, settings.aliases, settings.fallbacks)
    except RememberdError as error:
        yield Finding("models", False, str(error))
        return
    names = [*catalog.names(), *catalog.wildcards()]
    if not names and running is None:
        yield Finding("models", False, "none: set a provider's key such as OPENAI_API_KEY, or write a model_list")
    for alias, name in (settings.aliases or {}).items():
        yield Finding("alias", True, f"{alias} -> {name}")
    for name, others in (pair for fallback in settings.fallbacks or [] for pair in fallback.items()):
        yield Finding("fallback", True, f"{name} -> {', '.join(others)}")
    if settings.memory.extract.model is not None and reachable:
        yield await _tried("extraction", lambda: ask.extraction_queue(settings, models, environ))
    if ignored := catalog.ignored():
        yield Finding("models", True, ignored)
    candidates = [each for name in names for each in catalog.candidates(name)]
    for deployment in {(each.model_name, each.provider, each.upstream_model): each for each in candidates}.values():
        yield await _tried("model", lambda deployment=deployment: ask.provider(deployment, environ))  # type: ignore[misc]


async def _tried(part: str, look: Callable[[], Awaitable[str]], seconds: float = _TIMEOUT_SECONDS) -> Finding:
    try:
        return Finding(part, True, await asyncio.wait_for(look(), seconds))
    except RememberdError as error:
        return Finding(part, False, str(error))
    except TimeoutError:
        return Finding(part, False, f"no answer within {seconds:.0f} s")


async def _server(settings: Settings, running: Running | None) -> str:
    server = settings.server
    about = f"{server.host}:{server.port}, {server.workers} worker(s)"
    if running is None:
        listen(server.host, server.port).close()
        return f"{about}; not running"
    if running.parts is None:
        raise RememberdError(f"{about}: another program has this port: set server.port to a free one, or stop it")
    if wrong := [f"{part}: {status}" for part, status in running.parts.items() if status != "ok"]:
        raise RememberdError(f"{about}; running, but not ready: {'; '.join(wrong)}")
    return f"{about}; running and ready"


async def _keys(settings: Settings) -> str:
    if formats.due(settings.data_path):
        return "read after the upgrade"
    async with open_encryption(settings, read_only=True) as seal:
        keys = build_keys(settings, seal, read_only=True)
        try:
            made = await keys.all()
        finally:
            await keys.close()
    now = wall_clock()
    in_force = [key for key in made if key.readable and key.revoked_at is None]
    in_force = [key for key in in_force if (key.principal.expires_at or now + 1) > now]
    names = [key.name for key in settings.keys or []] + [key.principal.name for key in in_force]
    if names:
        return ", ".join(names)
    if made:
        raise RememberdError("every request needs a key, and no key is valid: create one by `rememberd keys create`")
    if settings.server.local_only and not settings.closed:
        return "none: no key is needed from this machine, everyone is the user 'local'"
    return "none yet: create one by `rememberd keys create`, or with the admin_key"


async def _data(settings: Settings) -> str:
    path = settings.data_path
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise RememberdError(
            f"cannot write to data_dir {path}" if there == path else f"cannot create data_dir {path}"
        )
    free = shutil.disk_usage(there).free
    if free < _LITTLE_SPACE:
        raise RememberdError(f"{path}: only {free // 2**20} MiB free; writes stop below 64 MiB")
    return f"{path}, {free // 2**30} GiB free{'' if there == path else '; the first start creates it'}"


async def _format(settings: Settings, upgrade: bool) -> str:
    folder = settings.data_path
    found, steps = formats.format_of(folder), formats.due(folder)
    if not steps:
        return f"{found}, up to date"
    what = "; ".join(f"{step.number}: {step.about}" for step in steps)
    if not upgrade:
        return f"{found}; the next start upgrades it ({what}); `rememberd check --upgrade` rehearses that"
    formats.rehearse(folder)
    return f"{found}; rehearsed on copies, the next start does the same: {what}"


async def _audit_log(settings: Settings) -> str:
    path = build_audit_log(settings, Encryption(None)).path
    if not path.exists():
        return f"{path}, created with its first line"
    if not os.access(path, os.W_OK):
        raise RememberdError(f"{path} cannot be written to")
    return f"{path}, {path.stat().st_size // 1024} KiB"


async def _embedder(embedder: FastEmbedder) -> str:
    began = time.perf_counter()
    await embedder.start()
    embedder.close()
    return f"{embedder.name}, {embedder.dim} dimensions, loaded in {time.perf_counter() - began:.1f} s"


async def _judged_by_meaning() -> str:
    await asyncio.to_thread(local_model, MULTILINGUAL)
    return f"judged by {MULTILINGUAL.name}"


async def _traces() -> str:
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise RememberdError("OTEL_EXPORTER_OTLP_ENDPOINT is set: install rememberd[otel]")
    return "exported by OpenTelemetry"


async def _running_models(settings: Settings, environ: Mapping[str, str], running: Running) -> str:
    keys = [key.key for key in settings.keys or [] if key.key is not None]
    key = environ.get("REMEMBERD_KEY") or (keys[0] if keys else None)
    names = await asyncio.to_thread(running.models, key)
    if names is None:
        return "the running server needs an API key to list its models: set REMEMBERD_KEY"
    if not names:
        raise RememberdError("the running server has none: set a provider's key (OPENAI_API_KEY …) where it starts")
    return f"of the running server: {', '.join(names)}"


async def _encryption(settings: Settings) -> str:
    async with open_encryption(settings, read_only=True) as seal:
        if seal.keyring is None:
            wanted = masters(settings.memory.encryption)
            return "on from the first start" if wanted else "memories are not encrypted at rest"
        versions, newest = await seal.keyring.versions(), seal.keyring.newest.id
    if versions.total() > versions[newest]:
        old = versions.total() - versions[newest]
        raise RememberdError(f"{old} keys are encrypted with an older master key: run `rememberd encryption rotate`")
    return f"on, {versions.total() - 1} users' keys, encrypted with the master key {newest}"
