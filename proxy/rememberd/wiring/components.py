"""Builds the parts that several processes and commands need."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rememberd.access.api_keys import ApiKeyStore, KeyMark
from rememberd.access.audit_log import AuditLog
from rememberd.access.groups import Groups
from rememberd.encryption.api_keys import ApiKeyCodec
from rememberd.encryption.groups import GroupCodec
from rememberd.http.connection_limits import ConnectionLimits
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.safety.privacy import Privacy
from rememberd.settings.checks import configured_groups
from rememberd.settings.schema import Settings
from rememberd.storage.disk_scan import scan
from rememberd.storage.format_version import STAMP
from rememberd.storage.sqlite.api_keys import SqliteApiKeys
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.groups import SqliteGroups
from rememberd.wiring.encryption import Encryption


def build_privacy(settings: Settings) -> Privacy:
    return Privacy(settings.memory.private_scopes or (), settings.memory.private_classes or ())


def build_embedder(settings: Settings, nice: int = 0) -> FastEmbedder:
    return FastEmbedder(settings.memory.embedding.model, settings.memory.embedding.path, nice=nice)


def build_audit_log(settings: Settings, seal: Encryption) -> AuditLog:
    known = [key.name for key in settings.keys or ()]
    return AuditLog(settings.data_path / "audit.jsonl", seal.name, STAMP, known)


def build_keys(settings: Settings, seal: Encryption, *, read_only: bool = False) -> ApiKeyStore:
    """Raises `ConfigError` for an invalid URL."""
    codec = ApiKeyCodec(seal.keyring.root if seal.keyring else None)
    file = SqliteApiKeys(Database(settings.data_path / "keys.db", read_only=read_only), codec)
    if not settings.memory.queue.url:
        return file
    # Imported here, so that the client is loaded only if Redis is used.
    from rememberd.storage.redis.api_keys import RedisApiKeys
    from rememberd.storage.redis.client import RedisClient

    return RedisApiKeys(RedisClient(settings.memory.queue.url), codec, None if read_only else file)


async def search_disk(data: Path, texts: Mapping[str, str]) -> dict[str, Any]:
    """The files under `data` that contain any of `texts` (by label)."""
    found = await asyncio.to_thread(lambda: list(scan([data], texts)))
    left = [{"file": str(each.path.relative_to(data)), "found": each.found} for each in found if each.found]
    return {"files": len(found), "bytes": sum(each.size for each in found), "texts": len(texts), "left": left}


def build_groups(settings: Settings, seal: Encryption) -> Groups:
    """Raises `ConfigError` for an invalid URL."""
    codec = GroupCodec(seal.keyring.root if seal.keyring else None)
    configured = configured_groups(settings.groups or ())
    if not settings.memory.queue.url:
        return Groups(configured, SqliteGroups(Database(settings.data_path / "groups.db"), codec))
    from rememberd.storage.redis.client import RedisClient
    from rememberd.storage.redis.records import RedisGroups

    shared = RedisClient(settings.memory.queue.url, soon_ms=settings.memory.deadline_ms / 3)
    return Groups(configured, RedisGroups(shared, codec))


def key_mark(settings: Settings) -> KeyMark:
    return KeyMark(settings.data_path / "keys-were-made")


def connection_limits(settings: Settings) -> ConnectionLimits:
    server = settings.server
    return ConnectionLimits(server.max_connections, server.head_seconds, server.body_seconds)
