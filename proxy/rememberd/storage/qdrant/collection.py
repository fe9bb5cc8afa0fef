"""The collections on a Qdrant server: one for all users, and one for each embedder that ever filled it.

The alias `memory.store.collection` points to the one in force; `…-ready` to one that is filled and waits for its
embedder to be asked for. Aliases are changed in one step, so no process ever sees half a change.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse
from qdrant_client.models import IntegerIndexParams, KeywordIndexParams

from rememberd.errors import ConfigError, StoreUnavailable
from rememberd.settings.schema import Store
from rememberd.storage.qdrant.connection import connect

log = logging.getLogger("rememberd.store")

OWN_IDF_SINCE = (1, 19)

# In force, with nothing beside it; in force, while the next one is filled; that next one.
Role = Literal["alone", "changing", "next"]

# As in `edge_shard`: no index spans all users, one per space does.
_HNSW = models.HnswConfigDiff(m=0, payload_m=16, ef_construct=100, full_scan_threshold=10_000)
# A search over all users by mistake is refused, not answered slowly. No limits: a page may be long.
_STRICT = models.StrictModeConfig(enabled=True, unindexed_filtering_retrieve=False, unindexed_filtering_update=False)
_KEYWORD = models.KeywordIndexType.KEYWORD
_INTEGER = models.IntegerIndexType.INTEGER
_INDEXES: dict[str, KeywordIndexParams | IntegerIndexParams] = {
    "space": KeywordIndexParams(type=_KEYWORD, is_tenant=True),
    "buried": KeywordIndexParams(type=_KEYWORD, enable_hnsw=False),
    "user_id": KeywordIndexParams(type=_KEYWORD, enable_hnsw=False),
    "kind": KeywordIndexParams(type=_KEYWORD, enable_hnsw=False),
    "slot": KeywordIndexParams(type=_KEYWORD, enable_hnsw=False),
    "pinned": KeywordIndexParams(type=_KEYWORD, enable_hnsw=False),
    "standing": KeywordIndexParams(type=_KEYWORD, enable_hnsw=False),
    "names": IntegerIndexParams(type=_INTEGER, lookup=True, range=False, enable_hnsw=False),
    "until": IntegerIndexParams(type=_INTEGER, lookup=False, range=True, enable_hnsw=False),
    "order": IntegerIndexParams(type=_INTEGER, lookup=True, range=True, enable_hnsw=False),
}


def collection_of(settings: Store, embedder: str, dim: int) -> str:
    """The collection for vectors of `dim` numbers made by `embedder`. Raises `StoreUnavailable` while the embedder
    is not loaded, for then its `dim` is 0."""
    if not dim:
        raise StoreUnavailable("the embedding model, which the store depends on, is not loaded yet")
    return f"{settings.collection}-{re.sub(r'[^A-Za-z0-9._]+', '_', embedder)}-{dim}"


async def open_collection(client: AsyncQdrantClient, settings: Store, name: str, dim: int, role: Role) -> None:
    """Make sure that `name` is there, with its indexes, and has its role: create it, or switch to it if it is ready.

    Raises `ConfigError` if the memories in force were made by another embedder, or split otherwise."""
    if role == "next":
        return await create(client, settings, name, dim)
    aliases = await aliases_of(client)
    in_force, filled = aliases.get(settings.collection), aliases.get(ready(settings))
    if in_force is None:
        await create(client, settings, name, dim)
        await point_alias(client, settings.collection, name)
    elif in_force == name:
        await check_shards(client, settings, name)
        if filled is not None and role == "alone":  # from now on the other one falls behind
            await drop_alias(client, ready(settings))
    elif filled == name:
        await point_alias(client, settings.collection, name, instead_of=ready(settings))
        log.info("the memories are now in the collection %s; %s can be deleted on the server", name, in_force)
    else:
        raise ConfigError(
            f"the memories are in the collection {in_force}, made with another embedding model than {name}: set"
            " memory.embedding back, or see deploy/OPERATIONS.md, Changing the embedding model"
        )
    return await index(client, name)


async def holds_memories(settings: Store) -> bool:
    """Is anything in the collection in force? Raises `StoreUnavailable`, `ConfigError`."""
    assert settings.url is not None
    connection = connect(settings.url, settings.api_key)
    try:
        async with connection.answered():
            name = (await aliases_of(connection.client)).get(settings.collection)
            return name is not None and (await connection.client.count(name, exact=False)).count > 0
    finally:
        await connection.client.close()


async def create(client: AsyncQdrantClient, settings: Store, name: str, dim: int) -> None:
    """Unless it exists. Two processes may try at the same time."""
    if not await client.collection_exists(name):
        with _exists_already():
            await client.create_collection(
                name,
                vectors_config={"dense": _vectors(settings, dim)},
                sparse_vectors_config={"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)},
                hnsw_config=_HNSW,
                strict_mode_config=_STRICT,
                quantization_config=_quantization() if settings.quantize else None,
                replication_factor=settings.replicas,
                write_consistency_factor=settings.write_consistency,
                shard_number=1 if settings.shard_by_user else settings.shards,
                sharding_method=models.ShardingMethod.CUSTOM if settings.shard_by_user else None,
            )
    if settings.shard_by_user:
        for number in range(settings.shards):
            with _exists_already():
                await client.create_shard_key(name, f"users-{number}")
    await index(client, name)


async def check_shards(client: AsyncQdrantClient, settings: Store, name: str) -> None:
    """Raises `ConfigError` if users would be looked for in other shards than they were written to."""
    found = await client.collection_cluster_info(name)
    keys = {str(each.shard_key) for each in found.local_shards} | {
        str(each.shard_key) for each in found.remote_shards
    }
    present = sum(key.startswith("users-") for key in keys)
    wanted = settings.shards if settings.shard_by_user else 0
    if present != wanted:
        was = f"shard_by_user true and shards {present}" if present else "shard_by_user false"
        raise ConfigError(
            f"the collection {name} was made with {was}: set memory.store so again, or `rememberd migrate` the"
            " memories to a new memory.store.collection"
        )


async def index(client: AsyncQdrantClient, name: str) -> None:
    """Create the payload indexes that are missing: a creation may have been cut short."""
    present = (await client.get_collection(name)).payload_schema
    for key, params in _INDEXES.items():
        if key not in present:
            await client.create_payload_index(name, key, params)


async def aliases_of(client: AsyncQdrantClient) -> dict[str, str]:
    return {each.alias_name: each.collection_name for each in (await client.get_aliases()).aliases}


async def point_alias(client: AsyncQdrantClient, alias: str, name: str, *, instead_of: str | None = None) -> None:
    """At `name`, in one step with the removal of the alias `instead_of`."""
    known = await aliases_of(client)
    steps: list[models.AliasOperations] = [_without(old) for old in (alias, instead_of) if old in known]
    made = models.CreateAlias(collection_name=name, alias_name=alias)
    await client.update_collection_aliases([*steps, models.CreateAliasOperation(create_alias=made)])


async def drop_alias(client: AsyncQdrantClient, alias: str) -> None:
    if alias in await aliases_of(client):
        await client.update_collection_aliases([_without(alias)])


def _without(alias: str) -> models.DeleteAliasOperation:
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))


def ready(settings: Store) -> str:
    return f"{settings.collection}-ready"


def indexed(settings: Store) -> str:
    """The start of the aliases for collections whose points were all written by one version of `indexing.py`."""
    return f"{settings.collection}-indexed-"


def index_version(aliases: Mapping[str, str], settings: Store, name: str) -> int:
    """The latest version that has written all points of the collection `name`; 0 for none."""
    begin = indexed(settings)
    marks = [alias.removeprefix(begin) for alias, to in aliases.items() if to == name and alias.startswith(begin)]
    return max((int(mark) for mark in marks if mark.isdigit()), default=0)


async def knows_own_idf(client: AsyncQdrantClient) -> bool:
    """Can this server measure the rarity of words in one space? Says so in the log if not."""
    version = (await client.info()).version
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers >= OWN_IDF_SINCE:
        return True
    log.warning(
        "Qdrant %s measures the rarity of words over all users together; from 1.19 on it is measured for each",
        version,
    )
    return False


def _vectors(settings: Store, dim: int) -> models.VectorParams:
    """Quantised ones are beside the originals, which would stay in memory unless told to be on disk."""
    return models.VectorParams(size=dim, distance=models.Distance.COSINE, on_disk=settings.quantize or None)


def _quantization() -> models.ScalarQuantization:
    """A quarter of the memory; the originals stay on disk and give the scores."""
    return models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
    )


@contextmanager
def _exists_already() -> Iterator[None]:
    try:
        yield
    except UnexpectedResponse as error:
        if error.status_code != 409 and b"already exists" not in error.content:
            raise
